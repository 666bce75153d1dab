"""Word documents, which python-docx opens.

Here: paragraphs and tables with the headings above them, each followed by its notes; hidden and
white text left out. Pages are not known: Word makes them when it prints. Not here: documents that
this software writes (`pages.word`).
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from prefect_llm_reports.tasks.sources.packed import opened
from prefect_llm_reports.tasks.sources.pieces import Headings, Piece, Reading, Unreadable
from prefect_llm_reports.tasks.sources.rows import row_pieces
from prefect_llm_reports.tasks.sources.unseen import Unseen

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_LEFT_OUT = frozenset(
    {f"{_W}del", f"{_W}moveFrom", f"{_W}instrText", f"{_MC}Fallback", f"{_W}delText"}
)
"""Deleted text, fields' codes, and second copies of drawings for old programs."""
_LEAST_HALF_POINTS = 2
_HEADING = re.compile(r"heading\s*([1-9])\Z", re.I)
_NOTES = ("footnote", "endnote")
_MOST_STYLES = 20
"""Styles of which one may be based on another."""


def read_word(raw: bytes) -> Reading:
    """The paragraphs and rows of a document, with the headings above each.

    Args:
        raw: The file.

    Raises:
        Unreadable: It is not a Word document, or encrypted, or damaged.
    """
    try:
        from docx import Document
    except ImportError:
        raise Unreadable(
            "needs python-docx, which is not installed; pip install 'prefect-llm-reports[sources]'"
        ) from None
    opened(raw, "word/", "Word document (.docx)").close()
    unseen = Unseen()
    try:
        document: Any = Document(io.BytesIO(raw))
        pieces = list(_Document(document, unseen).pieces())
    except MemoryError:
        raise
    except Exception as error:  # python-docx and lxml raise of many kinds for damaged files
        raise Unreadable(f"damaged ({type(error).__name__}); save it in Word again") from None
    return Reading(pieces, unseen.said())


class _Document:
    """A document's text, block by block."""

    def __init__(self, document: Any, unseen: Unseen) -> None:
        self._body = document.element.body
        self._styles: dict[str, Any] = {
            style.get(f"{_W}styleId"): style for style in document.styles.element.iter(f"{_W}style")
        }
        self._known: dict[str, dict[str, str]] = {}
        self._levels: dict[str, int] = {}
        self._usual = next(
            (
                name
                for name, style in self._styles.items()
                if style.get(f"{_W}type") == "paragraph" and style.get(f"{_W}default") == "1"
            ),
            "",
        )
        background = document.element.find(f"{_W}background")
        self._page = "" if background is None else background.get(f"{_W}color", "")
        self._unseen = unseen
        self._notes = _notes(document)
        self._counts: Counter[str] = Counter()
        changed = (f"{_W}numStart", f"{_W}numRestart")
        self._numbered = next(document.element.iter(*changed), None) is None
        self._headings = Headings()
        self._tables = 0

    def pieces(self) -> Iterator[Piece]:
        """All pieces, in order."""
        yield from self._blocks(self._body)

    def _blocks(self, parent: Any) -> Iterator[Piece]:
        for block in parent:
            if block.tag == f"{_W}p":
                yield from self._paragraph(block)
                yield from self._noted(block)
            elif block.tag == f"{_W}tbl":
                yield from self._table(block)
                yield from self._noted(block)
            elif block.tag == f"{_W}sdt":  # a control or a table of contents around blocks
                content = block.find(f"{_W}sdtContent")
                if content is not None:
                    yield from self._blocks(content)
            elif block.tag in (f"{_W}ins", f"{_W}moveTo", f"{_W}customXml", f"{_W}smartTag"):
                yield from self._blocks(block)

    def _paragraph(self, paragraph: Any) -> Iterator[Piece]:
        text = self._text(paragraph).strip()
        if not text:
            return
        level = self._level(paragraph)
        if level:
            self._tables = 0
            self._headings(level, text)
        else:
            yield Piece(text, self._headings.place)

    def _noted(self, block: Any) -> Iterator[Piece]:
        """The notes that a block mentions, by the numbers that Word gives them."""
        for mention in block.iter(*(f"{_W}{kind}Reference" for kind in _NOTES)):
            kind = mention.tag.removeprefix(_W).removesuffix("Reference")
            note = self._notes.get((kind, mention.get(f"{_W}id", "")))
            if note is None or any(a.tag in _LEFT_OUT for a in mention.iterancestors()):
                continue
            name = kind
            if mention.get(f"{_W}customMarkFollows", "0") in ("0", "false", "off"):
                self._counts[kind] += 1
                name = f"{kind} {self._counts[kind]}" if self._numbered else kind
            parts = [self._text(paragraph).strip() for paragraph in note.iter(f"{_W}p")]
            if text := " ".join(filter(None, parts)):
                place = self._headings.place
                yield Piece(text, f"{place}, {name}" if place else name)

    def _table(self, table: Any) -> Iterator[Piece]:
        self._tables += 1
        place = self._headings.place
        if self._tables > 1:
            place = f"{place}, table {self._tables}" if place else f"table {self._tables}"
        rows: list[list[str]] = []
        for row in table.iter(f"{_W}tr"):
            if next(row.iterancestors(f"{_W}tbl"), None) is not table:
                continue  # of a table inside a cell, whose text the cell holds
            cells: list[str] = []
            for cell in row.iterchildren(f"{_W}tc", f"{_W}sdt", f"{_W}ins"):
                parts = [self._text(p).strip() for p in cell.iter(f"{_W}p")]
                cells.append(" ".join(filter(None, parts)))
            rows.append(cells)
        yield from row_pieces(enumerate(rows, 1), place)

    def _text(self, paragraph: Any) -> str:
        """What a reader sees of a paragraph; boxes inside it follow its own text."""
        shading = self._shading(paragraph.find(f"{_W}pPr")) or self._cell_shading(paragraph)
        parts: list[str] = []
        for run in self._runs(paragraph):
            text = "".join(self._characters(run))
            if not text:
                continue
            how = self._hidden(run, paragraph, shading)
            if how:
                self._unseen(text, how)
            else:
                parts.append(text)
        return self._unseen.clean("".join(parts))

    def _runs(self, parent: Any) -> Iterator[Any]:
        for child in parent:
            if child.tag in _LEFT_OUT:
                continue
            if child.tag == f"{_W}r":
                yield child
                for box in child.iter(f"{_W}txbxContent"):
                    if not any(a.tag == f"{_MC}Fallback" for a in box.iterancestors()):
                        for paragraph in box.iter(f"{_W}p"):
                            yield from self._runs(paragraph)
            elif child.tag != f"{_W}pPr":
                yield from self._runs(child)

    @staticmethod
    def _characters(run: Any) -> Iterator[str]:
        for child in run:
            if child.tag == f"{_W}t":
                yield child.text or ""
            elif child.tag in (f"{_W}tab", f"{_W}br", f"{_W}cr"):
                yield " "
            elif child.tag == f"{_W}noBreakHyphen":
                yield "-"

    def _hidden(self, run: Any, paragraph: Any, shading: str) -> str:
        """How a run is hidden; empty: a reader sees it."""
        own = run.find(f"{_W}rPr")
        look = dict(self._look(self._style_of(paragraph)))
        if own is not None:
            style = own.find(f"{_W}rStyle")
            if style is not None:
                look |= self._look(style.get(f"{_W}val", ""))
            look |= _properties(own)
        if look.get("vanish") == "on" or look.get("webHidden") == "on":
            return "hidden in Word"
        size = look.get("sz", "")
        if size.isdigit() and int(size) < _LEAST_HALF_POINTS:
            return "below 1 pt"
        behind = look.get("shd") or shading or self._page or "FFFFFF"
        colour = look.get("color", "")
        if look.get("highlight", "none") not in ("none", "white"):
            return ""
        if len(colour) == 6 and _alike(colour, behind):
            return "white" if _alike(colour, "FFFFFF") else "coloured like its background"
        return ""

    def _style_of(self, paragraph: Any) -> str:
        own = paragraph.find(f"{_W}pPr/{_W}pStyle")
        return self._usual if own is None else own.get(f"{_W}val", "")

    def _chain(self, name: str) -> list[Any]:
        """A style and those it is based on, the outermost first."""
        found: list[Any] = []
        while name in self._styles and len(found) < _MOST_STYLES:
            style = self._styles[name]
            found.insert(0, style)
            based = style.find(f"{_W}basedOn")
            name = "" if based is None else based.get(f"{_W}val", "")
        return found

    def _look(self, name: str) -> dict[str, str]:
        if name not in self._known:
            look: dict[str, str] = {}
            for style in self._chain(name):
                properties = style.find(f"{_W}rPr")
                if properties is not None:
                    look |= _properties(properties)
            self._known[name] = look
        return self._known[name]

    def _level(self, paragraph: Any) -> int:
        """The level of a heading, from 1; 0: the paragraph is none."""
        own = paragraph.find(f"{_W}pPr/{_W}outlineLvl")
        if own is not None:
            return _outline(own)
        name = self._style_of(paragraph)
        if name not in self._levels:
            self._levels[name] = self._level_of_style(name)
        return self._levels[name]

    def _level_of_style(self, name: str) -> int:
        for style in reversed(self._chain(name)):
            title = style.find(f"{_W}name")
            called = "" if title is None else title.get(f"{_W}val", "")
            if found := _HEADING.match(called):
                return int(found[1])
            if called.lower() == "title":
                return 1
            outline = style.find(f"{_W}pPr/{_W}outlineLvl")
            if outline is not None:
                return _outline(outline)
        return 0

    @staticmethod
    def _shading(properties: Any) -> str:
        shading = None if properties is None else properties.find(f"{_W}shd")
        return "" if shading is None else _fill(shading)

    def _cell_shading(self, paragraph: Any) -> str:
        cell = next(paragraph.iterancestors(f"{_W}tc"), None)
        return "" if cell is None else self._shading(cell.find(f"{_W}tcPr"))


def _notes(document: Any) -> dict[tuple[str, str], Any]:
    """The footnotes and endnotes of a document by kind and id."""
    from docx.oxml import parse_xml

    found: dict[tuple[str, str], Any] = {}
    for relation in document.part.rels.values():
        kind = relation.reltype.rpartition("/")[2].removesuffix("s")
        if kind in _NOTES and not relation.is_external:
            part: Any = parse_xml(relation.target_part.blob)
            for note in part.iterchildren(f"{_W}{kind}"):
                found[kind, note.get(f"{_W}id", "")] = note
    return found


def _properties(properties: Any) -> dict[str, str]:
    """The properties of a run or a style that may hide its text."""
    found: dict[str, str] = {}
    for one in properties:
        name = one.tag.removeprefix(_W)
        value = one.get(f"{_W}val")
        if name in ("vanish", "specVanish", "webHidden"):
            found["vanish"] = "off" if value in ("0", "false", "off") else "on"
        elif name == "shd":
            found[name] = _fill(one)
        elif name in ("color", "sz", "highlight") and value is not None:
            found[name] = value
            if name == "color" and one.get(f"{_W}themeColor") in ("background1", "light1"):
                found[name] = "FFFFFF"
    return found


def _fill(shading: Any) -> str:
    fill = shading.get(f"{_W}fill", "")
    return fill if len(fill) == 6 else ""


def _outline(level: Any) -> int:
    value = level.get(f"{_W}val", "")
    return int(value) + 1 if value.isdigit() and int(value) < 9 else 0


def _alike(one: str, other: str) -> bool:
    try:
        pairs = [(int(one[n : n + 2], 16), int(other[n : n + 2], 16)) for n in (0, 2, 4)]
    except ValueError:
        return False
    return all(abs(a - b) <= 12 for a, b in pairs)
