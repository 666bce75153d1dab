"""Passages cut from the pieces of a source, of 100 to 250 words where a place has as many.

A passage never goes beyond its place, a page or a section, so that its place is exact; and a
change in one place moves no passage of another. Not here: the pieces (`pieces`), ids of passages
(`library`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from prefect_llm_reports.tasks.sources.pieces import Piece
from prefect_llm_reports.tasks.sources.words import SIGNS_A_WORD, word_count

LEAST, USUAL, MOST = 100, 180, 250
"""Words of a passage: at least, where the next piece would go beyond, and at most."""

_SENTENCE_END = re.compile(
    r"(?<=[.!?\u2026][\"')\]\u2019\u201d])\s+|(?<=[.!?\u2026])\s+|(?<=[\u3002\uff01\uff1f])"
)


class Cut(NamedTuple):
    """A passage without its id."""

    place: str
    text: str
    words: int


class _Unit(NamedTuple):
    """A part of a text that is not divided any more, and what stands before it in its passage."""

    text: str
    words: int
    before: str
    row: int = 0


def cut(pieces: Iterable[Piece]) -> Iterator[Cut]:
    """Join pieces to passages, in order.

    Args:
        pieces: The text of one source.
    """
    for (place, columns, _), group in groupby(
        pieces, key=lambda piece: (piece.place, piece.columns, piece.row > 0)
    ):
        for units in _joined(_units(group)):
            text = "".join(u.before * (n > 0) + u.text for n, u in enumerate(units))
            yield Cut(_named(place, columns, units), text, sum(u.words for u in units))


def _named(place: str, columns: str, units: Sequence[_Unit]) -> str:
    first, last = units[0].row, units[-1].row
    if not first:
        return place
    rows = f"row {first}" if first == last else f"rows {first} to {last}"
    noun = "columns" if " to " in columns else "column"
    return ", ".join(filter(None, (place, rows, columns and f"{noun} {columns}")))


def _units(pieces: Iterable[Piece]) -> Iterator[_Unit]:
    for piece in pieces:
        words = word_count(piece.text)
        before = "\n" if piece.row else "\n\n"
        if words <= MOST:
            if words:
                yield _Unit(piece.text, words, before, piece.row)
            continue
        for n, part in enumerate(_parts(piece.text)):
            yield _Unit(part, word_count(part), " " if n else before, piece.row)


def _parts(text: str) -> Iterator[str]:
    """The sentences of a long paragraph, and a long sentence in pieces."""
    for sentence in filter(None, map(str.strip, _SENTENCE_END.split(text))):
        if word_count(sentence) <= MOST:
            yield sentence
            continue
        words = sentence.split()
        if len(words) > 1:
            for at in range(0, len(words), LEAST):
                yield from _slices(" ".join(words[at : at + LEAST]))
        else:
            yield from _slices(sentence)


def _slices(text: str) -> Iterator[str]:
    """Slices of a text in which no blank may stand."""
    if word_count(text) <= MOST:
        yield text
        return
    size = MOST * SIGNS_A_WORD
    for at in range(0, len(text), size):
        yield text[at : at + size]


def _joined(units: Iterable[_Unit]) -> Iterator[list[_Unit]]:
    """Join units to passages; the last two share their units where the last is too short."""
    done: list[_Unit] = []
    now: list[_Unit] = []
    size = 0
    for unit in units:
        beyond = size + unit.words > MOST
        for part in _sentences(unit) if beyond and size < LEAST else (unit,):
            if now and size + part.words > (USUAL if size >= LEAST else MOST):
                if done:
                    yield done
                done, now, size = now, [], 0
            now.append(part)
            size += part.words
    if done and size < LEAST:
        yield from _halved([*done, *now])
        return
    if done:
        yield done
    if now:
        yield now


def _sentences(unit: _Unit) -> Iterator[_Unit]:
    """The sentences of a paragraph; a row of a table stays whole."""
    if unit.row:
        yield unit
        return
    before = unit.before
    for sentence in filter(None, map(str.strip, _SENTENCE_END.split(unit.text))):
        yield _Unit(sentence, word_count(sentence), before)
        before = " "


def _halved(units: list[_Unit]) -> Iterator[list[_Unit]]:
    """Divide units into two passages of about the same size, or none if one holds them."""
    whole = sum(unit.words for unit in units)
    if whole <= MOST:
        yield units
        return
    parts = [part for unit in units for part in _sentences(unit)]
    first: list[_Unit] = []
    size = 0
    while parts[1:] and size + parts[0].words / 2 <= whole / 2:
        size += parts[0].words
        first.append(parts.pop(0))
    yield from filter(None, (first, parts))
