"""What counts as a critique: one whole object of the schema, and nothing guessed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from prefect_llm_reports.tasks.contract.reports import Critique
from prefect_llm_reports.tasks.llm.answer_forms import Invalid
from prefect_llm_reports.tasks.reports.questions import CRITIQUE
from tests.harness.pace import within

GOOD: dict[str, Any] = {
    "score": 8,
    "strengths": ["a } brace and ``` fence"],
    "improvements": ['say {"this"}'],
    "summary": "Fine.",
}
TEXT = json.dumps(GOOD)


def but(**changes: Any) -> str:
    return json.dumps({**GOOD, **changes})


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"\ufeff  {TEXT}\n",
        json.dumps(GOOD, indent=2),
        f"```json\n{TEXT}\n```",
        f"```\n{TEXT}\n```\n",
        f"Here you are:\n\n```JSON\n{TEXT}\n```\nAll the best.",
        f"My judgement is {TEXT} as asked.",
        f"In {{curly}} words: {TEXT}",
    ],
)
def test_one_whole_object_is_accepted(text: str) -> None:
    """One object is accepted bare, in a code fence, or inside prose."""
    assert Critique.model_validate_json(CRITIQUE.accept(text)).model_dump() == GOOD


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no JSON object"),
        ("No.", "no JSON object"),
        ("[1, 2]", "no JSON object"),
        (f"{TEXT}\n{TEXT}", "more than one JSON object"),
        (f"first {TEXT} then {but(score=2)}", "more than one JSON object"),
        (f"```json\n{TEXT}\n```\n```json\n{TEXT}\n```", "more than one JSON object"),
        (f'{{"score": 3,}} {TEXT}', "a broken JSON object"),
        (f'{{"critique": {TEXT}', "a broken JSON object"),
        (TEXT[:-1], "a broken JSON object"),
        (but(score="8"), "score: Input should be a valid integer"),
        (but(score=True), "score: Input should be a valid integer"),
        (but(score=8.0), "score: Input should be a valid integer"),
        (but(score=None), "score: Input should be a valid integer"),
        (but(score=0), "score: Input should be greater than or equal to 1"),
        (but(score=11), "score: Input should be less than or equal to 10"),
        (but(score=float("nan")), "NaN is not a JSON number"),
        (TEXT.replace("8", "1e999", 1), "1e999 is not a JSON number"),
        (TEXT.replace('"score": 8', '"score": 8, "score": 9'), "'score' appears twice"),
        (json.dumps({k: v for k, v in GOOD.items() if k != "score"}), "score: Field required"),
        (but(bonus=1), "bonus: Extra inputs are not permitted"),
        (but(strengths="one"), "strengths: Input should be a valid array"),
        (but(improvements=[1]), "improvements.0: Input should be a valid string"),
        (but(summary="a\ud800"), "half of a character"),
        (json.dumps({"critique": GOOD}), "critique: Extra inputs"),
    ],
)
def test_anything_else_is_invalid_and_says_why(text: str, says: str) -> None:
    """Anything else is invalid, with a message a model can act on; nothing is clamped."""
    with pytest.raises(Invalid) as invalid:
        CRITIQUE.accept(text)
    assert says in str(invalid.value)
    assert str(invalid.value).startswith("it ")
    assert str(invalid.value).endswith(".")


def test_a_deep_object_is_refused_in_linear_time() -> None:
    """However many objects are begun and not ended, the answer is refused at once."""
    with within(0.5), pytest.raises(Invalid, match="a broken JSON object"):
        CRITIQUE.accept('{"a":' * 20_000)


def test_a_message_does_not_repeat_a_long_answer() -> None:
    """A message names at most five problems, with bounded names, and none of the values."""
    with pytest.raises(Invalid) as invalid:
        CRITIQUE.accept(but(**{f"{n}{'x' * 5000}": "secret" for n in range(50)}))
    assert len(str(invalid.value)) < 800
    assert "secret" not in str(invalid.value)
