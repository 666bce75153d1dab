"""What a cleaned report holds for viewers without footnotes: no link to anything but the web."""

from __future__ import annotations

import re

import pytest
from markdown_it import MarkdownIt

from prefect_llm_reports.tasks.text.cleaning import clean_markdown
from prefect_llm_reports.tasks.text.markdown import allowed

HOSTILE = [
    "[^1]: javascript:alert(1)",
    "[^1]:javascript:alert(1)",
    '[^1]: JAVASCRIPT:alert(1) "title"',
    "[^1]:\njavascript:alert(1)",
    "[^1]:\t\n  javascript:alert(1)",
    "> [^1]:\n> javascript:alert(1)",
    "- [^1]:\n  javascript:alert(1)",
    "[^1]: <javascript:alert(1)>",
    "[^1]: <java\tscript:alert(1)>",
    "[^1]: <java script:alert(1)>",
    "[^1]: javascript&colon;alert(1)",
    "[^1]: javascript&#58;alert(1)",
    "[^1]: &#106;avascript:alert(1)",
    "[^1]: java\\script\\:alert(1)",
    "[^1]: data:text/html,x",
    "[^1]: vbscript:x",
    "[^1]: \u00a0javascript:alert(1)",
]
HARMLESS = [
    '[^1]: s2-14 "exact words"',
    '[^1]: s2-14 "ten to one: exact words"',
    '[^1]: s2-14 "a", s3-1 "b & c"',
    "[^1]: own",
    "[^1]: https://example.org/a:b",
    "[^1]: #part",
]


@pytest.mark.parametrize("note", [*HOSTILE, *HARMLESS])
def test_no_note_is_a_link_to_code(note: str) -> None:
    """In plain CommonMark a note is the definition of a link, wherever its address begins."""
    for label in ("^1", "x"):
        text = f"# A\n\nWords.[{label}]\n\n{note.replace('^1', label)}\n"
        plain = MarkdownIt("commonmark")
        plain.validateLink = lambda url: True
        for block in plain.parse(clean_markdown(text)):
            for token in block.children or []:
                target = str(token.attrGet("href") or token.attrGet("src") or "")
                assert not re.match(r"[^/#?]*:", target) or allowed(target), target


@pytest.mark.parametrize("note", HARMLESS)
def test_notes_of_reports_stay_as_they_are(note: str) -> None:
    """What quotes a passage, is one's own or leads to the web is published unchanged."""
    text = f"# A\n\nWords.[^1]\n\n{note}\n"
    assert clean_markdown(text) == text
