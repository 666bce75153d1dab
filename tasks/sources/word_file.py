"""Word documents, which python-docx opens.

Here: paragraphs and tables with the headings above them, each followed by its notes; hidden and
white text left out. Pages are not known: Word makes them when it prints. Not here: documents that
this software writes (`pages.word`), how text looks (`word_styles`).
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from typing import Any

from prefect_llm_reports.tasks.sources.packed import opened
from prefect_llm_reports.tasks.sources.pieces import Headings, Piece, Reading, Unreadable
from prefect_llm_reports.tasks.sources.rows import row_pieces
from prefect_llm_reports.tasks.sources.unseen import Unseen
from prefect_llm_reports.tasks.sources.word_styles import Looks, W

_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_LEFT_OUT = frozenset({f"{W}del", f"{W}moveFrom", f"{W}instrText", f"{_MC}Fallback", f"{W}delText"})
"""Deleted text, fields' codes, and second copies of drawings for old programs."""
_NOTES = ("footnote", "endnote")


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
        self._looks = Looks(document)
        self._unseen = unseen
        self._notes = _notes(document)
        self._counts: Counter[str] = Counter()
        changed = (f"{W}numStart", f"{W}numRestart")
        self._numbered = next(document.element.iter(*changed), None) is None
        self._headings = Headings()
        self._tables = 0

    def pieces(self) -> Iterator[Piece]:
        """All pieces, in order."""
        yield from self._blocks(self._body)

    def _blocks(self, parent: Any) -> Iterator[Piece]:
        for block in parent:
            if block.tag == f"{W}p":
                yield from self._paragraph(block)
                yield from self._noted(block)
            elif block.tag == f"{W}tbl":
                yield from self._table(block)
                yield from self._noted(block)
            elif block.tag == f"{W}sdt":  # a control or a table of contents around blocks
                content = block.find(f"{W}sdtContent")
                if content is not None:
                    yield from self._blocks(content)
            elif block.tag in (f"{W}ins", f"{W}moveTo", f"{W}customXml", f"{W}smartTag"):
                yield from self._blocks(block)

    def _paragraph(self, paragraph: Any) -> Iterator[Piece]:
        text = self._text(paragraph).strip()
        if not text:
            return
        level = self._looks.level(paragraph)
        if level:
            self._tables = 0
            self._headings(level, text)
        else:
            yield Piece(text, self._headings.place)

    def _noted(self, block: Any) -> Iterator[Piece]:
        """The notes that a block mentions, by the numbers that Word gives them."""
        for mention in block.iter(*(f"{W}{kind}Reference" for kind in _NOTES)):
            kind = mention.tag.removeprefix(W).removesuffix("Reference")
            note = self._notes.get((kind, mention.get(f"{W}id", "")))
            if note is None or any(a.tag in _LEFT_OUT for a in mention.iterancestors()):
                continue
            name = kind
            if mention.get(f"{W}customMarkFollows", "0") in ("0", "false", "off"):
                self._counts[kind] += 1
                name = f"{kind} {self._counts[kind]}" if self._numbered else kind
            parts = [self._text(paragraph).strip() for paragraph in note.iter(f"{W}p")]
            if text := " ".join(filter(None, parts)):
                place = self._headings.place
                yield Piece(text, f"{place}, {name}" if place else name)

    def _table(self, table: Any) -> Iterator[Piece]:
        self._tables += 1
        place = self._headings.place
        if self._tables > 1:
            place = f"{place}, table {self._tables}" if place else f"table {self._tables}"
        rows: list[list[str]] = []
        for row in table.iter(f"{W}tr"):
            if next(row.iterancestors(f"{W}tbl"), None) is not table:
                continue  # of a table inside a cell, whose text the cell holds
            cells: list[str] = []
            for cell in row.iterchildren(f"{W}tc", f"{W}sdt", f"{W}ins"):
                parts = [self._text(p).strip() for p in cell.iter(f"{W}p")]
                cells.append(" ".join(filter(None, parts)))
            rows.append(cells)
        yield from row_pieces(enumerate(rows, 1), place)

    def _text(self, paragraph: Any) -> str:
        """What a reader sees of a paragraph; boxes inside it follow its own text."""
        behind = self._looks.behind(paragraph)
        parts: list[str] = []
        for run in self._runs(paragraph):
            text = "".join(self._characters(run))
            if not text:
                continue
            how = self._looks.hidden(run, paragraph, behind)
            if how:
                self._unseen(text, how)
            else:
                parts.append(text)
        return self._unseen.clean("".join(parts))

    def _runs(self, parent: Any) -> Iterator[Any]:
        for child in parent:
            if child.tag in _LEFT_OUT:
                continue
            if child.tag == f"{W}r":
                yield child
                for box in child.iter(f"{W}txbxContent"):
                    if not any(a.tag == f"{_MC}Fallback" for a in box.iterancestors()):
                        for paragraph in box.iter(f"{W}p"):
                            yield from self._runs(paragraph)
            elif child.tag != f"{W}pPr":
                yield from self._runs(child)

    @staticmethod
    def _characters(run: Any) -> Iterator[str]:
        for child in run:
            if child.tag == f"{W}t":
                yield child.text or ""
            elif child.tag in (f"{W}tab", f"{W}br", f"{W}cr"):
                yield " "
            elif child.tag == f"{W}noBreakHyphen":
                yield "-"


def _notes(document: Any) -> dict[tuple[str, str], Any]:
    """The footnotes and endnotes of a document by kind and id."""
    from docx.oxml import parse_xml

    found: dict[tuple[str, str], Any] = {}
    for relation in document.part.rels.values():
        kind = relation.reltype.rpartition("/")[2].removesuffix("s")
        if kind in _NOTES and not relation.is_external:
            part: Any = parse_xml(relation.target_part.blob)
            for note in part.iterchildren(f"{W}{kind}"):
                found[kind, note.get(f"{W}id", "")] = note
    return found
