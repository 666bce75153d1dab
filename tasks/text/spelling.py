"""What a person may have meant by a word that is not known.

Not here: which words are known.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

ALIKE = 0.6
"""Least likeness of two words, from 0 to 1, for one to be meant by the other."""


def meant(word: str, known: Iterable[str]) -> str:
    """The known word that is most like a word; empty: none is like it.

    Args:
        word: The word as a person wrote it.
        known: The words that would have been right.
    """
    by_letters = {_letters(one): one for one in known}
    close = get_close_matches(_letters(word), by_letters, n=1, cutoff=ALIKE)
    return by_letters[close[0]] if close else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean WORD?`, or nothing.

    Args:
        word: The word as a person wrote it.
        known: The words that would have been right.
    """
    found = meant(word, known)
    return f"; did you mean {found}?" if found else ""


def _letters(word: str) -> str:
    """A word without the differences that no one means: case, dashes, underscores."""
    return word.casefold().replace("_", "").replace("-", "")
