"""Rows of tables as pieces: each cell with the name of its column, so that it stands by itself.

Not here: how a format keeps its tables (`csv_file`, `workbook_file`, `html_file`, `word_file`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from prefect_llm_reports.tasks.sources.pieces import Piece

_NUMBER = re.compile(r"[-+(]?[\d.,' %\u00a0\u202f$\u20ac\u00a3\u00a5)]+")
_LONGEST_NAME = 60


def row_pieces(
    rows: Iterable[tuple[int, Sequence[str]]], place: str, *, header: bool | None = None
) -> Iterator[Piece]:
    """The rows of one table, each `Region: North; Sales: 12`.

    Args:
        rows: Numbers from 1, and cells; empty rows may be among them.
        place: Where the table stands.
        header: Whether the first row names the columns; None: it does if it reads so.
    """
    found = iter(rows)
    first = next(((number, row) for number, row in found if any(row)), None)
    if first is None:
        return
    names: list[str] = []
    if _is_header(first[1]) if header is None else header:
        names = [" ".join(cell.split()) for cell in first[1]]
        while names and not names[-1]:
            names.pop()
    count = 0
    for number, row in found if names else _before(first, found):
        if any(row):
            count += 1
            yield _piece(number, row, names, place)
    if names and not count:  # a table that has a first row only
        yield _piece(*first, [], place)


def _before(
    first: tuple[int, Sequence[str]], rest: Iterable[tuple[int, Sequence[str]]]
) -> Iterator[tuple[int, Sequence[str]]]:
    yield first
    yield from rest


def _is_header(row: Sequence[str]) -> bool:
    """Whether a first row names columns: several short texts, no number, all distinct."""
    cells = [cell.strip() for cell in row]
    while cells and not cells[-1]:
        cells.pop()
    names = [cell for cell in cells if cell]
    return (
        len(names) > 1
        and len(names) >= len(cells) - 1
        and len({name.casefold() for name in names}) == len(names)
        and not any(_NUMBER.fullmatch(name) or len(name) > _LONGEST_NAME for name in names)
    )


def _piece(number: int, row: Sequence[str], names: Sequence[str], place: str) -> Piece:
    used = [at for at, cell in enumerate(row) if cell.strip()]
    cells: list[str] = []
    for at in used:
        cell = " ".join(row[at].split())
        name = names[at] if at < len(names) else ""
        cells.append(f"{name}: {cell}" if name else cell)
    return Piece("; ".join(cells), place, number, _columns(row, names))


def _columns(row: Sequence[str], names: Sequence[str]) -> str:
    used = max((at for at, cell in enumerate(row, 1) if cell.strip()), default=1)
    width = max(len(names), used) if names else used
    return letters(1) if width == 1 else f"{letters(1)} to {letters(width)}"


def letters(column: int) -> str:
    """A column's name as spreadsheets show it: A, B, … Z, AA.

    Args:
        column: Its number, from 1.
    """
    name = ""
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return name
