"""Words for numbers: magnitudes, months, and numbers that are spelled out.

Here: the words, and English numbers of several words. Not here: digits (`numbers`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_FACTORS: dict[str, tuple[int, ...]] = {
    "thousand tsd tsd. tausend mille mil milliers thousands": (10**3,),
    "million millions mio mio. millionen millón millones milione milioni milhão mn": (10**6,),
    "milhões miljoen": (10**6,),
    "bn mrd mrd. milliarde milliarden milliard milliards miliardo miliardi miljard": (10**9,),
    "billion billions": (10**9, 10**12),
    "billionen billón billones": (10**12,),
    "trillion trillions tn": (10**12, 10**18),
    "lakh lakhs": (10**5,),
    "crore crores": (10**7,),
    "dozen": (12,),
    "k": (10**3,),
    "m": (10**6,),
    "b": (10**9,),
    "t": (10**12,),
    "百": (100,),
    "千": (10**3,),
    "万 萬": (10**4,),
    "亿 億": (10**8,),
    "兆": (10**12,),
}
_MONTH_NAMES = (
    "january jan januar janvier enero gennaio janeiro januari",
    "february feb februar février febrero febbraio fevereiro februari",
    "march mar märz mars marzo março maart",
    "april apr avril abril aprile",
    "may mai mayo maggio maio mei",
    "june jun juni juin junio giugno junho",
    "july jul juli juillet julio luglio julho",
    "august aug août agosto augustus",
    "september sep sept septembre septiembre settembre setembro",
    "october oct oktober okt octobre octubre ottobre outubro",
    "november nov novembre noviembre novembro",
    "december dec dezember dez décembre diciembre dicembre dezembro",
)
MAGNITUDES: dict[str, tuple[int, ...]] = {
    word: factors for words, factors in _FACTORS.items() for word in words.split()
} | {
    f"month {name}": (month,)
    for month, names in enumerate(_MONTH_NAMES, start=1)
    for name in names.split()
}
"""Factors by word or sign, and months by `month NAME`."""
SIGNS = "|".join(
    re.escape(word)
    for word in sorted(MAGNITUDES, key=len, reverse=True)
    if not word.startswith("month ") and word.isascii() | word[0].isalpha() and word[0] < "\u2e80"
)
MAGNITUDE_NAMES = frozenset(
    word for word in MAGNITUDES if not word.startswith("month ") and word not in ("兆", "百", "千")
)
NAMES_OF_MONTHS = frozenset(name for names in _MONTH_NAMES for name in names.split())
MONTHS = "|".join(sorted(NAMES_OF_MONTHS, key=lambda name: (-len(name), name)))

_UNITS = str.split(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen"
    " fourteen fifteen sixteen seventeen eighteen nineteen"
)
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SMALL = {
    **{word: value for value, word in enumerate(_UNITS)},
    **{word: 10 * (at + 2) for at, word in enumerate(_TENS)},
}
_LARGE = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_ORDINALS = str.split(
    "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh"
    " twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth"
    " twentieth"
)
_OTHERS = {
    "de": "null ein|eins|eine|einen|einem|einer zwei drei vier fünf sechs sieben acht neun zehn elf"
    " zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn zwanzig",
    "fr": "zéro un|une deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze"
    " quinze seize dix-sept dix-huit dix-neuf vingt",
    "es": "cero uno|una|un dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce"
    " quince dieciséis diecisiete dieciocho diecinueve veinte",
    "it": "zero uno|una due tre quattro cinque sei sette otto nove dieci undici dodici tredici"
    " quattordici quindici sedici diciassette diciotto diciannove venti",
}
_MORE = {
    30: "dreißig trente treinta",
    40: "vierzig quarante cuarenta",
    50: "fünfzig cinquante cincuenta half",
    60: "sechzig soixante",
    70: "siebzig",
    80: "achtzig",
    90: "neunzig",
    100: "hundert cent cien ciento",
    1000: "tausend mille",
    25: "quarter",
    12: "dozen",
    1: "once",
    2: "twice double doubled both pair",
    3: "thrice triple tripled",
}
_SINGLE: dict[str, int] = {
    **{
        word: value
        for words in _OTHERS.values()
        for value, group in enumerate(words.split())
        for word in group.split("|")
    },
    **{word: value for value, word in enumerate(_ORDINALS)},
    **{word: value for value, words in _MORE.items() for word in words.split()},
}
_WORD = re.compile(r"[^\W\d_]+")
_CHINESE = re.compile(r"[〇零一二两兩三四五六七八九十百千万萬亿億]+")
_CHINESE_DIGITS = {
    s: v for v, group in enumerate(str.split("〇零 一 二两兩 三 四 五 六 七 八 九")) for s in group
}
LEAST_CLAIMED = 11
"""Smaller numbers in words often count the text's own things: two reasons, three steps."""


def spelled_numbers(text: str, *, certain: bool) -> dict[tuple[int, int], int]:
    """Numbers that are spelled out, by their place.

    Args:
        text: A sentence, or a passage.
        certain: Only numbers that count something for certain: English, of eleven or more.
    """
    found = dict(_english(text))
    if certain:
        return {place: value for place, value in found.items() if value >= LEAST_CLAIMED}
    if not _SINGLE.keys().isdisjoint(_WORD.findall(text.casefold())):
        for word in _WORD.finditer(text):
            value = _SINGLE.get(word[0].casefold())
            if value is not None:
                found.setdefault(word.span(), value)
    for word in _CHINESE.finditer(text):
        found.setdefault(word.span(), _chinese(word[0]))
    return found


def _english(text: str) -> Iterator[tuple[tuple[int, int], int]]:
    """English numbers of one or several words: `two hundred and five`, `twenty-one`."""
    if _SMALL.keys().isdisjoint(_WORD.findall(text.casefold())):
        return
    group: list[re.Match[str]] = []
    for word in [*_WORD.finditer(text), None]:
        name = word[0].casefold() if word else ""
        gap = text[group[-1].end() : word.start()] if group and word else ""
        if gap in (" ", "-") and name == "and" and group[-1][0].casefold() in _LARGE:
            continue
        joined = gap in (" ", "-", " and ")
        counts = name in _SMALL or name in _LARGE or name in _ORDINALS
        if word and counts and joined and _goes_on(group[-1][0].casefold(), name):
            group.append(word)
            continue
        if group:
            value = _value([each[0].casefold() for each in group])
            yield (group[0].start(), group[-1].end()), value
        group = [word] if word and name in _SMALL else []


def _goes_on(before: str, name: str) -> bool:
    """Whether a word continues a number: `twenty one`, `two hundred`, but not `two three`."""
    if name in _LARGE:
        return True
    if before in _LARGE or name in _ORDINALS[10:]:
        return before in _LARGE
    return before in _TENS and name in [*_UNITS[1:10], *_ORDINALS[1:10]]


def _value(words: list[str]) -> int:
    total = current = 0
    for word in words:
        if word in _SMALL:
            current += _SMALL[word]
        elif word in _ORDINALS:
            current += _ORDINALS.index(word)
        elif word == "hundred":
            current *= 100
        else:
            total, current = total + current * _LARGE[word], 0
    return total + current


def _chinese(word: str) -> int:
    """A Chinese or Japanese number: `三十五`, `二〇二四`, `一亿二千万`."""
    if all(sign in _CHINESE_DIGITS for sign in word):
        return int("".join(str(_CHINESE_DIGITS[sign]) for sign in word))
    total = section = digit = 0
    for sign in word:
        if sign in _CHINESE_DIGITS:
            digit = _CHINESE_DIGITS[sign]
        elif sign == "十":
            section, digit = section + (digit or 1) * 10, 0
        elif sign in "百千":
            section, digit = section + (digit or 1) * MAGNITUDES[sign][0], 0
        else:
            total, section, digit = total + (section + digit or 1) * MAGNITUDES[sign][0], 0, 0
    return total + section + digit
