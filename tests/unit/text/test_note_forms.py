"""Footnotes in other forms than Markdown's become footnotes, where they name a passage."""

from __future__ import annotations

import pytest

from prefect_llm_reports.tasks.text.cleaning import clean_markdown
from prefect_llm_reports.tasks.text.note_forms import with_notes
from prefect_llm_reports.tasks.text.plain_text import plain_paragraphs

NOTE = 's1-3 "twelve turbines and a lock"'
FORMED = f"It has turbines.[^1]\n\n[^1]: {NOTE}"


@pytest.mark.parametrize(
    "text",
    [
        f"It has turbines.[1]\n\n[1]: {NOTE}",
        f"It has turbines.[^1]\n\n[1]: {NOTE}",
        f"It has turbines.[^1]\n\n[^1] {NOTE}",
        f"It has turbines.[^1]\n\n[^1] : {NOTE}",
        f"It has turbines.[^1]\n\n**[^1]:** {NOTE}",
        f"It has turbines.[^1]\n\n[^1]:\n{NOTE}",
        f"It has turbines.[1]\n\n1. {NOTE}",
        f"It has turbines.[^1]\n\n1) {NOTE}",
        f"It has turbines.<sup>1</sup>\n\n1. {NOTE}",
        f"It has turbines.<sup>[1]</sup>\n\n<sup>1</sup> {NOTE}",
        f"It has turbines.¹\n\n¹ {NOTE}",
        f"It has turbines.【1】\n\n- [1] {NOTE}",
    ],
)
def test_a_note_in_another_form_becomes_a_note(text: str) -> None:
    """Labels without a caret, raised numbers, lists of sources."""
    assert with_notes(text) == FORMED


OTHER = 's1-4 "a lock"'
NOTES = f"[^1]: {NOTE}|[^2]: own"


@pytest.mark.parametrize(
    ("text", "formed"),
    [
        (
            f"A.^[{NOTE}] B.^[{OTHER}]",
            f"A.[^note-1] B.[^note-2]||[^note-1]: {NOTE}|[^note-2]: {OTHER}|",
        ),
        (f"A.[1][2] B.[1, 2]||[1]: {NOTE}|[2]: own", f"A.[^1][^2] B.[^1][^2]||{NOTES}"),
        (
            'A.[1] B.[2]||[1]: s1-3 "as [2] says, in (s1-4)"|[2]: own',
            'A.[^1] B.[^2]||[^1]: s1-3 "as [2] says, in (s1-4)"|[^2]: own',
        ),
        (f"See [the study][1].||[1]: {NOTE}", f"See the study[^1].||[^1]: {NOTE}"),
        (f"Of turbines¹² 5 m².||¹ {NOTE}|² own", f"Of turbines[^1][^2] 5 m².||{NOTES}"),
        (f"A.[^1]||```|[^1]: {NOTE}|```", f"A.[^1]|||[^1]: {NOTE}"),
        ("A [s1-3]. B[^s1-4].", "A[^s1-3]. B[^s1-4].||[^s1-3]: s1-3|[^s1-4]: s1-4|"),
        (
            f"A.[^1] B [s1-9, s1-3].||[^1]: {NOTE}",
            f"A.[^1] B[^s1-9][^s1-3].||[^1]: {NOTE}||[^s1-9]: s1-9|[^s1-3]: s1-3|",
        ),
        (
            f"A.[^1] B (s1-9).||[^1]: {NOTE}",
            f"A.[^1] B[^s1-9].||[^1]: {NOTE}||[^s1-9]: s1-9|",
        ),
    ],
)
def test_several_notes_of_one_sentence(text: str, formed: str) -> None:
    """Notes inside sentences, several in one mark, links to notes, ids without a quotation."""
    assert with_notes(text.replace("|", "\n")) == formed.replace("|", "\n")


@pytest.mark.parametrize(
    "text",
    [
        FORMED,
        "No passage is named.[1]\n\n[1]: http://example.org\n",
        "A model called (s1-3) came first.",
        f"Nobody mentions it.\n\n1. {NOTE}\n2. own words",
        f"A [1](http://x.y) link.\n\n[1]: {NOTE}",
        f"Code `a[1]` and `[s1-3]`.\n\n```\nb[1] [s1-3]\n```\n\n[1]: {NOTE}",
        f"It covers 5 m² and is A⁴ large.[^1]\n\n[^1]: {NOTE}\n\n2. own",
        f"Both.[^1][1]\n\n[^1]: {NOTE}\n[1]: {NOTE}",
        f"```\nleft open\n[^1]: {NOTE}",
    ],
)
def test_what_is_no_note_or_is_one_stays(text: str) -> None:
    """Code, links, lists that nobody mentions, units, labels that a note has already."""
    assert with_notes(text) == text


def test_a_published_report_has_the_notes_in_markdowns_form() -> None:
    """Cleaning puts them into that form once, and a clean report stays as it is."""
    text = clean_markdown(f"# T\n\nIt has turbines.[1]\n\n[1]: {NOTE}\n")
    assert text == f"# T\n\n{FORMED}\n"
    assert clean_markdown(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "It has turbines.[^3] More come.",
        f"It has turbines.[^1] More come.\n\n[^1]: {NOTE}",
        f"It has turbines [^a][^b]. More come.\n\n[^a]: {NOTE}\n    and more\n[^b]: own",
        f"It has turbines.[1] More come.\n\n[1]: {NOTE}",
        "It has turbines [s1-3]. More come.",
        f"It has turbines.^[{NOTE}] More come.",
    ],
)
def test_a_summary_has_no_notes(text: str) -> None:
    """It is shown as plain text, where a note would lead nowhere."""
    assert plain_paragraphs(text) == ["It has turbines. More come."]
