"""Quotations found in passages: the same words in the same order, whatever the typography.

Here: one quotation and one passage, the words that a text has, ellipses. Not here: which passage a
note names (`notes`), what a verdict follows from it (`checking`).
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Iterator
from functools import lru_cache

from prefect_llm_reports.tasks.citations.folding import ITEM, SOFT, Folded, folded, spaceless

LEAST_WORDS = 4
"""Words that a quotation has at least."""
MOST_SKIPPED = 40
"""Words that one ellipsis may stand for."""
CHARS_A_WORD = {"cjk": 2, "other": 4}
"""Characters that count as a word in scripts without blanks: Chinese and Japanese, and others."""

_ELLIPSIS = re.compile(r"\\?[\[(]\s*(?:…|\.\s?\.\s?\.)\s*\\?[\])]|…+|\.\s?\.\s?\.+")
_ENDS = " '.,;:!?。、؟۔।॥、" + SOFT + ITEM
_WORD = re.compile(r"[^\W_]+(?:['.,-][^\W_]+)*")
_BETWEEN = " -" + SOFT + ITEM
_MOST_TRIES = 2000


def words_in(text: str) -> int:
    """The number of words of a text; in scripts without blanks, by its characters."""
    cjk = other = 0
    spaced = text
    if not text.isascii():
        signs = [sign for sign in text if sign.isalpha() and spaceless(sign)]
        cjk = sum(sign >= "\u2fff" for sign in signs)
        other = len(signs) - cjk
        if signs:
            spaced = "".join(" " if spaceless(sign) else sign for sign in text)
        spaced = "".join(s for s in spaced if unicodedata.category(s)[0] != "M")
    spaced_words = sum(1 for _ in _WORD.finditer(spaced))
    return spaced_words + cjk // CHARS_A_WORD["cjk"] + other // CHARS_A_WORD["other"]


def long_enough(quote: str) -> bool:
    """Whether a quotation has at least four words."""
    return words_in(quote) >= LEAST_WORDS


def located(quote: str, passage: str) -> tuple[int, int] | None:
    """Find a quotation in a passage; None: it does not stand there.

    Args:
        quote: The quoted words; an ellipsis stands for up to 40 words of the passage.
        passage: The passage's text, as the model saw it.

    Returns:
        The first character of the quotation in the passage, and one past its last.
    """
    parts = parts_of(quote)
    if not parts:
        return None
    text = folded(passage)
    found = _chain(parts, text, 0, 0, [0])
    return text.span(*found) if found else None


@lru_cache(maxsize=4096)
def parts_of(quote: str) -> tuple[str, ...]:
    """The folded parts of a quotation, between its ellipses."""
    parts = (_trimmed(folded(part).text) for part in _ELLIPSIS.split(quote))
    return tuple(part for part in parts if part)


def _trimmed(part: str) -> str:
    """A part without punctuation at its ends; the sign of a number stays."""
    part = part.strip(_ENDS).rstrip("-" + _ENDS)
    while part[:1] == "-" and not part[1:2].isdigit():
        part = part[1:].lstrip(_ENDS)
    return part


def _chain(
    parts: tuple[str, ...], text: Folded, at: int, after: int, tries: list[int]
) -> tuple[int, int] | None:
    """Find the parts from `at` on in order; the first after a gap of at most 40 words."""
    for start, end in _places(parts[at], text, after):
        tries[0] += 1
        if tries[0] > _MOST_TRIES:
            return None
        if at and words_in(text.text[after:start]) > MOST_SKIPPED:
            return None
        if at + 1 == len(parts):
            return start, end
        rest = _chain(parts, text, at + 1, end, tries)
        if rest:
            return start, rest[1]
    return None


def _places(part: str, text: Folded, after: int) -> Iterator[tuple[int, int]]:
    """The places of a part in a folded text, at the edges of words, from `after` on."""
    signs = text.text
    if SOFT in part or ITEM in part or SOFT in signs or ITEM in signs:
        yield from _loosely(part, text, after)
        return
    start = signs.find(part, after)
    while start >= 0:
        if _whole(text, start, start + len(part)):
            yield start, start + len(part)
        start = signs.find(part, start + 1)


def _loosely(part: str, text: Folded, after: int) -> Iterator[tuple[int, int]]:
    """The places of a part, where hyphens at a line's end and marks of items count for either."""
    letters, places = _letters(text.text)
    wanted, own = _letters(part)
    at = letters.find(wanted) if wanted else -1
    while at >= 0:
        there = places[at : at + len(wanted)]
        start, end = there[0], there[-1] + 1
        if start >= after and _whole(text, start, end) and _alike(part, own, text.text, there):
            yield start, end
        at = letters.find(wanted, at + 1)


@lru_cache(maxsize=4096)
def _letters(text: str) -> tuple[str, array[int]]:
    """A text without its blanks and hyphens, and the place of each character."""
    places = array("I", (at for at, sign in enumerate(text) if sign not in _BETWEEN))
    return "".join(text[at] for at in places), places


def _alike(part: str, own: array[int], text: str, there: array[int]) -> bool:
    """Whether the blanks and hyphens between equal characters are equal as well."""
    for n in range(len(own) - 1):
        if own[n] + 1 == own[n + 1] and there[n] + 1 == there[n + 1]:
            continue
        one, other = part[own[n] + 1 : own[n + 1]], text[there[n] + 1 : there[n + 1]]
        pair = {one, other}
        at_line_end = SOFT in pair and pair <= {SOFT, "-", ""}
        of_an_item = ITEM in pair and pair <= {ITEM, "-", " "}
        if one != other and not at_line_end and not of_an_item:
            return False
    return True


def _whole(text: Folded, start: int, end: int) -> bool:
    """Whether a place begins and ends where words and numbers do."""
    signs = text.text
    before, after = signs[max(0, start - 2) : start], signs[end : end + 2]
    first, last = signs[start], signs[end - 1]
    if _joined(before[-1:], first) or _joined(last, after[:1]):
        return False
    if first.isdigit() and (re.fullmatch(r"\d[.,]", before) or _tight_dash(text, start - 1)):
        return False
    if last.isdigit() and after[1:].isdigit():
        return not (after[0] in ".,/" or _tight_dash(text, end))
    return True


def _tight_dash(text: Folded, at: int) -> bool:
    """Whether there is a dash without blanks around it: a sign, or a range of numbers."""
    return (
        0 <= at < len(text.text) and text.text[at] == "-" and text.ends[at] - text.starts[at] == 1
    )


def _joined(left: str, right: str) -> bool:
    """Whether two characters belong to one word."""
    if not left or not right or spaceless(left) or spaceless(right):
        return False
    return (left.isalnum() or left == SOFT or _mark(left)) and (right.isalnum() or _mark(right))


def _mark(sign: str) -> bool:
    return unicodedata.category(sign)[0] == "M"
