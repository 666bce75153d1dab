"""Notes are read in the form that is asked for, and in the broken ones that models write."""

from __future__ import annotations

import pytest

from prefect_llm_reports.tasks.citations.notes import read_note


@pytest.mark.parametrize(
    ("source", "citations"),
    [
        ('s2-14 "exact words"', [("s2-14", "exact words")]),
        ('s2-14 "one"; s3-2 "two"', [("s2-14", "one"), ("s3-2", "two")]),
        ('s2-14 "one" "two"', [("s2-14", "one"), ("s2-14", "two")]),
        ("[s2-14] “curly words”", [("s2-14", "curly words")]),
        ("(s2–14): „deutsche Worte“", [("s2-14", "deutsche Worte")]),
        ("S02-014 «guillemets»", [("s2-14", "guillemets")]),
        ("s2-14 »umgekehrt«", [("s2-14", "umgekehrt")]),
        ("s2-14「日本語の引用」", [("s2-14", "日本語の引用")]),
        ("s2-14 'it's a single one'", [("s2-14", "it's a single one")]),
        ('`s2-14:` \\"escaped words\\"', [("s2-14", "escaped words")]),
        ("s2-14 &quot;entity words&quot;", [("s2-14", "entity words")]),
        ('s2-14, s3-1 "in either"', [("s2-14 s3-1", "in either")]),
        ('"words first" (s2-14); "again" [s2-15]', [("s2-14", "words first"), ("s2-15", "again")]),
        ('s2-14, p. 3: "words" (2020)', [("s2-14", "words")]),
        ('s2-14 "said "no" to it" and s2-15 "x"', [("s2-14", 'said "no" to it'), ("s2-15", "x")]),
        ("s2-14 \"He said: 'never', then.\"", [("s2-14", "He said: 'never', then.")]),
        ('s2-14 "unterminated words', [("s2-14", "unterminated words")]),
        ('s2-14 "see s9-9 in the words"', [("s2-14", "see s9-9 in the words")]),
        ("s2-14 words without marks", [("s2-14", "words without marks")]),
        ("s2-14", [("s2-14", "")]),
        ('Smith 2020 "words of a book"', [("", "words of a book")]),
        ("https://example.org/x", []),
        ("", []),
    ],
)
def test_a_note_names_passages_and_quotes_words(
    source: str, citations: list[tuple[str, str]]
) -> None:
    """Ids are in one spelling; quotation marks of all kinds enclose the words."""
    note = read_note("1", source)
    assert [(" ".join(one.ids), one.quote) for one in note.citations] == citations
    assert not note.own


@pytest.mark.parametrize(
    ("source", "own"),
    [
        ("own", True), ("Own.", True), ("**own**", True), ('"own"', True), ("own: a guess", True),
        ('s1-1 "a b c d"; own', True), ('s1-1 "a b c d" and own', True),
        ('s1-1 "its own words here"', False), ("owner of it", False),
        ('own: s1-1 "a b c d"', True),
    ],
)  # fmt: skip
def test_a_note_may_say_that_a_sentence_is_the_writers_own(source: str, own: bool) -> None:
    """The word stands for itself, not within quoted words."""
    assert read_note("1", source).own is own


def test_what_is_not_quoted_may_show_a_sum() -> None:
    """The rest of a note is kept, without its quotations."""
    note = read_note("1", 's1-1 "sales were 150"; s1-2 "and 120"; 150 - 120 = 30')
    assert note.rest.split("; ")[-1].strip() == "150 - 120 = 30"
    assert [one.quote for one in note.citations] == ["sales were 150", "and 120"]


def test_words_without_quotation_marks_are_no_quotation() -> None:
    """They are kept, since they may stand in the passage all the same, but accuse nobody."""
    assert [one.marked for one in read_note("1", "s1-1 in the annex, p. 4").citations] == [False]
    assert [one.marked for one in read_note("1", 's1-1 "in the annex"').citations] == [True]
