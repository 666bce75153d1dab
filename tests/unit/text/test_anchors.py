"""Headings have the anchors that GitHub gives them."""

from __future__ import annotations

import pytest

from prefect_llm_reports.tasks.text.anchors import anchors_of, slug


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("Heading One", "heading-one"),
        ("  Costs & benefits ", "costs--benefits"),
        ("C++, C# and F#!", "c-c-and-f"),
        ("snake_case-and-hyphen — dash", "snake_case-and-hyphen--dash"),
        ("हिन्दी में व्याख्या", "हिन्दी-में-व्याख्या"),
        ("ภาษาไทยที่ดี", "ภาษาไทยที่ดี"),
        ("العَرَبِيَّة، أولاً", "العَرَبِيَّة-أولاً"),
        ("“引言”：背景、方法", "引言背景方法"),
        ("Cafe\u0301", "cafe\u0301"),
        ("🚀 Start", "-start"),
        ("½ or ² or ① or Ⅷ", "-or--or--or-ⅷ"),
        ("ÄÖÜ ß ΑΒΓ", "äöü-ß-αβγ"),
        ("a\u200db\u00a0c", "abc"),
    ],
)
def test_a_heading_is_named_as_on_github(heading: str, anchor: str) -> None:
    """Letters, marks, decimal and letter numbers, `_`, `-` and spaces stay, small."""
    assert slug(heading) == anchor


def test_a_repeated_name_is_counted_and_never_taken_twice() -> None:
    """The count goes on past names of other headings, and each heading has an anchor."""
    names = ["foo", "foo", "foo 1", "foo-1", "foo", "🚀", "Section", "!"]
    anchors = anchors_of(names)
    assert anchors[:5] == ["foo", "foo-1", "foo-1-1", "foo-1-2", "foo-2"]
    assert anchors[5:] == ["section-1", "section", "section-2"]
