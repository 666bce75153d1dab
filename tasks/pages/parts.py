"""A report as a tree of paragraphs, lists and tables, for formats that are not HTML.

Here: the tree, read from sanitized HTML, which holds text, structure and links to http(s) or mailto
and nothing else. Not here: the text around the report (`pages.document`), PDF and DOCX.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from typing import Literal

from prefect_llm_reports.tasks.pages.math_shapes import MathReader
from prefect_llm_reports.tasks.text.direction import balanced
from prefect_llm_reports.tasks.text.formulas import Formula
from prefect_llm_reports.tasks.text.mathml import Math, converted

Kind = Literal["paragraph", "heading", "code", "quote", "list", "item", "table", "rule"]
Style = Literal["strong", "em", "s", "code", "sup", "sub"]

_STYLES: dict[str, Style] = {
    "strong": "strong",
    "em": "em",
    "s": "s",
    "code": "code",
    "kbd": "code",
    "sup": "sup",
    "sub": "sub",
    "summary": "strong",
}
_NO_CHARACTERS = {0xFFFE: None, 0xFFFF: None}
_LEFT_OUT = "anchor"
_NO_LOOKS = "\ufe0e"
_EXTERNAL = re.compile(r"(?:https?://|mailto:)\S+\Z", re.IGNORECASE)


@dataclass(frozen=True)
class Run:
    """Words in one style; a newline in them is a line break within the paragraph.

    Attributes:
        link: An address, or `#` and an anchor of the same document.
        anchor: The name under which links reach these words; empty: none.
        math: A formula, which has TeX as its text; None: these are words.
    """

    text: str
    styles: frozenset[Style] = frozenset()
    link: str = ""
    anchor: str = ""
    math: Math | None = None


@dataclass
class Part:
    """A paragraph, heading, list or the like.

    Attributes:
        runs: Its words, if it has no parts.
        parts: Parts of a quote, a list (its items) or an item.
        level: Level of a heading, 1 to 6.
        start: First number of a numbered list; None: bullets.
        checked: Whether the box of an item is ticked; None: it has no box.
        rows: Cells of a table; the first row is its head.
        aligned: Alignment of a table's columns: "", "center" or "right".
        anchor: The name under which links reach a heading or an item; empty: none.
    """

    kind: Kind
    runs: list[Run] = field(default_factory=list[Run])
    parts: list[Part] = field(default_factory=list["Part"])
    level: int = 0
    start: int | None = None
    checked: bool | None = None
    rows: list[list[list[Run]]] = field(default_factory=list[list[list[Run]]])
    aligned: list[str] = field(default_factory=list[str])
    anchor: str = ""

    @property
    def text(self) -> str:
        """Its words without styles."""
        return "".join(run.text for run in self.runs)


def parts_of(html: str) -> list[Part]:
    """Read sanitized HTML into parts."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    for runs in reader.leading:
        runs[:] = [
            replace(run, link="")
            if run.link[:1] == "#" and run.link[1:] not in reader.anchors
            else run
            for run in runs
        ]
    return reader.top.parts


def worded(text: str, pieces: Sequence[str | Formula]) -> tuple[Run, ...]:
    """A line as runs.

    Args:
        text: Its words.
        pieces: Its words and formulas in order; empty: it has no formula.
    """
    if not pieces:
        return (Run(printable(text)),)
    return tuple(map(_piece, pieces))


def _piece(piece: str | Formula) -> Run:
    if isinstance(piece, str):
        return Run(printable(piece))
    made = converted(piece.tex, display=False)
    code = frozenset[Style]() if made else frozenset[Style]({"code"})
    return Run(printable(piece.tex if made else piece.source), code, math=made)


def printable(text: str) -> str:
    """The text without what XML does not allow, its changes of direction closed."""
    return balanced(text.translate(_NO_CHARACTERS))


class _Reader(HTMLParser):
    """Reads the tags that the sanitizer allows; the text in others belongs to their parent."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.top = Part("quote")
        self._open: list[Part] = [self.top]
        self._styles: list[Style] = []
        self._links: list[str] = []
        self._hidden = 0
        self._into: list[Run] | None = None
        self._sides: list[str] = []
        self._math = MathReader()
        self._anchor = ""
        self.anchors: set[str] = set()
        self.leading: list[list[Run]] = []
        """The words among which are links to anchors."""

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "math" or self._math.reading:
            self._math.begin(tag, given)
        elif tag == "a":
            self._link(given)
        elif tag in _STYLES and tag != "summary" and not self._in_code_block:
            self._styles.append(_STYLES[tag])
        elif tag == "details":
            self._into = None
        elif tag == "br":
            self._add("\n")
        elif tag == "input":
            item = next((part for part in reversed(self._open) if part.kind == "item"), self.top)
            item.checked = "checked" in given
        elif tag == "tr":
            self._open[-1].rows.append([])
            self._sides = []
        elif tag in ("th", "td"):
            self._into = []
            self._open[-1].rows[-1].append(self._into)
            self._sides.append(given.get("class", ""))
        elif part := _part(tag, given):
            self._open[-1].parts.append(part)
            part.anchor = given.get("id", "")
            self.anchors.add(part.anchor)
            self._into = None
            if part.kind != "rule":
                self._open.append(part)
            if part.kind in ("paragraph", "heading", "code"):
                self._into = part.runs
            if tag == "summary":
                self._styles.append(_STYLES[tag])

    def handle_endtag(self, tag: str) -> None:
        if self._math.reading:
            made = self._math.end()
            if made is not None:
                self._add(made.attributes.get("alttext", ""), made)
        elif tag == "a":
            if self._hidden:
                self._hidden -= 1
            elif self._links:
                self._links.pop()
        elif tag in _STYLES and tag != "summary" and not self._in_code_block:
            self._styles.pop()
        elif tag == "details":
            self._into = None
        elif tag in ("th", "td"):
            _trim(self._into or [])
            self._into = None
        elif tag == "tr":
            self._open[-1].aligned = self._open[-1].aligned or self._sides
        elif _part(tag, {}) and tag != "hr":
            self._end(self._open.pop())
            if tag == "summary":
                self._styles.pop()

    def _end(self, part: Part) -> None:
        self._into = None
        if part.kind == "code":
            part.runs = [Run(part.text.removesuffix("\n"))]
        else:
            _trim(part.runs)
        for inner in part.parts:
            if inner.kind == "paragraph":
                _trim(inner.runs)

    def handle_data(self, data: str) -> None:
        data = printable(data)
        if self._math.reading:
            self._math.say(data)
            return
        self._add(data if self._in_code_block else re.sub(r"[ \t\r\n]+", " ", data))

    @property
    def _in_code_block(self) -> bool:
        return self._open[-1].kind == "code"

    def _link(self, given: dict[str, str]) -> None:
        if self._hidden or given.get("class") == _LEFT_OUT:
            self._hidden += 1
            return
        href, self._anchor = given.get("href", ""), given.get("id", "")
        self.anchors.add(self._anchor)
        self._links.append(href if href.startswith("#") or _EXTERNAL.match(href) else "")

    def _add(self, text: str, math: Math | None = None) -> None:
        if self._hidden:
            return
        if self._into is None:  # items of a tight list have no paragraphs
            if not text.strip():
                return
            self._into = []
            self._open[-1].parts.append(Part("paragraph", runs=self._into))
        if self._into and self._into[-1].text == "\n":
            text = text.lstrip(" ")
        link = self._links[-1] if self._links else ""
        if link.startswith("#"):
            text = text.replace(_NO_LOOKS, "")
            self.leading.append(self._into)
        self._into.append(Run(text, frozenset(self._styles), link, self._anchor, math))
        self._anchor = ""


def _part(tag: str, given: dict[str, str]) -> Part | None:
    """The part that a tag opens, if it opens one."""
    match tag:
        case "p" | "summary":
            return Part("paragraph")
        case "h1" | "h2" | "h3" | "h4" | "h5" | "h6":
            return Part("heading", level=int(tag[1]))
        case "pre":
            return Part("code")
        case "blockquote":
            return Part("quote")
        case "ul":
            return Part("list")
        case "ol":
            start = given.get("start", "1")
            return Part("list", start=int(start) if re.fullmatch("[0-9]{1,8}", start) else 1)
        case "li":
            return Part("item")
        case "table":
            return Part("table")
        case "hr":
            return Part("rule")
        case _:
            return None


def _trim(runs: list[Run]) -> None:
    """Remove the space at both ends of a paragraph."""
    if runs:
        runs[0] = replace(runs[0], text=runs[0].text.lstrip(" \n"))
        runs[-1] = replace(runs[-1], text=runs[-1].text.rstrip(" \n"))
