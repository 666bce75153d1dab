"""The few HTML tags that are read in Markdown where they are well formed; all others are text.

Here: `<br>`, `<sub>`, `<sup>`, `<strong>`, `<em>`, `<kbd>` in a line of text, `<details>` with its
`<summary>` on lines of their own, and comments, which are dropped. A tag has no attributes (but
`<details open>`), is closed in the same text, and crosses no other markup; else it is shown as it
was written. Not here: the sanitizer (`text.html`), the text of report.md (`text.rewriting`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

NAMES = ("sub", "sup", "strong", "em", "kbd")
BREAK, COMMENT, OPEN, CLOSE = "html_break", "html_comment", "html_open", "html_close"
DETAILS, END, SUMMARY = "details_open", "details_close", "summary"
MAX_COMMENT = 4_000
"""A longer comment is shown as text."""

_TAG = re.compile(rf"<(?:(/?)({'|'.join(NAMES)})|(br) ?/?)>", re.IGNORECASE)
_DETAILS = re.compile(r"(<details(?: open(?:=\"\")?)?>)[ \t]*(.*)", re.IGNORECASE)
_SUMMARY = re.compile(r"<summary>[ \t]*(\S.*?)[ \t]*</summary>[ \t]*", re.IGNORECASE)
_ONE_LINE = re.compile(
    r"<details( open)?>\s*<summary>\s*(\S.*?)\s*</summary>\s*(.*\S)\s*</details>",
    re.IGNORECASE | re.DOTALL,
)
_ANY_TAG = re.compile(r"<[A-Za-z/!?][^<>]*>?")
_HARMLESS = re.compile(
    rf"</?(?:{'|'.join(NAMES)}|details|summary)>|<br ?/?>|<details open(?:=\"\")?>", re.IGNORECASE
)


def read_tags(parser: MarkdownIt) -> None:
    """Let a parser of Markdown read the tags.

    Args:
        parser: A parser that takes HTML for text.
    """
    parser.inline.ruler.before("autolink", "allowed_html", _inline_tag)
    over: Any = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    parser.block.ruler.before("paragraph", "comment", _comment, over)
    parser.block.ruler.before("paragraph", "details", _details, over)
    parser.core.ruler.after("block", "details", _pair_details)
    parser.core.ruler.after("inline", "allowed_html", _pair_inline)


def write_tags(writer: MarkdownIt) -> None:
    """Let a writer of HTML write the tags."""
    for kind in (BREAK, COMMENT, OPEN, CLOSE, DETAILS, END, "summary_open", "summary_close"):
        writer.add_render_rule(kind, _written)


def _written(self: Any, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
    token = tokens[idx]
    match token.type:
        case "html_break":
            return "<br>"
        case "html_open":
            return f"<{token.tag}>"
        case "html_close":
            return f"</{token.tag}>"
        case "details_open":
            return f"<details{' open' if token.meta['open'] else ''}>\n"
        case "details_close":
            return "</details>\n"
        case "summary_open":
            return "<summary>"
        case "summary_close":
            return "</summary>\n"
        case _:
            return ""


def only_allowed(html: str) -> bool:
    """Whether raw HTML holds no tag but allowed ones, and no comment."""
    return all(_HARMLESS.fullmatch(found[0]) for found in _ANY_TAG.finditer(html))


def unfolded(text: str) -> str:
    """Write `<details>` that stand on one line on several, as they are read; else nothing.

    Args:
        text: The source of a paragraph.
    """
    found = _ONE_LINE.fullmatch(text) if text[:8].lower() == "<details" else None
    if not found or any("<details" in part.lower() for part in found.groups("")):
        return ""
    return (
        f"<details{found[1] or ''}>\n<summary>{' '.join(found[2].split())}</summary>\n\n"
        f"{found[3]}\n\n</details>"
    )


def _inline_tag(state: StateInline, silent: bool) -> bool:
    start = state.pos
    if state.src[start] != "<":
        return False
    found = _TAG.match(state.src, start, state.posMax)
    if found:
        kind, tag = (BREAK, "br") if found[3] else (CLOSE if found[1] else OPEN, found[2].lower())
    else:
        kind, tag = COMMENT, ""
    end = found.end() if found else _comment_end(state.src, start, state.posMax)
    if end < 0:
        return False
    if not silent:
        token = state.push(kind, tag, 0)
        token.content = state.src[start:end]
        token.meta["span"] = (start, end)
    state.pos = end
    return True


def _comment_end(text: str, start: int, most: int) -> int:
    """The end of the comment that begins at a place; -1: none begins there."""
    if not text.startswith("<!--", start):
        return -1
    # `<!-->` and `<!--->` are comments as well.
    end = text.find("-->", start + 2, min(most, start + MAX_COMMENT))
    return end + 3 if end >= 0 else -1


def _pair_inline(state: StateCore) -> None:
    """Keep tags that are closed where they were opened; the others become text."""
    for token in state.tokens:
        if token.children and "<" in token.content:
            _keep_pairs(token.children)


def _keep_pairs(tokens: list[Token]) -> None:
    opened: list[Token] = []
    for token in tokens:
        if token.type == "image":
            for inner in token.children or ():
                _as_text(inner)
        elif token.type == OPEN or token.nesting == 1:
            opened.append(token)
        elif token.type == CLOSE:
            if opened and opened[-1].type == OPEN and opened[-1].tag == token.tag:
                opened.pop()
            else:
                _as_text(token)
        elif token.nesting == -1:
            while opened and opened[-1].type == OPEN:
                _as_text(opened.pop())
            if opened:
                opened.pop()
    for token in opened:
        _as_text(token)


def _as_text(token: Token) -> None:
    if token.type in (OPEN, CLOSE, BREAK, COMMENT):
        token.type, token.tag = "text", ""
        token.meta.pop("span", None)


def _first(state: StateBlock, line: int) -> int:
    """Where the text of a line begins, if it begins with `<` and is no code; else -1."""
    at = state.bMarks[line] + state.tShift[line]
    return at if state.src[at : at + 1] == "<" and not state.is_code_block(line) else -1


def _comment(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A comment that has its lines for itself; it may hold blank lines."""
    at = _first(state, start)
    over = _comment_end(state.src, at, len(state.src)) if at >= 0 else -1
    if over < 0 or state.src[over : (state.src.find("\n", over) + 1 or None)].strip():
        return False
    for line in range(start, end):
        if line > start and state.sCount[line] < state.blkIndent and not state.isEmpty(line):
            return False
        if state.eMarks[line] >= over:
            break
    else:
        return False
    if not silent:
        token = state.push(COMMENT, "", 0)
        token.map, token.block = [start, line + 1], True
        state.line = line + 1
    return True


def _details(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A line with `<details>`, `<summary>` or both, or with `</details>`."""
    at = _first(state, start)
    if at < 0:
        return False
    text = state.src[at : state.eMarks[start]].rstrip()
    opening = _DETAILS.fullmatch(text)
    rest = opening[2] if opening else text
    summary = _SUMMARY.fullmatch(rest)
    closing = not opening and text.lower() == "</details>"
    if not (closing or summary or (opening and not rest)):
        return False
    if silent:
        return True
    for kind, present in ((DETAILS, opening), (SUMMARY, summary), (END, closing)):
        if present:
            token = state.push(kind, "", 0)
            token.map, token.block, token.content = [start, start + 1], True, text
            token.meta["open"] = bool(opening) and " open" in text[:16].lower()
            token.meta["words"] = summary[1] if summary else ""
    state.line = start + 1
    return True


def _pair_details(state: StateCore) -> None:
    """Keep details that are closed in the same place; the lines of others become paragraphs."""
    if not any(token.type in (DETAILS, SUMMARY, END) for token in state.tokens):
        return
    kept: set[int] = set()
    opened: list[int] = []
    for place, token in enumerate(state.tokens):
        if token.type == DETAILS or token.nesting == 1:
            opened.append(place)
        elif token.type == END:
            if opened and state.tokens[opened[-1]].type == DETAILS:
                kept |= {opened.pop(), place}
        elif token.nesting == -1:
            while opened and state.tokens[opened[-1]].type == DETAILS:
                opened.pop()
            if opened:
                opened.pop()
    written: list[Token] = []
    for place, token in enumerate(state.tokens):
        if token.type == SUMMARY:
            if written and written[-1].type == DETAILS:
                written += _block("summary", token, token.meta["words"])
            elif not (written and written[-1].map == token.map):
                written += _block("paragraph", token, token.content)
        elif token.type in (DETAILS, END) and place not in kept:
            written += _block("paragraph", token, token.content)
        else:
            written.append(token)
    state.tokens = written


def _block(kind: str, token: Token, words: str) -> list[Token]:
    """A summary, or a paragraph, in the place of a token."""
    tag = {"summary": "summary", "paragraph": "p"}[kind]
    made = [
        Token(f"{kind}_open", tag, 1, level=token.level),
        Token("inline", "", 0, level=token.level + 1, content=words, children=[]),
        Token(f"{kind}_close", tag, -1, level=token.level),
    ]
    for one in made:
        one.map, one.block = token.map, True
    return made
