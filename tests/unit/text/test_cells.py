"""Cells of a table read the same as Markdown and as plain text."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from prefect_llm_reports.tasks.text.cells import cell


@pytest.mark.parametrize(
    "text",
    [
        *("C++ & C#", "Tidal power: costs - 2026 (draft)", "A_b", "潮汐能", "5 < 6 > 4", "a ! b"),
        *("100 % of 8.5", "see https://reports.example.com/a_b", "/srv/reports/run/a-b_c", ""),
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    """No backslash and no entity is shown where nobody reads Markdown."""
    assert cell(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *("*bold*", "__x__", "[click](http://evil.example)", "![x](http://evil.example/x.png)"),
        *("<script>alert(1)</script>", "<b>x", "&lt;", "`code`", "~~gone~~", "# Title", "> said"),
        *("1. first", "1) first", "- item", "+ item", "* item", "---", "***", "a\\*b", "\\"),
        *("<https://evil.example>", "[x]: http://evil.example", "line\n\n# two", "    code", "```"),
        *("a | b\n--|--\n1 | 2", "[a][b]", "<!-- hidden -->", "&#35;", "=", "==="),
    ],
)
def test_marks_do_nothing_in_either_ui(text: str) -> None:
    """What is left shows as it is: no element but a paragraph, no link, no entity."""
    shown = cell(text)
    html = MarkdownIt("js-default").render(shown)
    assert html.strip() in (
        f"<p>{shown.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')}</p>",
        "",
    )
    assert "evil" not in text or "evil" in shown
