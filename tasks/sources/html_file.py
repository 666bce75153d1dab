"""Pages in HTML: the text that a reader of the page sees, with the headings above it.

Here: elements and their text. Not here: what is hidden (`visibility`), Markdown that holds elements
(`markdown_file`).
"""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

from prefect_llm_reports.tasks.sources.css import Element, RuleBook
from prefect_llm_reports.tasks.sources.pieces import Headings, Piece, Reading, Unreadable
from prefect_llm_reports.tasks.sources.rows import row_pieces
from prefect_llm_reports.tasks.sources.text_file import decoded
from prefect_llm_reports.tasks.sources.unseen import Unseen
from prefect_llm_reports.tasks.sources.visibility import NEVER_SEEN, Open, Sight, sight_of

VOID = frozenset(
    [
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
        "keygen",
        "frame",
    ]
)
_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "center",
        "dd",
        "details",
        "dialog",
        "dir",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hgroup",
        "hr",
        "html",
        "legend",
        "li",
        "main",
        "menu",
        "nav",
        "ol",
        "option",
        "p",
        "pre",
        "section",
        "summary",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "ul",
        "caption",
        "head",
        "title",
    ]
)
_ENDS_P = _BLOCKS - {"option", "html", "body", "head", "title"}
_ENDS: dict[str, frozenset[str]] = {
    "li": frozenset({"li"}),
    "dt": frozenset({"dt", "dd"}),
    "dd": frozenset({"dt", "dd"}),
    "td": frozenset({"td", "th"}),
    "th": frozenset({"td", "th"}),
    "tr": frozenset({"td", "th", "tr"}),
    "tbody": frozenset({"td", "th", "tr", "thead", "tbody"}),
    "tfoot": frozenset({"td", "th", "tr", "tbody"}),
    "option": frozenset({"option"}),
    "body": frozenset({"head"}),
}
"""Elements that the beginning of another ends."""
_BARRIERS = frozenset({"table", "ul", "ol", "dl", "menu"}) | NEVER_SEEN
"""Elements that such an ending does not go beyond."""
_MOST_DEEP = 2000
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.I)
_STYLES = re.compile(r"<style\b[^>]*>(.*?)(?:</style|\Z)", re.I | re.S)
_BLANKS = re.compile(r"[ \t\r\n\f]+")
_WORDS_OF_A_NOTE = 3
"""A comment of at least so many words is named in a warning."""


class Elements(HTMLParser):
    """Follows the elements of a page, and what a reader sees of each text.

    Args:
        text: The page; its own style sheets are looked for in all of it.
        unseen: Notes the text that is left out.
    """

    def __init__(self, text: str, unseen: Unseen) -> None:
        super().__init__(convert_charrefs=True)
        self._book = RuleBook(_STYLES.findall(text))
        self._unseen = unseen
        self.open: list[Open] = []
        self.path: list[Element] = []
        self._count: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element; one that cannot stand in the open ones ends those."""
        self._end_before(tag)
        named = {name: value or "" for name, value in reversed(attrs)}
        element = Element(tag, named, frozenset(named.get("class", "").split()))
        around = self.open[-1].sight if self.open else Sight()
        if tag in VOID:
            self.began(tag, element, around)
            return
        if len(self.open) >= _MOST_DEEP:
            raise Unreadable(f"more than {_MOST_DEEP:,} elements inside each other; simplify it")
        self.path.append(element)
        self._count[tag] += 1
        sight = sight_of(element, self.path, self._book, around)
        self.open.append(Open(element, sight))
        self.began(tag, element, sight)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element; HTML does not close it by a slash, unless it is a void one."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID and self.open and self.open[-1].element.tag in ("svg", "path", "rect"):
            self._close()

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost open element of this name, with all in it."""
        if not self._count[tag]:
            return
        for one in reversed(self.open):
            if one.element.tag == tag:
                break
            if one.element.tag in NEVER_SEEN:  # nothing inside ends what is around it
                return
        while self.open:
            if self._close() == tag:
                return

    def handle_data(self, data: str) -> None:
        """Take a text, or note that it is hidden."""
        how = self.open[-1].sight.unseen if self.open else ""
        if not how:
            self.seen(data)
        elif how not in ("script", "style", "head"):
            self._unseen(data, how)

    def handle_comment(self, data: str) -> None:
        """Note a comment that holds words."""
        if len(data.split()) >= _WORDS_OF_A_NOTE and not data.startswith("["):
            self._unseen(data, "comment")

    def unknown_decl(self, data: str) -> None:
        """Leave out a declaration that HTML does not know."""
        del data

    def _end_before(self, tag: str) -> None:
        if tag in _ENDS_P:
            self._end_open(frozenset({"p"}), _BARRIERS | {"button", "td", "th"})
        if ended := _ENDS.get(tag):
            self._end_open(ended, _BARRIERS)

    def _end_open(self, ended: frozenset[str], barriers: frozenset[str]) -> None:
        if not any(self._count[tag] for tag in ended):
            return
        last = None
        for at in range(len(self.open) - 1, -1, -1):
            name = self.open[at].element.tag
            if name in ended:
                last = at
            elif name in barriers:
                break
        if last is not None:
            while len(self.open) > last:
                self._close()

    def _close(self) -> str:
        self.path.pop()
        tag = self.open.pop().element.tag
        self._count[tag] -= 1
        self.ended(tag)
        return tag

    def began(self, tag: str, element: Element, sight: Sight) -> None:
        """Called when an element begins."""

    def ended(self, tag: str) -> None:
        """Called when an element ends."""

    def seen(self, text: str) -> None:
        """Called for each text that a reader sees."""


class _Page(Elements):
    """Collects the pieces of a page."""

    def __init__(self, text: str, unseen: Unseen) -> None:
        super().__init__(text, unseen)
        self.pieces: list[Piece] = []
        self._clean = unseen.clean
        self._headings = Headings()
        self._text: list[str] = []
        self._tables: list[_Table] = []
        self._heading = 0
        self._kept_lines = 0

    def began(self, tag: str, element: Element, sight: Sight) -> None:
        del element, sight
        if tag in _BLOCKS:
            self._flush()
        match tag:
            case "h1" | "h2" | "h3" | "h4" | "h5" | "h6":
                self._heading = int(tag[1])
            case "br" | "wbr":
                self._text.append("\n" if self._kept_lines and tag == "br" else " ")
            case "pre":
                self._kept_lines += 1
            case "table":
                self._tables.append(_Table())
            case "tr" if self._tables:
                self._tables[-1].rows.append([])
            case "td" | "th" if self._tables:
                self._tables[-1].begin(tag)
            case _:
                pass

    def ended(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._flush(tag)
        match tag:
            case "pre":
                self._kept_lines -= 1
            case "td" | "th" if self._tables:
                self._tables[-1].in_cell = False
            case "table" if self._tables:
                self._add_table(self._tables.pop())
            case _:
                pass

    def seen(self, text: str) -> None:
        self._text.append(text)

    def finish(self) -> list[Piece]:
        """The pieces of the whole page."""
        self.close()
        while self.open:
            self._close()
        self._flush()
        return self.pieces

    def _flush(self, tag: str = "") -> None:
        """End a paragraph, a heading, or a part of a cell."""
        if not self._text:
            self._heading = 0 if tag[:1] == "h" else self._heading
            return
        text, self._text = self._clean("".join(self._text)), []
        text = text.strip("\n") if self._kept_lines else _BLANKS.sub(" ", text).strip()
        if not text.strip():
            return
        if self._tables and self._tables[-1].in_cell:
            self._tables[-1].add(text)
            return
        if self._heading:
            self._headings(self._heading, text)
            self._heading = 0
            return
        self.pieces.append(Piece(text, self._headings.place))

    def _add_table(self, table: _Table) -> None:
        outer = self._tables[-1] if self._tables else None
        if outer is not None and outer.in_cell:  # a table for its looks
            for row in table.rows:
                outer.add(" | ".join(filter(None, row)))
            return
        if max((sum(map(bool, row)) for row in table.rows), default=0) <= 1:
            texts = ["\n".join(filter(None, row)) for row in table.rows]
            self.pieces += [Piece(text, self._headings.place) for text in texts if text]
            return
        rows = enumerate(table.rows, 1)
        self.pieces += row_pieces(rows, self._headings.place, header=table.named or None)


class _Table:
    """A table that is open."""

    def __init__(self) -> None:
        self.rows: list[list[str]] = []
        self.in_cell = False
        self.named = False

    def begin(self, tag: str) -> None:
        """Begin a cell."""
        if not self.rows:
            self.rows.append([])
        if len(self.rows) == 1:
            self.named = tag == "th" and (self.named or not self.rows[0])
        self.rows[-1].append("")
        self.in_cell = True

    def add(self, text: str) -> None:
        """Add a text to the open cell."""
        row = self.rows[-1]
        row[-1] = f"{row[-1]} {text}" if row[-1] else text


def read_html(raw: bytes) -> Reading:
    """The paragraphs and rows of a page, each with the headings above it.

    Args:
        raw: The file.

    Raises:
        Unreadable: It is not a text.
    """
    named = _CHARSET.search(raw[:4096])
    text = decoded(raw, named[1].decode("ascii") if named else None)
    unseen = Unseen()
    page = _Page(text, unseen)
    page.feed(text)
    pieces = page.finish()
    return Reading(pieces, unseen.said())
