"""Numbers read from text, in all their spellings, and compared exactly.

Here: digits of all scripts, groups and decimals, magnitudes, fractions, years, number words, and
whether a number stands among others, also rounded. Not here: dates (`dates`), sums that a note
shows (`sums`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

from prefect_llm_reports.tasks.citations.dates import Date, dates_in, same_date
from prefect_llm_reports.tasks.citations.number_words import (
    MAGNITUDE_NAMES,
    MAGNITUDES,
    SIGNS,
    spelled_numbers,
)

_GROUPED = r"\d{1,3}(?:[ '\u2019]\d{3})+(?:[.,]\d+)?(?!\d)"
_PARTS = "¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"
_NUMBER = re.compile(
    rf"(?=[\d{_PARTS}])(?P<digits>{_GROUPED}|\d+(?:[.,]\d+)*)?(?P<part>[{_PARTS}])?"
    rf"(?P<after>(?:[\s-]?(?:{SIGNS})(?![^\W\d_])|[万萬亿億兆千百]+)?)",
    re.IGNORECASE,
)
_WHOLE_WORD = re.compile(r"(?<![^\W_])[^\W\d_]+(?![^\W_])|[万萬亿億]")
_STRUCTURE = re.compile(
    r"(?:section|table|figure|fig\.|chapter|step|part|note|footnote|option|item|abschnitt|tabelle"
    r"|abbildung|kapitel|schritt|teil|tableau|étape|partie|tabla|capítulo|paso)\s+$",
    re.IGNORECASE,
)
_ABOUT = re.compile(
    r"(?:about|around|approximately|approx\.|roughly|nearly|almost|some|circa|ca\.|~|≈|than|over|under"
    r"|to|rund|etwa|ungefähr|knapp|fast|über|als|gut|environ|près de|presque|plus de|casi|unos|unas"
    r"|cerca de|aproximadamente|más de|quasi|oltre|約|约|около)\s*$",
    re.IGNORECASE,
)
"""Words before a number that is rounded."""
_ADDRESS = re.compile(
    r"(?:[a-z][a-z0-9+.-]*://|www\.)\S+|\b10\.\d{4,9}/\S+|\S+@\S+\.\S+", re.IGNORECASE
)
"""Web addresses, DOIs and e-mail addresses, whose digits claim nothing."""
_AROUND = 60
"""Characters on each side of digits that may belong to the same number or date."""
_PREFIX = re.compile(r"[^\W\d_]+$")
_CURRENCIES = frozenset(str.split("eur usd gbp chf jpy cny rmb inr rs us c ca"))
_TIME_PREFIXES = frozenset(
    str.split("mid pre post early late sub over under near ultra non anti mitte ende anfang")
)


@dataclass(frozen=True)
class Figure:
    """A number of a text.

    Attributes:
        text: The number as it is written.
        values: What it may mean: `1,234` is 1234 or 1.234.
        parts: Numbers that it may consist of instead: `2019,2020`, or 300 after a 20.
        step: The unit of its last digit that counts; 0: it is not rounded.
        dates: The dates that it may be; its other values are then of no account.
    """

    text: str
    values: frozenset[Fraction]
    parts: tuple[Fraction, ...] = ()
    step: Fraction = Fraction(1)
    dates: frozenset[Date] = frozenset()


@dataclass
class Known:
    """The numbers of some texts, that other numbers are looked for in."""

    values: set[Fraction] = field(default_factory=set[Fraction])
    dates: set[Date] = field(default_factory=set[Date])
    magnitudes: set[int] = field(default_factory=set[int])
    written: set[str] = field(default_factory=set[str])

    def add(self, text: str) -> None:
        """Add the numbers of a text."""
        found = _known(text)
        self.values |= found.values
        self.dates |= found.dates
        self.magnitudes |= found.magnitudes
        self.written |= found.written

    def holds(self, figure: Figure) -> bool:
        """Whether a number stands here, in any spelling, or rounded to fewer digits."""
        if figure.dates:
            return any(same_date(date, known) for date in figure.dates for known in self.dates)
        if figure.text in self.written or figure.values & self.values:
            return True
        if figure.parts and all(part in self.values for part in figure.parts):
            return True
        scaled = (value / factor for value in figure.values for factor in self.magnitudes)
        if any(value in self.values for value in scaled):
            return True
        return any(self._rounded(value, figure.step) for value in figure.values)

    def _rounded(self, value: Fraction, step: Fraction) -> bool:
        """Whether a number here is this one, where it is rounded to two digits or more."""
        if not step or value < 10 * step:
            return False
        return any(abs(known - value) * 2 <= step for known in self.values)


def known_numbers(texts: Iterable[str]) -> Known:
    """The numbers of some texts."""
    known = Known()
    for text in texts:
        known.add(text)
    return known


def stands_in(figure: Figure, text: str) -> bool:
    """Whether a text has a number just as it is written, which most sentences take over.

    Args:
        figure: The number.
        text: A passage; only what is around those digits is read.
    """
    at = text.find(figure.text)
    while at >= 0:
        after = at + len(figure.text)
        first = text.rfind(" ", 0, max(0, at - _AROUND)) + 1
        last = text.find(" ", after + _AROUND)
        around = text[first : last if last >= 0 else len(text)]
        if any(
            first + place == at and found.text == figure.text
            for place, found in _placed(around, claimed=False)
        ):
            return True
        at = text.find(figure.text, after)
    return False


@lru_cache(maxsize=4096)
def _known(text: str) -> Known:
    known = Known()
    plain = one_spelling(text)
    for figure in figures_in(text, claimed=False):
        known.values |= figure.values | set(figure.parts)
        known.written.add(figure.text)
        known.dates |= figure.dates
        for year, month, day in figure.dates:
            known.values |= {Fraction(n) for n in (year, month, day) if n is not None}
    known.values |= {Fraction(value) for value in spelled_numbers(plain, certain=False).values()}
    for word in MAGNITUDE_NAMES.intersection(_WHOLE_WORD.findall(plain.casefold())):
        known.magnitudes.update(MAGNITUDES[word])
    return known


def one_spelling(text: str) -> str:
    """The text with ASCII digits and separators; each character stays at its place."""
    if text.isascii():
        return text
    signs = {"٫": ".", "٬": ",", "’": "'", "，": ",", "．": ".", "–": "-", "—": "-", "−": "-"}
    signs |= {"‑": "-", "‐": "-"}
    return "".join(
        signs.get(sign)
        or (str(unicodedata.decimal(sign)) if sign.isdecimal() else " " if sign.isspace() else sign)
        for sign in text
    )


@lru_cache(maxsize=4096)
def figures_in(text: str, *, claimed: bool = True) -> tuple[Figure, ...]:
    """The numbers of a text.

    Args:
        text: A sentence, or a passage.
        claimed: Leave out numbers that claim nothing, such as `Table 2` and `CO2`.
    """
    return tuple(figure for _, figure in _placed(text, claimed=claimed))


def _placed(text: str, *, claimed: bool) -> list[tuple[int, Figure]]:
    """The numbers of a text in order, each with its place."""
    plain = one_spelling(text)
    taken = [False] * len(plain)
    for address in _ADDRESS.finditer(plain) if claimed else ():
        taken[address.start() : address.end()] = [True] * len(address[0])
    found: list[tuple[int, Figure]] = []
    for date, start, end in dates_in(plain):
        if not any(taken[start:end]):
            taken[start:end] = [True] * (end - start)
            found.append((start, Figure(text[start:end], frozenset(), dates=date)))
    if claimed:
        for (start, end), value in spelled_numbers(plain, certain=True).items():
            if not any(taken[start:end]):
                taken[start:end] = [True] * (end - start)
                step = _last_place(Fraction(value))
                said = Figure(text[start:end], frozenset({Fraction(value)}), step=step)
                found.append((start, said))
    for number in _NUMBER.finditer(plain):
        start, end = number.span()
        if taken[start] or (claimed and _names(plain, number)):
            continue
        found.append((start, _figure(text[start:end].strip(), number, plain)))
    return sorted(found, key=lambda pair: pair[0])


def _names(plain: str, number: re.Match[str]) -> bool:
    """Whether a number is part of a name, or counts the report's own parts."""
    start, end = number.span()
    before, after = plain[max(0, start - 40) : start], plain[end : end + 2]
    if _STRUCTURE.search(before[-20:]):
        return True
    if re.search(r"(?:^|[\s(;:,])\($", before[-3:]) and after[:1] == ")" and end - start < 3:
        return True
    if re.match(r"[DG](?![^\W_])", after):
        return True
    hyphen = before.endswith("-")
    prefix = _PREFIX.search(before.rstrip("-") if hyphen else before)
    if prefix is None or (not hyphen and not prefix[0].isascii() and ord(prefix[0][-1]) > 0x24F):
        return False
    allowed = _TIME_PREFIXES if hyphen else _CURRENCIES
    return prefix[0].casefold() not in allowed


def _figure(text: str, number: re.Match[str], plain: str) -> Figure:
    """The values that a number may have."""
    digits, part, after = number["digits"] or "", number["part"] or "", number["after"] or ""
    bases, pieces, decimals = _bases(digits)
    before = plain[max(0, number.start() - 20) : number.start()]
    if part:
        share = Fraction(unicodedata.numeric(part)).limit_denominator(100)
        bases, pieces = {(base if digits else Fraction(0)) + share for base in bases}, ()
        decimals = 2
    factors = _factors(after, plain[number.start("after") - 1 : number.start("after") + 1])
    scaled = factors != (1,)
    values = {base * factor for base in bases for factor in factors} if scaled else bases
    if not after and (short := re.search(r"(\d{2})\d{2}[-/]$", before[-6:])):
        values = values | {base + 100 * int(short[1]) for base in bases if len(digits) == 2}
    value = max(bases, default=Fraction(1))
    step = Fraction(1, 10**decimals) if decimals else _last_place(value)
    if step > 1 and not scaled and not _ABOUT.search(before):
        step = Fraction(0)
    return Figure(text, frozenset(values), pieces, step * min(factors) if scaled else step)


def _bases(digits: str) -> tuple[set[Fraction], tuple[Fraction, ...], int]:
    """What digits with separators may mean: values, or several numbers; and their decimals."""
    if not digits:
        return {Fraction(0)}, (), 0
    runs = re.split(r"[.,' ]", digits)
    signs = re.findall(r"[.,' ]", digits)
    whole = Fraction(int("".join(runs)))
    if not signs:
        return {whole}, (), 0
    parts = tuple(Fraction(int(run)) for run in runs)
    decimal, places = whole / 10 ** len(runs[-1]), len(runs[-1])
    groups = all(len(run) == 3 for run in runs[1:]) and 0 < len(runs[0]) <= 3
    if len(signs) == 1 and signs[0] in ".,":
        if groups and runs[0] != "0":
            return {whole, decimal}, (), 0
        return {decimal}, (), places
    if len(set(signs)) == 1:
        if signs[0] in " '":
            return {whole}, parts, 0
        indian = signs[0] == "," and len(runs[-1]) == 3 and all(len(r) == 2 for r in runs[1:-1])
        if groups or indian:
            return {whole}, (), 0
        return set(), parts if signs[0] == "," else (), 0
    if len(set(signs[:-1])) == 1 and signs[-1] != signs[0]:
        grouped = all(len(run) == 3 for run in runs[1:-1])
        indian = signs[0] == "," and len(runs[-2]) == 3 and all(len(r) == 2 for r in runs[1:-2])
        if grouped or indian:
            return {decimal}, (), places
    return set(), (), 0


def _factors(after: str, glued: str) -> tuple[int, ...]:
    word = after.strip(" -\t\n\u00a0").casefold()
    if not word:
        return (1,)
    if word[0] in "万萬亿億兆千百":
        factor = 1
        for sign in word:
            factor *= MAGNITUDES[sign][0]
        return (factor,)
    found = MAGNITUDES[word]
    if len(word) == 1 and not glued[-1:].isalpha() and word not in "k":
        return (1, *found)  # `5 m` may be metres
    return (1, *found) if len(word) == 1 else found


def _last_place(value: Fraction) -> Fraction:
    """The unit of the last digit of a whole number that is not 0."""
    whole, step = int(value), 1
    while whole and value == whole and whole % (step * 10) == 0:
        step *= 10
    return Fraction(step)
