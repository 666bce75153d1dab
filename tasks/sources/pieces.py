"""Pieces of a source: its text as a reader sees it, paragraph by paragraph, with exact places.

Not here: the readers of file formats, the passages that pieces are joined to (`cutting`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

HEADINGS = " > "
"""Stands between the headings of a place."""
LONGEST_HEADING = 200
"""Characters of a heading in a place."""


class Unreadable(Exception):
    """A file cannot be read; the message says why, and what to do about it."""


class Piece(NamedTuple):
    """A paragraph, or a row of a table.

    Attributes:
        text: Its text, without blanks at its ends.
        place: Where it stands: a page's label, or the headings above it. Empty: not known.
        row: The row's number in its table, from 1; 0: it is a paragraph.
        columns: The columns that the row's table has, such as `A to D`.
    """

    text: str
    place: str = ""
    row: int = 0
    columns: str = ""


class Headings:
    """The headings above what is being read, as a place."""

    def __init__(self) -> None:
        self._levels: list[tuple[int, str]] = []
        self.place = ""

    def __call__(self, level: int, text: str) -> None:
        """Begin a section.

        Args:
            level: Its level, from 1.
            text: Its heading.
        """
        while self._levels and self._levels[-1][0] >= level:
            self._levels.pop()
        self._levels.append((level, " ".join(text.split())[:LONGEST_HEADING]))
        self.place = HEADINGS.join(name for _, name in self._levels if name)


@dataclass
class Reading:
    """What a reader found in a file.

    Attributes:
        pieces: Its text in order.
        skipped: What was left out, and why, one sentence each.
    """

    pieces: list[Piece] = field(default_factory=list[Piece])
    skipped: list[str] = field(default_factory=list[str])
