"""Rows of cells from CSV, and the columns that they belong to.

Here: what separates cells and rows in the files that spreadsheets export. Not here: the columns
that a file may have (`topics`, `queries`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Sequence

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.inputs.problems import Misplaced

DELIMITER = ","
OTHER_DELIMITERS = (";", "\t", "|")

Row = tuple[str, list[str]]
"""A row's place, for messages, and its cells."""


def csv_rows(name: str, text: str) -> Iterator[Row]:
    """The rows of a CSV file, blank ones included.

    Rows are counted as a spreadsheet does: the first is row 1, a quoted newline adds none.

    Args:
        name: The file's name, for messages.
        text: Its content.

    Raises:
        BadInput: It cannot be read, with the row.
    """
    content = io.StringIO(text.rstrip("\r\n"), newline="")
    rows = csv.reader(content, strict=True, delimiter=DELIMITER)
    number = 0
    try:
        for number, row in enumerate(rows, start=1):
            yield f"{name} row {number}", row
    except csv.Error as error:
        said = f"not readable as CSV ({error}); close every quote, and double a quote inside quotes"
        raise BadInput(f"{name} row {number + 1}: {said}") from error


def refuse_other_delimiter(first: Row, known: Collection[str]) -> None:
    """Refuse a first row that is one cell, yet two or more column names with another delimiter.

    Args:
        first: The first row.
        known: The names that columns can have.

    Raises:
        BadInput: It is, with the delimiter that was seen.
    """
    place, row = first
    for other in OTHER_DELIMITERS if len(row) == 1 else ():
        parts = [part.strip().lower() for part in row[0].split(other)]
        if len(parts) > 1 and all(part in known for part in parts):
            said = f"columns are separated by {other!r}, wanted {DELIMITER!r}; use commas"
            raise BadInput(f"{place}: {said}")


def cells_of(row: Sequence[str], columns: Sequence[str]) -> dict[str, str] | Misplaced:
    """A row's cells by column; missing cells are blank, blank ones beyond the columns are dropped.

    Args:
        row: The cells.
        columns: The names of the columns.

    Returns:
        The cells; in words what was found, where there are more cells than columns.
    """
    if any(cell.strip() for cell in row[len(columns) :]):
        return Misplaced(f"{len(row)} cells for the columns {', '.join(columns)}")
    return {**dict.fromkeys(columns, ""), **dict(zip(columns, row, strict=False))}
