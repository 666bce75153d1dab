"""Columns of a table on paper: as wide as their words need, on an upright or a turned page.

Here: widths, and tables cut into several where no page is wide enough. Not here: how a table is set
(`pages.pdf`), tables on pages for browsers (`text.html`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from prefect_llm_reports.tasks.pages.parts import Part, Run

UPRIGHT, TURNED = 453.0, 700.0
"""Width of the text on A4 in points."""
INDENT = 22.0
"""Width that a list or quote around a table takes."""
GAP = 10.5
"""Space at both sides of a cell together."""
SIZES = (9.5, 8.5, 7.5)
COMFORT = 14
"""Characters of a cell that should fit on a line."""
SHARE = 0.34
"""Share of the width that a first column may have to be repeated in each part of a cut table."""
LONGEST = 26
"""Characters of a word that must not be broken."""

_SPACE = re.compile(r"\s+")
_BREAKABLE = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\u0e00-\u0eff]")


@dataclass(frozen=True)
class Columns:
    """Some columns of a table as they stand on a page.

    Attributes:
        places: The columns, by their places in the table.
        widths: Their widths in points; empty: as wide as their words.
        size: The size of the letters in points.
        turned: Whether they need a page of their own, turned.
        most: Characters of a word that fit in each column.
    """

    places: tuple[int, ...]
    widths: tuple[float, ...]
    size: float
    turned: bool
    most: tuple[int, ...]


@dataclass(frozen=True)
class _Need:
    """Width of a column in the size of its letters: all its words, a comfortable line, a word."""

    whole: float
    line: float
    word: float


def columns_of(table: Part, depth: int = 0) -> list[Columns]:
    """How the columns of a table stand on paper; more than one: it is cut.

    Args:
        table: The table.
        depth: Lists and quotes around it; a table among them is not turned.
    """
    needs = [_need(cells) for cells in _by_column(table.rows)]
    every = tuple(range(len(needs)))
    upright = max(UPRIGHT / 3, UPRIGHT - INDENT * depth)
    if _sum(needs, "whole", SIZES[0]) <= upright:
        return [Columns(every, (), SIZES[0], turned=False, most=(LONGEST,) * len(every))]
    pages = [(size, upright, False) for size in SIZES]
    if not depth:
        pages += [(size, TURNED, True) for size in SIZES]
    for what in ("line", "word"):
        for size, room, turned in pages:
            if _sum(needs, what, size) <= room:
                return [_laid(every, needs, size, room, turned=turned)]
    return _cut(needs, upright)


def _cut(needs: Sequence[_Need], upright: float) -> list[Columns]:
    """Parts of a table that is too wide for any page; each begins with the first column."""
    size = SIZES[1]
    first = _sum(needs[:1], "line", size)
    head = (0,) if first <= SHARE * upright else ()
    groups: list[tuple[int, ...]] = []
    group: tuple[int, ...] = head
    for place in range(len(head), len(needs)):
        wider = [needs[n] for n in (*group, place)]
        if group != head and _sum(wider, "line", size) > upright:
            groups.append(group)
            group = head
        group = (*group, place)
    groups.append(group)
    return [_laid(group, needs, size, upright, turned=False) for group in groups]


def _laid(
    places: tuple[int, ...], needs: Sequence[_Need], size: float, room: float, *, turned: bool
) -> Columns:
    """Share out the room: each column has its longest word, and the rest goes by their text."""
    own = [needs[place] for place in places]
    least = [need.word * size + GAP for need in own]
    spare = room - sum(least)
    wants = [max(0.1, min(need.whole, 4 * need.line) - need.word) for need in own]
    if spare >= 0:
        widths = [w + spare * want / sum(wants) for w, want in zip(least, wants, strict=True)]
    else:
        widths = [w * room / sum(least) for w in least]
    most = tuple(max(3, int((width - GAP) / (0.56 * size))) for width in widths)
    return Columns(places, tuple(round(w, 2) for w in widths), size, turned, most)


def _by_column(rows: Sequence[Sequence[list[Run]]]) -> list[list[list[Run]]]:
    count = len(rows[0]) if rows else 0
    return [[row[place] for row in rows if place < len(row)] for place in range(count)]


def _need(cells: Sequence[list[Run]]) -> _Need:
    whole = word = 0.0
    for number, cell in enumerate(cells):
        stretch = 1.1 if number == 0 else 1.0  # the head is bold
        line = 0.0
        for run in cell:
            code = "code" in run.styles
            for part in run.text.split("\n"):
                line = _width(part, code=code) * stretch + (line if part == run.text else 0.0)
                whole = max(whole, line)
        for piece in _SPACE.split("".join(run.text for run in cell)):
            code = any("code" in run.styles for run in cell)
            cut = piece[:2] if _BREAKABLE.search(piece) else piece[:LONGEST]
            word = max(word, _width(cut, code=code) * stretch)
    return _Need(whole, max(word, min(whole, COMFORT * 0.5)), word)


def _sum(needs: Sequence[_Need], what: str, size: float) -> float:
    return sum(getattr(need, what) * size + GAP for need in needs)


@lru_cache(maxsize=4096)
def _width(text: str, *, code: bool) -> float:
    """About the width of a text, in the size of its letters; rather too wide than too narrow."""
    if code:
        return len(text) * 0.6
    return sum(map(_width_of, text))


@lru_cache(maxsize=4096)
def _width_of(sign: str) -> float:
    if sign in " .,;:'|!ijl()[]-/":
        return 0.34
    if unicodedata.east_asian_width(sign) in "WF":
        return 1.0
    if unicodedata.combining(sign):
        return 0.0
    if sign in "mwMW@%&—":
        return 0.9
    return 0.68 if sign.isupper() else 0.54
