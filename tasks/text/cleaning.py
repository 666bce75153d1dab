"""Untrusted Markdown made safe to publish in report.md.

Here: a text is parsed and edited until it no longer changes, then checked by a second parser. Text
that never settles is shown in a code block. Not here: the edits (`text.rewriting`), parsing
(`text.markdown`), HTML (`text.html`).
"""

from __future__ import annotations

import re
from functools import cache
from threading import Lock

from cachetools import LRUCache, cached
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore

from prefect_llm_reports.tasks.text.allowed_html import only_allowed
from prefect_llm_reports.tasks.text.fences import balanced
from prefect_llm_reports.tasks.text.inline_rules import try_by_sign
from prefect_llm_reports.tasks.text.markdown import (
    MAX_NESTING,
    Parsed,
    allowed,
    as_code,
    escaped,
    excessive,
    parse,
    well_formed,
)
from prefect_llm_reports.tasks.text.note_forms import with_notes
from prefect_llm_reports.tasks.text.rewriting import defused, revised
from prefect_llm_reports.tasks.text.wrappers import unwrapped

MAX_PASSES = 8
KEPT_CHARS = 1_600_000
"""Characters of the texts whose parse is kept: a draft is checked, and made into several files
later, while others are at work. A parse takes up to fourteen bytes a character."""

_RISKY = re.compile(
    r"<[A-Za-z/!?]|!\["
    r"|\][(:](?:[ \t]*\n|[ \t]*(?!https?://|mailto:|#)(?:<[^>\n]*[:&]|[^ \t\n/#?]*[:&]))",
    re.IGNORECASE,
)
"""Tags, images, and targets that may have a scheme; without a second parser a note is no link."""
_WRAPPED = re.compile(r"(`{3,}|~{3,})(?:markdown|md)[ \t]*\Z", re.IGNORECASE)


def clean_markdown(text: str, *, title: str = "Report") -> str:
    """Make a report safe to show in any CommonMark viewer; a clean report does not change.

    Args:
        text: Markdown as a model wrote it.
        title: The H1 of a report that has none.
    """
    return cleaned(text, title).text


@cached(LRUCache[object, Parsed](KEPT_CHARS, getsizeof=lambda tree: len(tree.text)), lock=Lock())
def cleaned(text: str, title: str) -> Parsed:
    """Clean a report, as `clean_markdown` does, and keep its parse for the renderers."""
    text = well_formed(text).removeprefix("\ufeff")
    title = escaped(title) or "Report"
    source = text if excessive(text) else _tidied(with_notes(unwrapped(text).text))
    for _ in range(MAX_PASSES):
        if excessive(source):
            break
        tree = parse(source)
        edited = _tidied(unwrapped(revised(tree, title)).text)
        if edited == source:
            if not _RISKY.search(source) or _harmless(source):
                return tree
            edited = _tidied("\n".join(defused(line) for line in source.split("\n")))
            if edited == source:
                break
        source = edited
    return parse(as_code(source, title))


def _tidied(text: str) -> str:
    """Remove blank lines at both ends, and a code fence around the whole answer."""
    lines = text.split("\n")
    for _ in range(MAX_PASSES):
        filled = [i for i, line in enumerate(lines) if line.strip(" \t")]
        lines = lines[filled[0] : filled[-1] + 1] if filled else []
        wrapped = _WRAPPED.match(lines[0]) if len(lines) > 1 else None
        if not wrapped or lines[-1].rstrip() != wrapped[1] or not balanced(lines[1:-1]):
            break
        lines = lines[1:-1]
    return "\n".join(lines) + "\n"


def _harmless(source: str) -> bool:
    """Check the result with a second parser that knows raw HTML but none of the extensions."""
    for block in _plain_parser().parse(source):
        if block.type == "html_block" and not only_allowed(block.content):
            return False
        for token in block.children or []:
            target = str(token.attrGet("href") or "")
            if token.type == "html_inline" and not only_allowed(token.content):
                return False
            if token.type == "image":
                return False
            has_scheme = re.match(r"[^/#?]*:", target)
            if token.type == "link_open" and has_scheme and not allowed(target):
                return False
    return True


@cache
def _plain_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True, "maxNesting": MAX_NESTING})
    parser.validateLink = lambda url: True
    try_by_sign(parser)
    parser.core.ruler.at("inline", _links_and_tags)
    return parser


def _links_and_tags(state: StateCore) -> None:
    """Parse inline text that may hold a tag, a link or an image; they begin with `<` or `[`."""
    for token in state.tokens:
        if token.type == "inline":
            token.children = []
            if "<" in token.content or "[" in token.content:
                state.md.inline.parse(token.content, state.md, state.env, token.children)
