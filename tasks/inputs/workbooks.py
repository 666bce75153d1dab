"""Rows of cells from Excel's own files, which openpyxl reads.

Here: the first sheet that people see, as texts. Not here: the meaning of its columns (`topics`,
`queries`), CSV that Excel exports (`tables`).
"""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, time
from itertools import islice
from typing import Any

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.inputs.tables import Row, without_empty

UNPACKED_MB = 200
"""Size that a workbook may have unpacked."""
MOST_COLUMNS = 200
MOST_ROWS = 1_048_576
ZIP, OLD = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
"""First bytes of Excel's files, and of its old or encrypted ones."""


def workbook_rows(name: str, raw: bytes) -> Iterator[Row]:
    """The rows of a workbook's first visible sheet, empty ones at its beginning and end left out.

    Args:
        name: The file's name, for messages.
        raw: The file as stored.

    Raises:
        BadInput: openpyxl is not installed, or the file is not a workbook, or is too large.
    """
    if raw.startswith(OLD):
        said = "an old or password-protected Excel file; save it as .xlsx without a password"
        raise BadInput(f"{name}: {said}")
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise BadInput(
            f"{name}: needs openpyxl, which is not installed;"
            " pip install 'prefect-llm-reports[xlsx]', or save the file as CSV UTF-8"
        ) from None
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as packed:
            size = sum(part.file_size for part in packed.infolist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        raise BadInput(f"{name}: not an Excel workbook; save it as .xlsx again") from None
    if size > UNPACKED_MB * 1_000_000:
        said = f"{size:,} bytes unpacked, a workbook may have {UNPACKED_MB} MB; split it"
        raise BadInput(f"{name}: {said}")
    opened: Any = load_workbook
    return without_empty(name, _rows(name, raw, opened))


def _rows(name: str, raw: bytes, opened: Any) -> Iterator[list[str]]:
    number = 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and extensions, which are not read
            book = opened(io.BytesIO(raw), read_only=True, data_only=True, keep_links=False)
        with closing(book):
            sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
            if not sheets:
                raise BadInput(f"{name}: no visible sheet; add one")
            sheets[0].reset_dimensions()  # some programs write wrong ones
            found: Any = sheets[0]
            rows: Iterator[list[Any]] = found.iter_rows(max_col=MOST_COLUMNS, max_row=MOST_ROWS)
            for number, row in enumerate(islice(rows, MOST_ROWS), start=1):
                yield [_text(f"{name} row {number}", cell) for cell in row]
    except BadInput:
        raise
    except Exception as error:  # openpyxl raises of many kinds for damaged files
        raise BadInput(
            f"{name} row {number + 1}: not readable as a workbook ({type(error).__name__});"
            " open it in Excel, and save it as .xlsx again"
        ) from None


def _text(place: str, cell: Any) -> str:
    value = cell.value
    if cell.data_type == "e":
        raise BadInput(f"{place}: a cell shows the error {value}; correct the formula")
    match value:
        case None:
            return ""
        case bool():
            return "TRUE" if value else "FALSE"
        case float() if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        case datetime() if value.time() == time():
            return value.date().isoformat()
        case datetime() | date() | time():
            return value.isoformat()
        case _:
            return str(value)
