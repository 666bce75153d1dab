"""Excel workbooks, which openpyxl reads: each sheet that people see, row by row.

Hidden sheets, rows, columns and cells are left out. Not here: workbooks of topics
(`inputs.workbooks`).
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, time
from typing import Any
from xml.parsers.expat import ParserCreate

from prefect_llm_reports.tasks.sources.packed import opened
from prefect_llm_reports.tasks.sources.pieces import Piece, Reading, Unreadable
from prefect_llm_reports.tasks.sources.rows import row_pieces
from prefect_llm_reports.tasks.sources.unseen import Unseen

MOST_COLUMNS = 500
MOST_ROWS = 1_048_576
_PERCENT = re.compile(r"0(?:\.(0+))?%")


def read_workbook(raw: bytes) -> Reading:
    """The rows of every visible sheet; a sheet's first row names the columns if it reads so.

    Args:
        raw: The file.

    Raises:
        Unreadable: It is not a workbook, or encrypted, or damaged.
    """
    try:
        from openpyxl.reader.excel import ExcelReader
    except ImportError:
        raise Unreadable(
            "needs openpyxl, which is not installed; pip install 'prefect-llm-reports[sources]'"
        ) from None
    unseen = Unseen()
    opener: Any = ExcelReader
    with opened(raw, "xl/", "workbook (.xlsx)") as archive:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of styles and extensions, which are not read
                reader = opener(io.BytesIO(raw), read_only=True, data_only=True, keep_links=False)
                reader.read()
            files = {sheet.name: part.target for sheet, part in reader.parser.find_sheets()}
            with closing(reader.wb) as book:
                pieces = [
                    piece
                    for sheet in book.worksheets
                    for piece in _sheet(sheet, archive, files[sheet.title], unseen)
                ]
        except MemoryError:
            raise
        except Exception as error:  # openpyxl raises of many kinds for damaged files
            raise Unreadable(f"damaged ({type(error).__name__}); save it in Excel again") from None
    return Reading(pieces, unseen.said())


def _sheet(sheet: Any, archive: zipfile.ZipFile, file: str, unseen: Unseen) -> Iterator[Piece]:
    sheet.reset_dimensions()  # some programs write wrong ones
    rows, columns = _hidden_parts(archive, file)
    place = f"sheet {' '.join(sheet.title.split())}"
    whole = "hidden sheet" if sheet.sheet_state != "visible" else ""

    def shown() -> Iterator[tuple[int, list[str]]]:
        found: Any = sheet.iter_rows(max_col=MOST_COLUMNS, max_row=MOST_ROWS)
        for number, row in enumerate(found, 1):
            hidden = whole or ("hidden row" if number in rows else "")
            texts: list[str] = []
            for column, cell in enumerate(row, 1):
                text = _text(cell)
                how = hidden or ("hidden column" if column in columns else "")
                how = how or (_unseen_cell(cell) if text else "")
                if how:
                    unseen(text, how)
                texts.append("" if how else unseen.clean(text))
            yield number, texts

    yield from row_pieces(shown(), place)


def _hidden_parts(archive: zipfile.ZipFile, file: str) -> tuple[set[int], set[int]]:
    """The numbers of a sheet's hidden rows and columns, which openpyxl does not read here."""
    rows: set[int] = set()
    columns: set[int] = set()
    number = 0

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal number
        match name.rpartition(":")[2]:
            case "row":
                number = int(attributes.get("r") or number + 1)
                if _is_hidden(attributes, "ht"):
                    rows.add(number)
            case "col" if _is_hidden(attributes, "width"):
                first, last = int(attributes.get("min", "1")), int(attributes.get("max", "1"))
                columns.update(range(first, min(last, MOST_COLUMNS) + 1))
            case _:
                pass

    parser = ParserCreate()
    parser.StartElementHandler = begin
    with archive.open(file) as sheet:
        parser.ParseFile(sheet)
    return rows, columns


def _is_hidden(attributes: dict[str, str], size: str) -> bool:
    return attributes.get("hidden") in ("1", "true") or attributes.get(size) == "0"


def _unseen_cell(cell: Any) -> str:
    """How a cell's text is hidden; empty: a reader sees it."""
    if not getattr(cell, "has_style", False):
        return ""
    if cell.number_format.replace(" ", "") == ";;;":
        return "format ;;;"
    font, fill = cell.font, cell.fill
    if font is None:
        return ""
    if font.sz is not None and font.sz < 1:
        return "below 1 pt"
    colour = _rgb(font.color)
    behind = "FFFFFF"
    if fill is not None and fill.fill_type is not None:
        behind = _rgb(fill.fgColor) or ""
    if colour and colour == behind:
        return "white" if colour == "FFFFFF" else "coloured like its background"
    return ""


def _rgb(colour: Any) -> str:
    """Red, green and blue as six digits; empty: not known."""
    if colour is None:
        return ""
    if colour.type == "rgb" and isinstance(colour.rgb, str):
        return colour.rgb[-6:].upper()
    if colour.type == "theme" and colour.theme == 0 and not colour.tint:
        return "FFFFFF"
    return "FFFFFF" if colour.type == "indexed" and colour.indexed in (1, 9) else ""


def _text(cell: Any) -> str:
    value = cell.value
    match value:
        case None:
            return ""
        case bool():
            return "TRUE" if value else "FALSE"
        case int() | float():
            return _number(value, cell.number_format or "")
        case datetime() if value.time() == time():
            return value.date().isoformat()
        case datetime():
            return value.isoformat(" ")
        case date() | time():
            return value.isoformat()
        case _:
            return str(value)


def _number(value: float, shape: str) -> str:
    """A number as written; a share in percent as the sheet shows it."""
    if found := _PERCENT.fullmatch(shape):
        return f"{value * 100:.{len(found[1] or '')}f}%"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.15g}" if isinstance(value, float) else str(value)
