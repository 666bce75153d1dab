"""Markdown to HTML that holds no script, style, image or unsafe link.

Here: the only renderer and the only sanitizer. Not here: parsing and the allowlist of links
(`text.markdown`), the pages around the HTML (`pages`).
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any
from urllib.parse import unquote

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from prefect_llm_reports.tasks.text.allowed_html import write_tags
from prefect_llm_reports.tasks.text.anchors import slug
from prefect_llm_reports.tasks.text.footnotes import write_footnotes
from prefect_llm_reports.tasks.text.formulas import Formula
from prefect_llm_reports.tasks.text.markdown import Parsed, allowed, plain
from prefect_llm_reports.tasks.text.mathml import ATTRIBUTES, allowed_value, mathml_of

ID_PREFIX = "s-"

_DIAGRAMS = """mermaid plantuml puml dot graphviz d2 ditaa svgbob vega vega-lite nomnoml wavedrom
    tikz flowchart sequence erd dbml blockdiag pikchr structurizr bytefield actdiag seqdiag"""
DIAGRAMS = frozenset(_DIAGRAMS.split())
"""Languages of drawings, which are shown as code with the language named."""

INLINE_CHARS = 60
"""Characters of a formula in a line; a longer one may be wider than a phone, and scrolls."""
PROSE_CHARS = 40
"""A cell of more characters needs a column in which a sentence can be read."""
TEXT_CHARS = 88
"""Characters of a table that fit beside the contents; a wider one has the page's width."""
PAPER_CHARS = 96
"""Characters that fit on a line of a table on paper; in a denser one words are broken."""

_BARE_LINK = re.compile(
    r"(?<![\w@/.])(?:https?://[^\s<>\"`{}|\\^]+|www\.[\w-]+\.[^\s<>\"`{}|\\^]+"
    r"|[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8})",
    re.IGNORECASE,
)


def html_of(source: Parsed, *, with_title: bool = True, place: str = "", deeper: int = 0) -> str:
    """Render a parsed text to HTML.

    Args:
        source: The text.
        with_title: Whether the first H1 is part of it.
        place: Begins each anchor, so that a page can hold several texts.
        deeper: Levels by which headings are lowered.
    """
    tokens = source.tokens
    if not with_title:
        first = next((i for i, t in enumerate(tokens) if t.tag == "h1" and t.nesting == 1), None)
        if first is not None:
            tokens = tokens[:first] + tokens[first + 3 :]
    writer = _writer()
    rendered = writer.renderer.render(
        tokens, writer.options, {**source.env, "dropped": [], "place": place, "deeper": deeper}
    )
    return _sanitizer().clean(rendered)


def pieces_html(pieces: Sequence[str | Formula]) -> str:
    """Words and formulas of a line as HTML.

    Args:
        pieces: The words and formulas, in order.
    """
    written = [
        html.escape(piece, quote=False)
        if isinstance(piece, str)
        else mathml_of(piece.tex, display=False) or _code(piece)
        for piece in pieces
    ]
    return _sanitizer().clean("".join(written))


def _code(formula: Formula) -> str:
    """A formula that cannot be converted."""
    return f"<code>{html.escape(formula.source, quote=False)}</code>"


@cache
def _writer() -> MarkdownIt:
    writer = MarkdownIt("commonmark", renderer_cls=_SafeRenderer)
    write_footnotes(writer)
    write_tags(writer)
    return writer


@cache
def _sanitizer() -> nh3.Cleaner:
    inline = "a code em strong s sub sup kbd input"
    blocks = "p h1 h2 h3 h4 h5 h6 ul ol li blockquote pre hr br div section table thead tbody tr"
    named = {tag: {"id"} for tag in ("h1", "h2", "h3", "h4", "h5", "h6", "li")}
    return nh3.Cleaner(
        tags={*blocks.split(), *inline.split(), "th", "td", "details", "summary", "span"}
        | ATTRIBUTES.keys(),
        attributes={
            **named,
            **{tag: set(names) for tag, names in ATTRIBUTES.items()},
            "a": {"href", "id", "aria-label"},
            "ol": {"start"},
            "pre": {"tabindex"},
            "details": {"open"},
            "div": {"tabindex", "role", "aria-label"},
            "input": {"disabled", "checked", "aria-label"},
            "span": {"tabindex", "role", "aria-label"},
        },
        tag_attribute_values={"input": {"type": {"checkbox"}}},
        allowed_classes={
            "span": {"formula", "inline"},
            "a": {"anchor", "footnote-backref"},
            "div": {"table", "wide", "dense"},
            "li": {"task", "footnote-item"},
            "ol": {"footnotes-list"},
            "p": {"language"},
            "section": {"footnotes"},
            "sup": {"footnote-ref"},
            "td": {"center", "right", "prose"},
            "th": {"center", "right", "prose"},
        },
        attribute_filter=_only_allowed_values,
        link_rel="noopener noreferrer nofollow",
        url_schemes={"http", "https", "mailto"},
    )


def _only_allowed_values(tag: str, attribute: str, value: str) -> str | None:
    if tag in ATTRIBUTES:
        return value if allowed_value(attribute, value) else None
    return value if attribute != "href" or allowed(value) else None


class _SafeRenderer(RendererHTML):
    """Markdown tokens to HTML: no images, no unsafe links, prefixed heading ids."""

    def heading_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        anchor = html.escape(tokens[idx].meta["anchor"])
        return f'<{_heading_tag(tokens[idx], env)} id="{env["place"]}{ID_PREFIX}{anchor}">'

    def heading_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        token = tokens[idx]
        opening = tokens[idx - 2]
        if token.tag == "h1":
            return f"</{_heading_tag(token, env)}>\n"
        anchor = f"{env['place']}{ID_PREFIX}{html.escape(opening.meta['anchor'])}"
        return (
            f' <a class="anchor" href="#{anchor}" aria-label="Link to this section">'
            f"#</a></{_heading_tag(token, env)}>\n"
        )

    def link_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        href = str(tokens[idx].attrGet("href") or "")
        env["dropped"].append(not allowed(href))
        if not allowed(href):
            return ""
        if href.startswith("#"):
            href = f"#{env['place']}{ID_PREFIX}{slug(unquote(href[1:]))}"
        return f'<a href="{html.escape(href)}">'

    def link_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return "" if env["dropped"].pop() else "</a>"

    def text(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        words = tokens[idx].content
        if env["dropped"] or not ("://" in words or "@" in words or "www." in words.lower()):
            return html.escape(words, quote=False)
        return "".join(_linked(words))

    def formula(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        token = tokens[idx]
        formula: Formula = token.meta["formula"]
        display = formula.display and not token.meta["in_line"]
        made = mathml_of(token.content, display=display) or _code(formula)
        if not display and len(formula.source) <= INLINE_CHARS:
            return made
        kind = "formula" if display else "formula inline"
        return f'<span class="{kind}" tabindex="0" role="group" aria-label="Formula">{made}</span>'

    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return html.escape(plain(tokens[idx].children or []))

    def list_item_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        checked = tokens[idx].meta.get("checked")
        opened = self.renderToken(tokens, idx, options, env)
        if checked is None:
            return opened
        state = ' checked=""' if checked else ""
        return f'{opened}<input disabled="" type="checkbox" aria-label="Task"{state}> '

    def table_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        kind = _table_kind(tokens, idx)
        return f'<div class="{kind}" tabindex="0" role="group" aria-label="Table"><table>\n'

    def table_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return "</table></div>\n"

    def th_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        side = str(tokens[idx].attrGet("style") or "").removeprefix("text-align:")
        tag = _cell(tokens[idx], tokens[idx + 1])
        prose = "prose" if len(tokens[idx + 1].content) > PROSE_CHARS else ""
        classes = f"{side} {prose}".strip()
        return f'<{tag} class="{classes}">' if classes else f"<{tag}>"

    td_open = th_open

    def th_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return f"</{_cell(tokens[idx], tokens[idx - 1])}>\n"

    def code_block(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        code = html.escape(tokens[idx].content, quote=False)
        return f'<pre tabindex="0"><code>{code}</code></pre>\n'

    def fence(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        name = tokens[idx].info.strip().split(" ")[0]
        label = f'<p class="language">{name}</p>\n' if name.lower() in DIAGRAMS else ""
        return label + self.code_block(tokens, idx, options, env)


def _heading_tag(token: Token, env: Any) -> str:
    return f"h{min(6, int(token.tag[1]) + env['deeper'])}"


def _table_kind(tokens: Sequence[Token], idx: int) -> str:
    """The classes of a table: `wide` needs more width than the text; `dense` hardly fits on paper.

    Args:
        tokens: The tokens of a text.
        idx: Where the table opens.
    """
    widths: list[int] = []
    words: list[int] = []
    column = 0
    for at in range(idx + 1, len(tokens)):
        token = tokens[at]
        if token.type == "table_close":
            break
        if token.type == "tr_open":
            column = 0
        elif token.type in ("th_open", "td_open"):
            if column == len(widths):
                widths.append(0)
                words.append(0)
            said = tokens[at + 1].content
            widths[column] = max(widths[column], min(len(said), PROSE_CHARS))
            words[column] = max(words[column], *map(len, said.split()), 0)
            column += 1
    wide = sum(max(width, 6) + 3 for width in widths) > TEXT_CHARS
    dense = sum(word + 2 for word in words) > PAPER_CHARS
    return " ".join(["table", *["wide"] * wide, *["dense"] * dense])


def _cell(token: Token, words: Token) -> str:
    """The tag of a cell: a heading without words heads nothing, so it is a plain cell."""
    return token.tag if words.content.strip() else "td"


def _linked(words: str) -> Iterator[str]:
    done = 0
    for found in _BARE_LINK.finditer(words):
        target = found[0].rstrip("?!.,:;*_~'\"")
        while target.endswith(")") and target.count(")") > target.count("("):
            target = target[:-1].rstrip("?!.,:;*_~'\"")
        lower = target.lower()
        is_url = lower.startswith(("http://", "https://"))
        prefix = "" if is_url else "http://" if lower.startswith("www.") else "mailto:"
        yield html.escape(words[done : found.start()], quote=False)
        yield f'<a href="{html.escape(prefix + target)}">{html.escape(target, quote=False)}</a>'
        done = found.start() + len(target)
    yield html.escape(words[done:], quote=False)
