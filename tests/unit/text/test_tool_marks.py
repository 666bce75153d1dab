"""Citation tokens that tools leave in a text are taken off, and nothing else."""

from __future__ import annotations

import pytest

from prefect_llm_reports.tasks.text.cleaning import clean_markdown
from prefect_llm_reports.tasks.text.plain_text import plain_paragraphs
from prefect_llm_reports.tasks.text.tool_marks import without_marks


@pytest.mark.parametrize(
    "mark",
    [
        "【4†source】", "【4:0†report.pdf】", "【4†L12-L20】", "【turn0search3】", "[4†source]",
        "turn0search3", "citeturn0search3", "citeturn0search3turn1view0", "fileciteturn0file1L3-L9",
        "\ue200cite\ue202turn0search3\ue202turn0news1\ue201", "\\ue202turn0search3",
        ":contentReference[oaicite:0]{index=0}", "[oaicite:12]", "[oaicite:12]{index=12}",
        "[cite_start]", "[cite: 1, 2]", "[cite:1-3]", "[citation:4]", "[web:1, web:2]",
        "[attached_file:1]", "[^3^]",
    ],
)  # fmt: skip
def test_a_mark_goes_with_the_space_before_it(mark: str) -> None:
    """The sentence is as it would be without the mark; in code the mark stays."""
    assert without_marks(f"Water rises {mark}.") == "Water rises."
    text = f"# T\n\nWater rises{mark}. `{mark}`\n\n- One {mark}\n\n| a {mark} |\n| --- |\n| b |\n"
    plain = f"# T\n\nWater rises. `{mark}`\n\n- One\n\n| a |\n| --- |\n| b |\n"
    assert clean_markdown(text) == plain
    fenced = f"# T\n\n```text\n{mark}\n```\n"
    assert clean_markdown(fenced) == fenced


@pytest.mark.parametrize(
    "text",
    [
        "【注】 Soviel", "5 † and ‡", "[1] and [web: design]", "Turn 0 search 3", "returnturn",
        "the oaicite format", "[4†source](https://example.org)", "[web:1](https://example.org)",
        "array[1] and [^1] and x[^2^", "[cite: Smith 2020]",
    ],
)  # fmt: skip
def test_ordinary_words_stay(text: str) -> None:
    """A dagger, brackets and words about citations are no marks."""
    assert without_marks(text) == text


def test_a_summary_has_no_marks_either() -> None:
    """The paragraphs of a summary are cleaned like the report."""
    assert plain_paragraphs("Water rises【4†source】.\n\nIt falls citeturn0search3.") == [
        "Water rises.",
        "It falls.",
    ]


def test_a_source_that_is_a_link_stays_a_link() -> None:
    """A token in a link's words goes, the link stays; a note with such a name is a note."""
    text = (
        "[oai_citation:0‡example.org](https://example.org/a) [【4†source】](https://example.org/b)"
    )
    kept = "[example.org](https://example.org/a) [example.org](https://example.org/b)"
    assert clean_markdown(f"# T\n\n{text}\n") == f"# T\n\n{kept}\n"
    notes = "# T\n\nOne.[^1^]\n\n[^1^]: The note.\n"
    assert clean_markdown(notes) == notes
