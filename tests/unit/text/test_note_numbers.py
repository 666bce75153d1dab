"""Notes that only have other numbers are no difference, between drafts and between reports."""

from __future__ import annotations

import pytest

from prefect_llm_reports.tasks.text.changes import Earlier, compared
from prefect_llm_reports.tasks.text.differences import differences
from prefect_llm_reports.tasks.text.note_numbers import renumbered

OLD = """# Grid

## North

The grid grew by ten percent.[^1] Nobody expected it.[^2]

## South

Prices fell in the south.[^3] Nobody expected that.[^4]

[^1]: s1-1 "grew by ten percent last year"
[^2]: own
[^3]: s2-4 "prices fell in the south"
[^4]: own
"""
NEW = """# Grid

## News

Storage doubled.[^1] It is the best of news.[^2]

## North

The grid grew by ten percent.[^3] Nobody expected it.[^4]

## South

Prices fell in the south.[^5] Nobody expected that.[^6]

[^1]: s1-1 "storage has doubled in a year"
[^2]: own
[^3]: s1-2 "grew by ten percent last year"
[^4]: own
[^5]: s3-1 "prices fell in the south"
[^6]: own
"""


def _since(old: str, new: str) -> tuple[list[str], list[str], list[str], int]:
    changes = compared(Earlier("20261121T120000Z-bbbb2222", old), new)
    titles = ([section.title for section in of] for of in (changes.added, changes.dropped))
    rewritten = [pair.after.title for pair in changes.rewritten]
    return (*titles, rewritten, changes.unchanged)


def test_new_notes_change_no_other_section() -> None:
    """A section is as it was if its notes have other numbers, and passages have other ids."""
    assert _since(OLD, NEW) == (["News"], [], ["Notes"], 3)
    assert _since(NEW, OLD) == ([], ["News"], ["Notes"], 3)


def test_other_numbers_alone_are_no_change() -> None:
    """A report whose notes are labelled in another way has not changed."""
    other = OLD
    for label in "4321":
        other = other.replace(f"[^{label}]", f"[^n{label}]")
    assert _since(OLD, other) == ([], [], [], 3)
    assert [passage.kind for passage in differences(renumbered(OLD, other), other) or ()] == [
        "same"
    ]


def test_another_quotation_is_a_change_of_the_notes() -> None:
    """Words quoted in place of others show in the note, and not in the sentence."""
    other = NEW.replace("grew by ten percent last year", "grew by nine percent last year")
    assert _since(OLD, other)[2] == ["Notes"]
    found = differences(renumbered(OLD, other), other) or []
    changed = [passage for passage in found if passage.kind == "changed"]
    assert [("del", "ten") in p.parts and ("ins", "nine") in p.parts for p in changed] == [True]


def test_a_draft_with_a_new_note_shows_only_that() -> None:
    """The differences of two drafts are the new sentences and their notes."""
    found = differences(renumbered(OLD, NEW), NEW) or []
    assert {passage.kind for passage in found} == {"same", "added"}
    added = "\n".join(text for p in found if p.kind == "added" for text in p.blocks)
    assert "Storage doubled" in added
    assert "storage has doubled in a year" in added
    assert "percent" not in added


def test_equal_notes_belong_to_their_sentences() -> None:
    """Of notes that say the same, each keeps the sentence that it stands after."""
    assert "Nobody expected it.[^4]" in renumbered(OLD, NEW)
    assert "Nobody expected that.[^6]" in renumbered(OLD, NEW)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# T\n\nNo notes here.\n",
        "[^1]",
        "[^1]: alone\n",
        "# T\n\nA.[^1]\n\n[^1]: one\n[^1]: two\n",
        "# T\n\n```\n[^3]: code\n```\n",
        "# T\n\nA.[^missing] B.[^ ] C.[^]\n",
    ],
)
def test_odd_notes_end_nothing(text: str) -> None:
    """Texts without notes, with broken ones or with code that looks like them are compared."""
    assert renumbered(text, text) == text
    for old, new in ((text, NEW), (NEW, text)):
        before = renumbered(old, new)
        assert len(before.split("\n")) == len(old.split("\n"))
        assert differences(before, new) is not None
        compared(Earlier("20261121T120000Z-bbbb2222", old), new)


def test_code_keeps_its_labels() -> None:
    """A label in a block of code is code, and no note's."""
    code = "\n\n```\nlook[^1] = here[^3]\n```\n"
    assert renumbered(OLD + code, NEW).endswith(code)


def test_lines_of_one_note_stay_together() -> None:
    """A note of several lines is one of the notes, and no part of the last section."""
    wrapped = OLD.replace('ten percent last year"', 'ten percent\n    last year"')
    assert _since(wrapped, wrapped.replace("[^1]", "[^9]")) == ([], [], [], 3)
    assert _since(wrapped, OLD) == ([], [], [], 3)
    assert _since(wrapped, OLD.replace("last year", "this year"))[2] == ["Notes"]
