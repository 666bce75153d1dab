"""Rendering under attack and at length: bounded time, and stable under a second pass."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_llm_reports.tasks.text.cleaning import clean_markdown
from prefect_llm_reports.tasks.text.markdown import MAX_CHARS, well_formed
from tests.harness.markdown import parsed, sanitized_html
from tests.harness.pace import within
from tests.unit.pages.test_report import VIEWERS, Seen, assert_safe

FRAGMENTS = st.sampled_from(
    [
        "<script>",
        "<img src=x onerror=a>",
        "<b>",
        "<!--",
        "-->",
        "<br>",
        "`",
        "``",
        "```\n",
        "\n",
        "\n\n",
        "    ",
        "  \n",
        "\t",
        "> ",
        "- ",
        "1. ",
        "# ",
        "### ",
        "\n===\n",
        "\n---\n",
        "|",
        "| a | b |\n|---|---|\n",
        "\\",
        "[",
        "]",
        "(",
        ")",
        "](javascript:x)",
        "](http://e.test)",
        "![",
        "![p][r]",
        "[r]",
        "\n[r]: javascript:x\n",
        "\n[r]: http://ok.test\n",
        "[^1]",
        "\n[^1]: ",
        "<https://ok.test>",
        "<javascript:x>",
        "*",
        "**",
        "_",
        "~~",
        "- [x] ",
        "a",
        "b c",
        "&lt;",
        "!",
        "http://a.test",
        "'t'",
        '<a title="',
        '">',
        "\n```markdown\n",
        "\0",
        "\u2028",
        "\ud800",
        "é",
    ]
)


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("\0\r\n\t\x0b\x7f\x80\x85\x9f\xa0Â")))
def test_control_characters_are_removed_and_nothing_else(text: str) -> None:
    """Well-formed text has no control characters but tab and newline, and keeps all others."""
    kept = text.replace("\r\n", "\n").replace("\r", "\n")
    wanted = "".join(c for c in kept if c in "\t\n" or not (c < " " or "\x7f" <= c <= "\x9f"))
    assert well_formed(text) == wanted


def test_oversized_text_is_shown_as_it_is() -> None:
    """Beyond the size limit a report is one block of code, escaped, and stays so."""
    text = "<b>x</b> ```` \n" * (MAX_CHARS // 14)
    cleaned = clean_markdown(text)
    assert cleaned.startswith("# Report\n\n`````text\n<b>x</b>")
    assert clean_markdown(cleaned) == cleaned
    assert sanitized_html(text).startswith('<pre tabindex="0"><code>&lt;b&gt;x')


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5_000,
        "![" * 100_000,
        "> " * 100_000 + "x",
        "*a **b " * 1_500,
        "a" + " " * 300_000,
        "[a](" * 50_000,
        "- " * 100_000,
        "`" * 100_001,
        "\\" * 100_000 + "<b>",
    ],
)
def test_tangled_text_is_rendered_in_bounded_time(text: str) -> None:
    """Text made to choke a parser takes seconds at most."""
    with within(10):
        cleaned = clean_markdown(text)
        assert sanitized_html(cleaned)
    assert clean_markdown(cleaned) == cleaned


@settings(max_examples=80, deadline=None)
@given(st.lists(FRAGMENTS, max_size=25).map("".join))
def test_cleaning_is_idempotent_safe_and_well_ordered(text: str) -> None:
    """Cleaning twice changes nothing, no viewer acts on it, and the outline holds together."""
    cleaned = clean_markdown(text)
    assert clean_markdown(cleaned) == cleaned
    assert cleaned.encode().endswith(b"\n")
    levels = [heading.level for heading in parsed(cleaned).headings]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip([0, *levels], levels, strict=False))
    assert_safe(Seen(sanitized_html(text)))
    for viewer in VIEWERS:
        assert_safe(Seen(viewer.render(cleaned)))
