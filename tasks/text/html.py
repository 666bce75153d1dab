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
from mdit_py_plugins.footnote import footnote_plugin

from prefect_llm_reports.tasks.text.markdown import Parsed, allowed, plain, slug

ID_PREFIX = "s-"

_BARE_LINK = re.compile(
    r"(?<![\w@/.])(?:https?://[^\s<>\"`{}|\\^]+|www\.[\w-]+\.[^\s<>\"`{}|\\^]+"
    r"|[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8})",
    re.IGNORECASE,
)


def html_of(source: Parsed, *, with_title: bool = True) -> str:
    """Render a parsed text to HTML.

    Args:
        source: The text.
        with_title: Whether the first H1 is part of it.
    """
    tokens = source.tokens
    if not with_title:
        first = next((i for i, t in enumerate(tokens) if t.tag == "h1" and t.nesting == 1), None)
        if first is not None:
            tokens = tokens[:first] + tokens[first + 3 :]
    writer = _writer()
    rendered = writer.renderer.render(tokens, writer.options, {**source.env, "dropped": []})
    return _sanitizer().clean(rendered)


@cache
def _writer() -> MarkdownIt:
    writer = MarkdownIt("commonmark", renderer_cls=_SafeRenderer).use(footnote_plugin)
    writer.add_render_rule("footnote_anchor", _footnote_anchor)
    return writer


@cache
def _sanitizer() -> nh3.Cleaner:
    blocks = "p h1 h2 h3 h4 h5 h6 ul ol li blockquote pre hr br div section table thead tbody tr"
    named = {tag: {"id"} for tag in ("h1", "h2", "h3", "h4", "h5", "h6", "li")}
    return nh3.Cleaner(
        tags={*blocks.split(), "th", "td", "a", "code", "em", "strong", "s", "sup", "input"},
        attributes={
            **named,
            "a": {"href", "id", "aria-label"},
            "ol": {"start"},
            "pre": {"tabindex"},
            "div": {"tabindex", "role", "aria-label"},
            "input": {"disabled", "checked"},
        },
        tag_attribute_values={"input": {"type": {"checkbox"}}},
        allowed_classes={
            "a": {"anchor", "footnote-backref"},
            "div": {"table"},
            "li": {"task", "footnote-item"},
            "ol": {"footnotes-list"},
            "section": {"footnotes"},
            "sup": {"footnote-ref"},
            "td": {"center", "right"},
            "th": {"center", "right"},
        },
        attribute_filter=_only_allowed_links,
        link_rel="noopener noreferrer nofollow",
        url_schemes={"http", "https", "mailto"},
    )


def _only_allowed_links(tag: str, attribute: str, value: str) -> str | None:
    return value if attribute != "href" or allowed(value) else None


class _SafeRenderer(RendererHTML):
    """Markdown tokens to HTML: no images, no unsafe links, prefixed heading ids."""

    def heading_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        token = tokens[idx]
        return f'<{token.tag} id="{ID_PREFIX}{html.escape(token.meta["anchor"])}">'

    def heading_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        token = tokens[idx]
        opening = tokens[idx - 2]
        if token.tag == "h1":
            return "</h1>\n"
        anchor = html.escape(opening.meta["anchor"])
        return (
            f' <a class="anchor" href="#{ID_PREFIX}{anchor}" aria-label="Link to this section">'
            f"#</a></{token.tag}>\n"
        )

    def link_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        href = str(tokens[idx].attrGet("href") or "")
        env["dropped"].append(not allowed(href))
        if not allowed(href):
            return ""
        if href.startswith("#"):
            href = f"#{ID_PREFIX}{slug(unquote(href[1:]))}"
        return f'<a href="{html.escape(href)}">'

    def link_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return "" if env["dropped"].pop() else "</a>"

    def text(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        words = tokens[idx].content
        if env["dropped"] or not ("://" in words or "@" in words or "www." in words.lower()):
            return html.escape(words, quote=False)
        return "".join(_linked(words))

    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return html.escape(plain(tokens[idx].children or []))

    def table_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return '<div class="table" tabindex="0" role="region" aria-label="Table"><table>\n'

    def table_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return "</table></div>\n"

    def th_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        token = tokens[idx]
        side = str(token.attrGet("style") or "").removeprefix("text-align:")
        return f'<{token.tag} class="{side}">' if side else f"<{token.tag}>"

    td_open = th_open

    def code_block(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        code = html.escape(tokens[idx].content, quote=False)
        return f'<pre tabindex="0"><code>{code}</code></pre>\n'

    fence = code_block


def _footnote_anchor(self: Any, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
    number, again = tokens[idx].meta["id"] + 1, tokens[idx].meta["subId"]
    name = f"{number}:{again}" if again else f"{number}"
    return (
        f' <a href="#fnref{name}" class="footnote-backref" aria-label="Back to the text">'
        "\u21a9\ufe0e</a>"
    )


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
