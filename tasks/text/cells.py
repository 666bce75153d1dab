"""Untrusted text in the cells of a table that one UI reads as Markdown, and another as it is.

Not here: text that is Markdown everywhere (`markdown`).
"""

from __future__ import annotations

from functools import cache

from markdown_it import MarkdownIt

from prefect_llm_reports.tasks.text.markdown import one_line

_WIDE = str.maketrans({mark: chr(ord(mark) + 0xFEE0) for mark in "\\`*_[]<>#|~&"})
"""The full-width forms of the marks that Markdown acts on."""
_JOINER = "\u2060"
"""Shows as nothing; a line that begins with it is no item, heading or quotation."""


def cell(text: str) -> str:
    """Put text on one line that reads the same with Markdown and without.

    Text on which Markdown does not act stays as it is; in other text its marks are full-width.
    """
    line = one_line(text)
    if _is_plain(line):
        return line
    line = line.translate(_WIDE)
    return line if _is_plain(line) else _JOINER + line


def _is_plain(line: str) -> bool:
    """Whether Markdown shows a line as it is."""
    tokens = _reader().parse(line)
    inner = [child for token in tokens for child in token.children or ()]
    return (
        len(tokens) <= 3
        and all(token.type in ("paragraph_open", "inline", "paragraph_close") for token in tokens)
        and all(child.type == "text" for child in inner)
    )


@cache
def _reader() -> MarkdownIt:
    reader = MarkdownIt("commonmark").enable(["strikethrough", "table"])
    return reader.disable("text_join")  # it hides which text stood behind a backslash
