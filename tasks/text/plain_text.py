"""Markdown as plain paragraphs: no marks of emphasis, no points of lists.

Here: the summary, which is shown as text and kept in summary.txt, without footnotes. Formulas stay
as TeX with their marks. Not here: wrappers around it (`text.wrappers`), the report
(`text.cleaning`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from markdown_it.token import Token

from prefect_llm_reports.tasks.text.markdown import excessive, parse, well_formed
from prefect_llm_reports.tasks.text.note_forms import without_notes
from prefect_llm_reports.tasks.text.tool_marks import without_marks
from prefect_llm_reports.tasks.text.wrappers import unwrapped

KEPT, KEPT_CHARS = 32, 20_000
"""Summaries that are kept, and their length at most: each is a part of several files."""

_MARKED = re.compile(
    r"[*_`#\[<>|~$\\&]|^[ \t]*(?:[-+]|\d{1,9}[.)])[ \t]|^[ \t]*[-=]{2,}", re.MULTILINE
)
_ENDS = re.compile(
    r"[.!?:;,\u2026\u3002\uff01\uff1f\uff1a\uff1b\u061f\u06d4\u0964][\"')\]\u201d\u2019\u300d]*\Z"
)
_UNSPACED = re.compile(r"[\u3000-\u303f\u3040-\u30ff\u3400-\u9fff\uff00-\uffef]\Z")


def plain_paragraphs(text: str) -> list[str]:
    """The paragraphs of a summary, each on one line; a list becomes one paragraph.

    Args:
        text: The summary as a model wrote it.
    """
    return [*(_kept_paragraphs if len(text) <= KEPT_CHARS else _paragraphs)(text)]


def _paragraphs(text: str) -> tuple[str, ...]:
    text = without_notes(unwrapped(well_formed(text).strip(), report=False).text)
    text = without_marks(text).strip()
    if not _MARKED.search(text) or excessive(text):
        blocks = re.split(r"\n[ \t]*(?:\n[ \t]*)+", text)
        return tuple(" ".join(block.split()) for block in blocks if block.strip())
    paragraphs = (" ".join(block.split()) for block in _blocks(parse(text).env["leaves"]))
    return tuple(paragraph for paragraph in paragraphs if paragraph)


_kept_paragraphs = lru_cache(maxsize=KEPT)(_paragraphs)


def _blocks(tokens: Sequence[Token]) -> Iterator[str]:
    """The words of each paragraph, heading, list and table."""
    depth = 0
    items: list[str] = []
    for token in tokens:
        if token.type in ("bullet_list_open", "ordered_list_open", "table_open"):
            depth += 1
        elif token.type in ("bullet_list_close", "ordered_list_close", "table_close"):
            depth -= 1
            if not depth:
                yield _joined(items)
                items = []
        elif token.type == "inline" or (token.type in ("fence", "code_block")):
            said = _words(token.children or []) if token.type == "inline" else token.content
            if not depth:
                yield said
            elif said.strip():
                items.append(said.strip())


def _joined(items: Sequence[str]) -> str:
    """The points of a list as sentences, or with semicolons between them."""
    said = ""
    for item in items:
        if said and not _ENDS.search(said):
            said += "\uff1b" if _UNSPACED.search(said) else ";"
        said += ("" if not said or _UNSPACED.search(said) else " ") + item
    return said


def _words(tokens: Sequence[Token]) -> str:
    """The words of inline tokens; a formula as it was written."""

    def words(tokens: Sequence[Token]) -> Iterator[str]:
        for token in tokens:
            if token.type == "formula":
                yield token.meta["formula"].source
            elif token.type in ("text", "code_inline"):
                yield token.content
            elif token.type in ("softbreak", "hardbreak", "html_break"):
                yield " "
            elif token.type == "image":
                yield from words(token.children or [])

    return "".join(words(tokens)).strip()
