"""report.docx: a report for word processors, written by python-docx.

Here: the only importer of python-docx, which comes with the extra `docx`; import this module only
to make a report.docx. It uses built-in styles only, so that a house template can restyle it, and
loads nothing when it is opened. Not here: the document (`pages.document`), PDF (`pages.pdf`).
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import docx
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import OxmlElement, parse_xml  # pyright: ignore[reportUnknownVariableType]
from docx.oxml.ns import qn
from docx.shared import Mm, Pt, RGBColor
from docx.text.run import Run as Written

from prefect_llm_reports.tasks.contract.errors import FormatFailed
from prefect_llm_reports.tasks.pages.document import Document
from prefect_llm_reports.tasks.pages.omml import omml_of
from prefect_llm_reports.tasks.pages.parts import Part, Run
from prefect_llm_reports.tasks.pages.word_language import mark_language

_WIDE = ((12, 6.5), (9, 7.5), (7, 8.5))
"""Columns of a table, from which on its letters have a smaller size in points."""
MAX_PROPERTY = 255
"""Characters that a property of the file may have."""
MAX_PARTS = 20_000
"""A report with more paragraphs and cells is refused because it would take minutes."""

_BULLETS = ("List Bullet", "List Bullet 2", "List Bullet 3")
_NUMBERS = ("List Number", "List Number 2", "List Number 3")
_FONT_STYLES = {
    "strong": "bold",
    "em": "italic",
    "s": "strike",
    "sup": "superscript",
    "sub": "subscript",
}
_CONTINUED = ("List Continue", "List Continue 2", "List Continue 3")
_EPOCH = datetime(1980, 1, 1, tzinfo=UTC)
_PLACE = "place_"
_INK, _SOFT, _ACCENT = "20242A", "59616C", "1B5E8C"


def docx_of(document: Document) -> bytes:
    """Write a document for word processors; equal documents give equal bytes.

    Raises:
        FormatFailed: The document has too many parts.
    """
    if _count(document.parts) > MAX_PARTS:
        raise FormatFailed(
            f"report.docx: the report has more than {MAX_PARTS:,} parts; use the other formats"
        )
    return _Writer(document).bytes()


def _count(parts: Sequence[Part]) -> int:
    return sum(1 + sum(map(len, part.rows)) + _count(part.parts) for part in parts)


class _Writer:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.file: Any = docx.Document()
        self._names: dict[str, str] = {}
        self._english: set[Any] = set()
        self._dress()
        self._head()
        for part in document.parts:
            self._write(part)
        closing = self.file.add_paragraph()
        closing.paragraph_format.space_before = Pt(18)
        self._styled(closing.add_run(document.closing), size=9, color=_SOFT)
        self._english.add(_xml(closing))
        mark_language(
            self.file.element.body, self.file.styles.element, document.language, self._english
        )

    def bytes(self) -> bytes:
        """The file, with a fixed time in place of the current one."""
        made = io.BytesIO()
        self.file.save(made)
        plain = io.BytesIO()
        with zipfile.ZipFile(made) as saved, zipfile.ZipFile(plain, "w") as files:
            for name in saved.namelist():
                entry = zipfile.ZipInfo(name, _EPOCH.timetuple()[:6])
                entry.compress_type = zipfile.ZIP_DEFLATED
                files.writestr(entry, saved.read(name))
        return plain.getvalue()

    def _dress(self) -> None:
        about = self.file.core_properties
        created = datetime.fromtimestamp(self.document.created, UTC)
        about.title, about.author, about.comments = self.document.title[:255], "", ""
        about.last_modified_by, about.revision = "", 1
        about.keywords = "; ".join(self.document.keywords)[:MAX_PROPERTY]
        about.comments = self.document.description[:MAX_PROPERTY]
        about.created = about.modified = max(created, _EPOCH).replace(tzinfo=None)
        normal = self.file.styles["Normal"]
        normal.font.size = Pt(11)
        normal.paragraph_format.space_after = Pt(7)
        normal.paragraph_format.line_spacing = 1.15
        for level in range(1, 7):
            style = self.file.styles[f"Heading {level}"]
            style.font.color.rgb = RGBColor.from_string(_INK if level < 4 else _SOFT)
        for section in self.file.sections:
            section.page_width, section.page_height = Mm(210), Mm(297)
            section.left_margin = section.right_margin = Mm(25)
            section.top_margin = section.bottom_margin = Mm(25)
            self._number_pages(section.footer.paragraphs[0])

    def _number_pages(self, paragraph: Any) -> None:
        paragraph.alignment = 2
        for words in ("PAGE", " / ", "NUMPAGES"):
            run = self._styled(paragraph.add_run(), size=9, color=_SOFT)
            if words.isupper():
                field = _element("w:instrText")
                field.text = words
                begin, end = (_element("w:fldChar", fldCharType=kind) for kind in ("begin", "end"))
                run.element.extend([begin, field, end])
            else:
                run.text = words

    def _head(self) -> None:
        document = self.document
        if document.banner:
            banner = self.file.add_paragraph()
            self._styled(banner.add_run(document.banner), size=10, color="74500A").bold = True
            self._english.add(_xml(banner))
        self._words(self.file.add_paragraph(style="Title"), document.heading)
        if document.topic:
            self.file.add_paragraph(document.topic, style="Subtitle")
        facts = self.file.add_paragraph()
        self._styled(facts.add_run("  ·  ".join(document.facts)), size=10, color=_SOFT)
        self._english.add(_xml(facts))
        if document.summary:
            self._english.add(_xml(self.file.add_paragraph("Summary", style="Heading 1")))
            for runs in document.summarized:
                self._words(self.file.add_paragraph(), runs)
        if document.contents:
            self._english.add(_xml(self.file.add_paragraph("Contents", style="Heading 1")))
        for anchor, runs in document.contents:
            entry = self.file.add_paragraph(style=_BULLETS[0])
            entry.paragraph_format.space_after = Pt(2)
            self._words(entry, [replace(run, link=f"#{anchor}") for run in runs])

    def _write(self, part: Part, *, style: str | None = None, depth: int = 0) -> None:
        match part.kind:
            case "paragraph":
                self._words(self.file.add_paragraph(style=style), part.runs)
            case "heading":
                heading = self.file.add_paragraph(style=f"Heading {max(1, part.level - 1)}")
                self._bookmark(heading, part.anchor)
                self._words(heading, part.runs)
            case "code":
                self._code(part)
            case "rule":
                rule = self.file.add_paragraph("⁂")
                rule.alignment = 1
            case "quote":
                for inner in part.parts:
                    self._write(inner, style=style or "Quote", depth=depth)
            case "list":
                self._list(part, depth)
            case "item":
                pass  # its list writes it
            case "table":
                self._table(part)

    def _list(self, part: Part, depth: int) -> None:
        level = min(depth, 2)
        number = self._numbered(level, part.start) if part.start is not None else None
        style = (_BULLETS if number is None else _NUMBERS)[level]
        for item in part.parts:
            first = True
            for inner in item.parts or [Part("paragraph")]:
                if inner.kind != "paragraph":
                    self._write(inner, depth=depth + 1)
                    continue
                paragraph = self.file.add_paragraph(style=style if first else _CONTINUED[level])
                paragraph.paragraph_format.space_after = Pt(3)
                if first and number is not None:
                    properties = _xml(paragraph).get_or_add_pPr()
                    properties.get_or_add_numPr().get_or_add_numId().val = number
                if first and item.checked is not None:
                    paragraph.add_run("☑ " if item.checked else "☐ ")
                if first and item.anchor:
                    self._bookmark(paragraph, item.anchor)
                self._words(paragraph, inner.runs)
                first = False

    def _numbered(self, level: int, start: int) -> int:
        """A new numbering for one list, with the first number of that list."""
        numbering = self.file.part.numbering_part.element
        used = self.file.styles[_NUMBERS[level]].element.pPr.numPr.numId.val
        abstract = numbering.num_having_numId(used).abstractNumId.val
        made = numbering.add_num(abstract)
        made.add_lvlOverride(ilvl=0).add_startOverride(start)
        return made.numId

    def _code(self, part: Part) -> None:
        paragraph = self.file.add_paragraph()
        paragraph.paragraph_format.line_spacing = 1.0
        shade = _element("w:shd", val="clear", color="auto", fill="F5F3ED")
        _xml(paragraph).get_or_add_pPr().append(shade)
        self._styled(paragraph.add_run(part.text), size=9).font.name = "Consolas"

    def _table(self, part: Part) -> None:
        columns = max(map(len, part.rows), default=0)
        if not columns:
            return
        table = self.file.add_table(rows=0, cols=columns, style="Light Grid Accent 1")
        size = next((Pt(points) for least, points in _WIDE if columns >= least), None)
        for row in part.rows:
            made = table.add_row()
            cells = made.cells
            if row is part.rows[0]:
                head = _xml(cells[0].paragraphs[0]).getparent().getparent()
                head.get_or_add_trPr().append(_element("w:tblHeader"))
            for cell, runs, side in zip(cells, row, part.aligned, strict=False):
                paragraph = cell.paragraphs[0]
                paragraph.paragraph_format.space_after = Pt(2)
                paragraph.alignment = {"center": 1, "right": 2}.get(side)
                self._words(paragraph, runs, size)
        self.file.add_paragraph().paragraph_format.space_after = Pt(4)

    def _words(self, paragraph: Any, runs: Sequence[Run], size: Pt | None = None) -> None:
        for run in runs:
            if run.anchor:
                self._bookmark(paragraph, run.anchor)
            if run.math is not None:
                _xml(paragraph).append(parse_xml(omml_of(run.math)))
                continue
            written = self._linked(paragraph, run.link) if run.link else paragraph.add_run()
            written.text = run.text
            font = written.font
            for style, name in _FONT_STYLES.items():
                if style in run.styles:
                    setattr(font, name, True)
            if "code" in run.styles:
                font.name, font.size = "Consolas", Pt(10)
            if size is not None:
                font.size = size

    def _bookmark(self, paragraph: Any, anchor: str) -> None:
        """Set a place that links reach; Word allows no name but one of few ASCII characters."""
        if not anchor:
            return
        name = self._name(anchor)
        start = _element("w:bookmarkStart", id=name.removeprefix(_PLACE), name=name)
        end = _element("w:bookmarkEnd", id=name.removeprefix(_PLACE))
        _xml(paragraph).extend([start, end])

    def _name(self, anchor: str) -> str:
        return self._names.setdefault(anchor, f"{_PLACE}{len(self._names) + 1}")

    def _linked(self, paragraph: Any, address: str) -> Any:
        link = _element("w:hyperlink")
        if address.startswith("#"):
            link.set(qn("w:anchor"), self._name(address[1:]))
        else:
            kind = RELATIONSHIP_TYPE.HYPERLINK
            link.set(qn("r:id"), paragraph.part.relate_to(address, kind, is_external=True))
        _xml(paragraph).append(link)
        written = Written(link.add_r(), paragraph)
        written.font.underline = True
        written.font.color.rgb = RGBColor.from_string(_ACCENT)
        return written

    @staticmethod
    def _styled(run: Any, *, size: float, color: str | None = None) -> Any:
        run.font.size = Pt(size)
        if color:
            run.font.color.rgb = RGBColor.from_string(color)
        return run


def _xml(paragraph: Any) -> Any:
    """The XML of a paragraph."""
    return paragraph.paragraph_format.element


def _element(name: str, /, **attributes: str) -> Any:
    element = cast(Any, OxmlElement(name))
    for attribute, value in attributes.items():
        element.set(qn(f"w:{attribute}"), value)
    return element
