"""Untrusted Markdown read: one parser, one allowlist of links.

Here: text made well-formed and put on one line, parsing in bounded time, headings. Not here: HTML
(`text.html`) and the text of report.md (`text.cleaning`). Text that is too large or too tangled to
parse is shown in a code block.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.common.utils import normalizeReference
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline, autolink, backtick, image, link
from markdown_it.token import Token
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.footnote.index import footnote_ref

from prefect_llm_reports.tasks.text.allowed_html import BREAK, read_tags
from prefect_llm_reports.tasks.text.anchors import anchors_of
from prefect_llm_reports.tasks.text.formulas import Formula
from prefect_llm_reports.tasks.text.inline_rules import try_by_sign
from prefect_llm_reports.tasks.text.mathematics import Hidden, cell_tex

MAX_CHARS = 1_000_000
MAX_MARKERS = 20_000
MAX_NESTING = 20

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]+")
_CONTROL_BYTES = bytes([*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F])
_LATER_CONTROLS = re.compile(rb"\xc2[\x80-\x9f]")
_MARKERS = b"[]()*_`<>!|~&\\-+#"
_SAFE_LINK = re.compile(r"(?:https?://|mailto:)[^\s<>\"]+\Z|#[^\s<>\"]*\Z", re.IGNORECASE)
_PUNCTUATION = re.compile(r"([\\`*_\[\]#~])")
_ORDINARY_LINK = re.compile(r"https?://[a-z0-9.-]+(?:/[A-Za-z0-9/._~-]*)?\Z")
_MARKUP = re.compile(r"[\n\\`*_~\[<&$]")
"""Each rule for inline text begins at one of these, or needs one before it."""
_TASK = re.compile(r"\[[ xX]\]\s")


@dataclass(frozen=True)
class Heading:
    """One heading as readers see it; its `anchor` is unique in the text."""

    level: int
    text: str
    anchor: str
    pieces: tuple[str | Formula, ...] = ()
    """Its words and formulas in order; empty: it has no formula."""


@dataclass(frozen=True)
class Parsed:
    """A text and its parse; parses are shared, so change nothing in them."""

    text: str
    tokens: list[Token]
    env: dict[str, Any]

    @property
    def headings(self) -> list[Heading]:
        """All headings in reading order."""
        return self.env["headings"]


def well_formed(text: str) -> str:
    """Remove control characters, and make the text encodable as UTF-8."""
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        encoded = text.encode()
    if b"\r" in encoded:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if encoded.translate(None, _CONTROL_BYTES) != encoded or _LATER_CONTROLS.search(encoded):
        text = _CONTROLS.sub("", text)
    return text


def one_line(text: str) -> str:
    """Put untrusted text on one line of at most 2,000 characters."""
    return " ".join(well_formed(text).split())[:2000]


def escaped(text: str) -> str:
    """Write plain text as Markdown that shows exactly that text on one line."""
    text = _PUNCTUATION.sub(r"\\\1", one_line(text))
    return text.replace("&", "&amp;").replace("<", "&lt;")


def as_code(text: str, title: str) -> str:
    """Put a text into one code block under a heading, unless it is in one already."""
    text = text.rstrip("\n")
    fence = "`" * (1 + max([2, *(len(run) for run in re.findall(r"`{3,}", text))]))
    head = re.match(r"# \S.*\n\n(`{4,}|```)text\n", text)
    if head and text.endswith("\n" + head[1]) and head[1] not in text[head.end() : -len(head[1])]:
        return text + "\n"
    return (f"# {title}\n\n" if title else "") + f"{fence}text\n{text}\n{fence}\n"


def parse(text: str) -> Parsed:
    """Parse well-formed Markdown that is not `excessive`."""
    hidden = Hidden(text)
    env: dict[str, Any] = {"hidden": hidden}
    tokens = _parser().parse(hidden.text, env)
    return Parsed(text=text, tokens=tokens, env=env)


@cache
def _parser() -> MarkdownIt:
    unused = dict.fromkeys(("strikethrough_single_tilde", "tasklists", "store_labels"), False)
    parser = MarkdownIt(
        "commonmark",
        # Options that are never set are listed because markdown-it looks up missing ones slowly.
        {"html": False, "maxNesting": MAX_NESTING, **unused},
    )
    parser.enable(["table", "strikethrough"]).use(footnote_plugin, inline=False)
    parser.validateLink = lambda url: True  # `allowed` decides on links, in one place
    slowly = parser.normalizeLink
    parser.normalizeLink = lambda url: url if _ORDINARY_LINK.match(url) else slowly(url)
    parser.inline.ruler.after("text", "formula", _formula)
    parser.inline.ruler.at("backticks", _located(backtick, "code_inline"))
    parser.inline.ruler.at("link", _located(link, "link_open"))
    parser.inline.ruler.at("autolink", _located(autolink, "link_open"))
    parser.inline.ruler.at("image", _located(image, "image"))
    parser.inline.ruler.at("footnote_ref", _located(footnote_ref, "footnote_ref"))
    parser.core.ruler.at("inline", _inline)
    parser.core.ruler.before("footnote_tail", "leaves", _keep_leaves)
    parser.core.ruler.push("reading", _mark_headings_and_tasks)
    read_tags(parser)
    parser.core.ruler.after("details", "formulas", _show_formulas)
    try_by_sign(parser)
    return parser


def allowed(href: str) -> bool:
    """Whether a link may stay: to http, https, mailto or a place in the same page."""
    return _SAFE_LINK.match(href) is not None


def _located(rule: Any, kind: str) -> Any:
    """An inline rule that also notes where in the source its token stands."""

    def located(state: StateInline, silent: bool) -> bool:
        start, index = state.pos, len(state.tokens)
        if not rule(state, silent):
            return False
        while not silent and index < len(state.tokens):
            token = state.tokens[index]
            if token.type == kind:
                token.meta["span"] = (start, state.pos)
                if rule is link:
                    end = state.pos
                    token.meta["label_end"] = state.md.helpers.parseLinkLabel(state, start, True)
                    state.pos = end
                break
            index += 1
        return True

    return located


def _show_formulas(state: StateCore) -> None:
    """Put the formulas back that the rules of blocks were not to see."""
    hidden: Hidden = state.env["hidden"]
    if not hidden.formulas:
        return
    lines = hidden.lines if hidden.moves_lines else None
    before = ""
    for token in state.tokens:
        if token.map and lines:
            token.map = [lines[token.map[0]], lines[token.map[1]]]
        if token.type == "inline":
            token.meta["formulas"] = hidden.places(token.content)
            token.meta["within"] = before
        if not token.content.isascii():
            token.content = hidden.shown(token.content)
        if not token.info.isascii():
            token.info = hidden.shown(token.info)
        before = token.type
    references: dict[str, Any] = state.env.get("references", {})
    for label, definition in [*references.items()]:
        del references[label]
        references[normalizeReference(hidden.shown(label))] = definition
    for definition in [*references.values(), *state.env.get("duplicate_refs", [])]:
        for name in ("href", "title"):
            definition[name] = hidden.shown(definition[name])
        if lines:
            definition["map"] = [lines[line] for line in definition["map"]]


def _formula(state: StateInline, silent: bool) -> bool:
    """An inline rule for formulas that were found beforehand."""
    formula: Formula | None = state.env["formulas"].get(state.pos)
    if formula is None or not state.src.startswith(formula.source, state.pos):
        return False
    end = state.pos + len(formula.source)
    if end > state.posMax:
        return False
    if not silent:
        token = state.push("formula", "", 0)
        cell = state.env["within"] in ("th_open", "td_open")
        token.content = cell_tex(formula.tex) if cell else formula.tex
        in_line = cell or state.env["within"] in ("heading_open", "summary_open")
        token.meta = {"span": (state.pos, end), "formula": formula, "in_line": in_line}
    state.pos = end
    return True


def _inline(state: StateCore) -> None:
    """Parse inline text; skip the rules for plain words, as in most cells and headings."""
    for token in state.tokens:
        if token.type != "inline":
            continue
        if token.content and not _MARKUP.search(token.content):
            token.children = [Token("text", "", 0, content=token.content)]
        else:
            token.children = []
            state.env["formulas"] = token.meta.get("formulas", {})
            state.env["within"] = token.meta.get("within", "")
            state.md.inline.parse(token.content, state.md, state.env, token.children)


def _keep_leaves(state: StateCore) -> None:
    """Keep the tokens in the order of the source, before footnotes move to the end."""
    state.env["leaves"] = list(state.tokens)


def _mark_headings_and_tasks(state: StateCore) -> None:
    """Give headings their anchors, and items with a box their state."""
    opened: list[tuple[Token, str, Sequence[Token]]] = []
    for i, token in enumerate(state.tokens):
        if token.type == "heading_open":
            children = state.tokens[i + 1].children or []
            opened.append((token, plain(children), children))
        elif token.type == "list_item_open" and i + 2 < len(state.tokens):
            inline = state.tokens[i + 2]
            first = inline.children[0] if inline.children else None
            if inline.type == "inline" and first is not None and _TASK.match(first.content):
                token.meta["checked"] = first.content[1] != " "
                token.attrJoin("class", "task")
                first.content = first.content[4:]
    headings: list[Heading] = []
    anchors = anchors_of([words for _, words, _ in opened])
    for (token, words, children), anchor in zip(opened, anchors, strict=True):
        token.meta["anchor"] = anchor
        headings.append(Heading(int(token.tag[1]), words, anchor, _pieces(children)))
    state.env["headings"] = headings


def _pieces(tokens: Sequence[Token]) -> tuple[str | Formula, ...]:
    """The words and formulas of inline tokens; nothing if there is no formula."""
    if not any(token.type == "formula" for token in tokens):
        return ()
    return tuple(
        token.meta["formula"] if token.type == "formula" else plain([token], trimmed=False)
        for token in tokens
    )


def plain(tokens: Sequence[Token], *, trimmed: bool = True) -> str:
    """The words of inline tokens, without any markup.

    Args:
        tokens: The tokens.
        trimmed: Whether space at both ends is removed.
    """

    def words(tokens: Sequence[Token]) -> Iterator[str]:
        for token in tokens:
            if token.type in ("text", "code_inline", "formula"):
                yield token.content
            elif token.type in ("softbreak", "hardbreak", BREAK):
                yield " "
            elif token.type == "image":
                yield from words(token.children or [])

    said = "".join(words(tokens))
    return said.strip() if trimmed else said


def excessive(text: str) -> bool:
    """Whether a text is too large or too tangled to be parsed in bounded time."""
    if not MAX_MARKERS < len(text) <= MAX_CHARS:
        return len(text) > MAX_CHARS
    encoded = text.encode("utf-8", "surrogatepass")
    return len(encoded) - len(encoded.translate(None, _MARKERS)) > MAX_MARKERS
