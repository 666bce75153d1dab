"""Words of a text as comparisons take them; in scripts without spaces, clusters of characters.

Here: words in order, pairs of neighbouring words, and the most similar of many texts, found in time
that grows with their length. Not here: what differs between two texts (`text.differences`,
`text.changes`).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

MAX_PAIRS = 3_000
"""Pairs of words of one text that count for its likeness to others."""
COMMON = 12
"""A pair of words that more texts have says nothing about their likeness."""
LOOKED_AT = 4
FEW = 32
"""So few texts are compared with each other one, which is quicker than an index."""

_LETTERS = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\u3040-\u30ff"
    "\u3100-\u312f\u3400-\u9fff\uaa60-\uaadf\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Scripts that put no space between words: Thai, Lao, Tibetan, Burmese, Khmer, Tai, Kana, Han."""
_MARKS = "".join(
    chr(code)
    for first, last in (
        (0x300, 0x36F),
        (0xE00, 0x109F),
        (0x1780, 0x17FF),
        (0x1A20, 0x1AAF),
        (0x3099, 0x309A),
        (0xAA60, 0xAADF),
    )
    for code in range(first, last + 1)
    if unicodedata.category(chr(code)).startswith("M") or code in (0xE33, 0xEB3)
)
_MARKED = f"[{_MARKS}\ufe00-\ufe0f\U000e0100-\U000e01ef\u200d]*"
_UNSPACED = re.compile(f"[{_LETTERS}]")
_WORD = re.compile(r"\S+\s*")
_ANY_WORD = re.compile(rf"[{_LETTERS}]{_MARKED}\s*|[^\s{_LETTERS}]+\s*")


def words_of(text: str) -> list[str]:
    """The words of a text in order, each with the space after it; together they are the text.

    A character of a script without spaces counts as a word, with the marks on it.

    Args:
        text: A text that does not begin with space.
    """
    if not text.isascii() and _UNSPACED.search(text):
        return _ANY_WORD.findall(text)
    if " ".join(text.split()) == text and "\0" not in text:  # quicker, and most texts are so
        return text.replace(" ", " \0").split("\0") if text else []
    return _WORD.findall(text)


def bare_words(text: str) -> list[str]:
    """The words of a text in order, without space."""
    if text.isascii() or not _UNSPACED.search(text):
        return text.split()
    return [word.rstrip() for word in _ANY_WORD.findall(text)]


def pairs_of(text: str) -> frozenset[tuple[str, str]]:
    """The distinct pairs of neighbouring words; a text of one word pairs it with nothing."""
    return pairs_among(bare_words(text))


def pairs_among(words: Sequence[str]) -> frozenset[tuple[str, str]]:
    """The distinct pairs of neighbours among some words; one word is paired with nothing."""
    first = words[: MAX_PAIRS + 1]
    return frozenset(pairwise(first)) or frozenset((word, "") for word in first)


class Likest:
    """Finds the most similar of many texts by the pairs of words that few of them have.

    Args:
        texts: The texts.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._pairs = [pairs_of(text) for text in texts]
        self._few = len(self._pairs) <= FEW
        self._where: dict[tuple[str, str], list[int]] = {}
        for place, pairs in enumerate([] if self._few else self._pairs):
            for pair in pairs:
                where = self._where.setdefault(pair, [])
                if len(where) <= COMMON:
                    where.append(place)

    def find(self, text: str, least: float) -> int | None:
        """The place of the most similar text that is not taken; None: none is similar enough.

        Args:
            text: The text that it should be like.
            least: Twice the shared pairs by all pairs of both, at least.
        """
        pairs = pairs_of(text)
        shared: Counter[int] = Counter()
        if self._few:
            for place, other in enumerate(self._pairs):
                shared[place] = len(pairs & other)
        for pair in () if self._few else pairs:
            where = self._where.get(pair, ())
            if len(where) <= COMMON:
                shared.update(where)
        best, found = least, None
        for place in sorted(shared, key=lambda place: (-shared[place], place))[:LOOKED_AT]:
            other = self._pairs[place]
            likeness = 2 * len(pairs & other) / ((len(pairs) + len(other)) or 1)
            if likeness >= best and (found is None or likeness > best):
                best, found = likeness, place
        return found

    def take(self, place: int) -> None:
        """Leave a text out from now on."""
        for pair in self._pairs[place]:
            where = self._where.get(pair, [])
            if len(where) <= COMMON and place in where:
                where.remove(place)
        self._pairs[place] = frozenset()
