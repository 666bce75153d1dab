"""A topic's row in templates: `{{ row.region }}`, or `{{ row["Net sales"] }}`.

Here: the value that templates see as `row`, and the guidance that names it. Not here: rows of
files (`inputs.topics`), the sandbox (`sandbox`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

NAMES_ROW = re.compile(r"\{[{%][^{}]*\brow\b")
"""A text that is a template about a row; every other text stays as it is."""


class Row:
    """A row's cells by the names of their columns; a template reaches nothing else.

    `Net sales` is also `row.Net_sales` and `row.net_sales`, if no other column has this name.

    Args:
        cells: The cells.
    """

    __slots__ = ("_cells", "_columns")

    def __init__(self, cells: Mapping[str, str]) -> None:
        self._columns = list(cells)
        self._cells: dict[str, str] = {}
        for shape in (_plain, _small):
            for name, cell in cells.items():
                self._cells.setdefault(shape(name), cell)
        self._cells |= cells

    def __getitem__(self, name: str) -> str:
        return self._cells[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


def _plain(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_")


def _small(name: str) -> str:
    return _plain(name).casefold()
