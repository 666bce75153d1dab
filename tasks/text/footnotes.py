"""Footnotes in HTML: every mention has its note's number, and a note leads back to each mention.

Here: the rules that write them. Not here: footnotes read from Markdown (`text.markdown`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.footnote import footnote_plugin


def write_footnotes(writer: MarkdownIt) -> None:
    """Let a writer of HTML write footnotes."""
    writer.use(footnote_plugin)
    writer.add_render_rule("footnote_ref", _mention)
    writer.add_render_rule("footnote_anchor", _way_back)
    writer.add_render_rule("footnote_open", _note)


def _name(token: Token) -> str:
    """The place of one mention in the text, as its `id` without the prefix."""
    number, again = token.meta["id"] + 1, token.meta.get("subId", 0)
    return f"{number}:{again}" if again else f"{number}"


def _mention(self: Any, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
    number = tokens[idx].meta["id"] + 1
    return (
        f'<sup class="footnote-ref"><a href="#{env["place"]}fn{number}"'
        f' id="{env["place"]}fnref{_name(tokens[idx])}">'
        f"[{number}]</a></sup>"
    )


def _note(self: Any, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
    return f'<li id="{env["place"]}fn{tokens[idx].meta["id"] + 1}" class="footnote-item">'


def _way_back(self: Any, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
    again = tokens[idx].meta.get("subId", 0)
    place = f", mention {again + 1}" if again else ""
    return (
        f' <a href="#{env["place"]}fnref{_name(tokens[idx])}" class="footnote-backref"'
        f' aria-label="Back to the text{place}">\u21a9\ufe0e</a>'
    )
