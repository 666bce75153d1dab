"""Rows of cells from CSV, and the columns that they belong to.

Here: the delimiters and quotes in files that spreadsheets export. Not here: the columns
that a file may have (`topics`, `queries`).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.inputs.headers import reads_like_header
from prefect_llm_reports.tasks.inputs.problems import Misplaced, short

DELIMITER = ","
DELIMITERS = (DELIMITER, ";", "\t", "|")
LOOKED_AT = 50
"""First rows, which show the delimiter and the empty columns."""

Row = tuple[str, list[str]]
"""A row's place, for messages, and its cells."""

_SEP = re.compile(r"""\s*"?sep=(.)"?[,;\t| ]*(?:\r\n|\r|\n|\Z)""", re.I)
"""Excel's own first line that names the delimiter."""


def csv_rows(
    name: str, text: str, names_title: Callable[[Sequence[str]], bool] = lambda row: False
) -> Iterator[Row]:
    """The rows of a CSV file, empty ones at its beginning and end left out.

    Rows are counted as a spreadsheet does: the first is row 1, a quoted newline adds none, and
    Excel's line `sep=;` is no row.

    Args:
        name: The file's name, for messages.
        text: Its content.
        names_title: Whether a row is a header that a reader knows; it decides the delimiter.

    Raises:
        BadInput: It cannot be read, with the row.
    """
    text = text.rstrip("\r\n\x1a")  # Ctrl-Z ends a file of DOS
    if said := _SEP.match(text):
        text, delimiter = text[said.end() :], said[1]
        if delimiter not in DELIMITERS:
            wanted = "wanted one of , ; | and the tab; export the table again"
            raise BadInput(f"{name} row 1: the line sep= names {delimiter!r}, {wanted}")
    else:
        delimiter = _delimiter(text, names_title)
    return without_empty(name, _cells(name, text, delimiter))


def without_empty(name: str, rows: Iterable[list[str]]) -> Iterator[Row]:
    """Number rows from one, and leave empty ones out at the beginning and at the end.

    Args:
        name: The file's name, for messages.
        rows: The cells of each row.
    """
    begun, empty = False, 0
    for number, row in enumerate(rows, start=1):
        if not any(row):
            empty += 1
            continue
        if begun:
            for before in range(number - empty, number):
                yield f"{name} row {before}", []
        begun, empty = True, 0
        yield f"{name} row {number}", row


def _cells(name: str, text: str, delimiter: str) -> Iterator[list[str]]:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    number = 1
    try:
        for row in rows:
            yield row
            number += 1
    except csv.Error as error:
        said = f"not readable as CSV ({error}); close every quote, and double a quote inside quotes"
        raise BadInput(f"{name} row {number}: {said}") from error


def _delimiter(text: str, names_title: Callable[[Sequence[str]], bool]) -> str:
    """The delimiter of a table: that of its header, else the one that all rows have alike."""
    parsed = {found: _first_rows(text, found) for found in DELIMITERS}
    firsts = {found: rows[0] for found, rows in parsed.items() if rows}
    for found, row in firsts.items():
        if names_title(row):
            return found
    for found, row in firsts.items():
        if len(row) > 1 and reads_like_header(row):
            return found
    for found, rows in parsed.items():
        widths = {len(row) for row in rows}
        if len(widths) == 1 and max(widths) > 1 and not _is_prose(rows, found):
            return found
    return DELIMITER


def _is_prose(rows: Sequence[Sequence[str]], delimiter: str) -> bool:
    """Whether a semicolon or a bar stands in sentences: a space follows it everywhere."""
    return delimiter in ";|" and all(cell.startswith(" ") for row in rows for cell in row[1:])


def _first_rows(text: str, delimiter: str) -> list[list[str]]:
    """The first rows that are not empty, as far as they can be read."""
    found: list[list[str]] = []
    rows = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    with suppress(csv.Error):
        found += islice((row for row in rows if any(row)), LOOKED_AT)
    return found


def unused_at_end(rows: Sequence[Sequence[str]]) -> int:
    """The number of columns at the end that are empty in all of these rows.

    Args:
        rows: A header, and the rows below it.
    """
    width = len(rows[0]) if rows else 0
    used = max((n for row in rows for n, cell in enumerate(row, 1) if cell.strip()), default=0)
    return max(width - used, 0)


def cells_of(row: Sequence[str], columns: Sequence[str]) -> dict[str, str] | Misplaced:
    """A row's cells by column; missing cells are blank, blank ones beyond the columns are dropped.

    Args:
        row: The cells.
        columns: The names of the columns; a column without a name may hold blank cells only.

    Returns:
        The cells; or a description of them, if there are more cells than columns.
    """
    if any(cell.strip() for cell in row[len(columns) :]):
        return Misplaced(f"{len(row)} cells for the columns {', '.join(filter(None, columns))}")
    cells = list(zip(columns, row, strict=False))
    if lost := [cell for column, cell in cells if not column and cell.strip()]:
        return Misplaced(f"the cell {short(lost[0])!r} in a column without a name")
    found = {**dict.fromkeys(columns, ""), **dict(cells)}
    found.pop("", None)
    return found
