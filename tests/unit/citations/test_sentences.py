"""Sentences end where a reader of the language would end them."""

from __future__ import annotations

import pytest

from prefect_llm_reports.tasks.citations.sentences import MARK, spans_of


@pytest.mark.parametrize(
    "text",
    [
        "It rose by 3.5 percent.@ |It fell.@@ |Dr. Smith of the U.S. agency said so, e.g. Here it"
        " is. |Ask J. Doe. |See No. 5 and vol. 3. |Done…",
        "One. @ |Two @. |Three.@|Four",
        "Costs, z. B. Der Preis, d. h. Die Miete. |Am 3. Oktober war es. |In 2020. |So.",
        "東京は首都である。@|日本は国だ。|「はい。」と言った。|终于！@|完",
        "هذا صحيح؟ |نعم. |هذا جيد۔@ |كذلك.",
        "ราคาขึ้น@ |ราคาลง@ |จบ",
        "यह सच है।@ |वह गया।",
        'He said "no."@ |Then left. |The answer is no. |(See above.@) |"Really?" she asked.',
        "Il part avec M. Dupont. |Elle reste ! |Why? |Because!",
        "without any end",
        "",
    ],
)
def test_sentences_are_cut_and_keep_their_notes(text: str) -> None:
    """`|` is where a sentence ends, `@` a note; abbreviations, decimals and initials end none."""
    whole = text.replace("|", "").replace("@", MARK)
    found = [whole[start:end].replace(MARK, "@") for start, end in spans_of(whole)]
    assert found == [part.strip() for part in text.split("|") if part.strip()]
