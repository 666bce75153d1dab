"""Files of inputs for branches: the parts of an input.

Here: texts and objects, as values of JSON. Not here: files and their formats (`files`), which
inputs are fit for a program (`branches.questions`).
"""

from __future__ import annotations

from typing import Any

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.inputs.files import Contents, Entry, read_entries
from prefect_llm_reports.tasks.inputs.problems import Misplaced, first
from prefect_llm_reports.tasks.inputs.trees import Numeral, value_of

MAX_QUERIES = 100_000


def read_queries(name: str, raw: bytes) -> list[Entry]:
    """Read a file of inputs; at most one entry over the limit is returned.

    A .txt file holds one text a line; .yaml and .json a list of texts or objects; .csv an object
    for each row, by the names in the first one, or texts where there is one column.

    Args:
        name: The file's name or address; its ending decides the format.
        raw: The file as stored.

    Raises:
        BadInput: It cannot be read, or an entry stands for no value; the first 20 are listed.
    """
    found: list[Entry] = []
    problems: list[str] = []
    for place, written in read_entries(name, raw, _QUERIES, MAX_QUERIES):
        try:
            found.append(Entry(place, _value(place, written)))
        except BadInput as bad:
            problems += bad.problems
    if problems:
        raise BadInput(*first(problems))
    return found


def _value(place: str, written: Any) -> Any:
    if isinstance(written, Misplaced) and not isinstance(written, Numeral):
        raise BadInput(f"{place}: {written.found}; correct it")
    return value_of(place, written)


def _columns(place: str, row: list[str]) -> list[str]:
    columns = [column.strip() for column in row]
    if not columns or not all(columns) or len(set(columns)) < len(columns):
        raise BadInput(f"{place}: wanted distinct names of columns; write them there")
    return columns


def _row(cells: dict[str, str]) -> Any:
    """A row as an object, or as a text where there is one column; None: all cells are blank."""
    if not any(cell.strip() for cell in cells.values()):
        return None
    return cells if len(cells) > 1 else next(iter(cells.values()))


_QUERIES = Contents("queries", _columns, (), _row)
