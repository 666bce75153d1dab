"""Dates read from text, in figures and with names of months of several languages.

Here: what a date may be, and whether two are equal. Not here: other numbers (`numbers`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from prefect_llm_reports.tasks.citations.number_words import MAGNITUDES, MONTHS, NAMES_OF_MONTHS

Date = tuple[int | None, int, int]
"""Year, month and day; None: no year is named."""

_MONTH = rf"(?P<{{0}}>{MONTHS})"
_DIGIT = re.compile(r"\d")
_WORD = re.compile(r"[^\W\d_]+")
_DATES = [
    re.compile(r"(?<!\d)(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})(?!\d)"),
    re.compile(r"(?P<y>\d{4})\s*[年년]\s*(?P<m>\d{1,2})\s*[月월]\s*(?P<d>\d{1,2})\s*[日일]"),
    re.compile(r"(?<!\d)(?P<a>\d{1,2})[./](?P<b>\d{1,2})[./](?P<y>\d{4})(?!\d)"),
]
_NAMED_DATES = [
    re.compile(
        rf"(?<!\d)(?P<d>\d{{1,2}})(?:st|nd|rd|th|er|º|\.)?\s+(?:of\s+|de\s+)?{_MONTH.format('n')}"
        r"(?![^\W\d_])\.?(?:,?\s+(?:de\s+)?(?P<y>\d{4}))?",
        re.IGNORECASE,
    ),
    re.compile(
        rf"(?<![^\W_])(?=[^\W\d_]+\.?\s+\d){_MONTH.format('n')}\.?\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s+(?P<y>\d{{4}}))?",
        re.IGNORECASE,
    ),
]


def dates_in(plain: str) -> Iterator[tuple[frozenset[Date], int, int]]:
    """The dates of a text: what each may be, its first character, and one past its last.

    Args:
        plain: A text with ASCII digits and separators.
    """
    if not _DIGIT.search(plain):
        return
    named_month = not NAMES_OF_MONTHS.isdisjoint(_WORD.findall(plain.casefold()))
    for pattern in [*_DATES, *_NAMED_DATES] if named_month else _DATES:
        for found in pattern.finditer(plain):
            named = found.groupdict()
            year = int(named["y"]) if named.get("y") else None
            if "a" in named:
                one, two = int(found["a"]), int(found["b"])
                pairs = [(two, one), (one, two)]
            else:
                month = _month(named["n"]) if named.get("n") else int(found["m"])
                pairs = [(month, int(found["d"]))]
            dates = frozenset(
                (year, month, day) for month, day in pairs if 1 <= month <= 12 and 1 <= day <= 31
            )
            if dates:
                yield dates, *found.span()


def _month(name: str) -> int:
    """The month of a name in one of the languages that we know."""
    return MAGNITUDES[f"month {name.casefold().rstrip('.')}"][0]


def same_date(one: Date, other: Date) -> bool:
    """Whether two dates are equal, as far as both name a year.

    Args:
        one: A date.
        other: Another one.
    """
    return one[1:] == other[1:] and (one[0] == other[0] or None in (one[0], other[0]))
