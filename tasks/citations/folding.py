"""Typography folded away, so that honest quotations compare equal and altered ones do not.

Here: NFKC, one kind of quote, dash, digit and blank, blanks before units and punctuation, soft
hyphens and Markdown marks dropped, case folded, and the way back from the folded text to the
original. Not here: finding a quotation (`locating`).
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from dataclasses import dataclass
from functools import lru_cache

SOFT = "\x01"
"""A hyphen at a line's end: it may belong to the word, or to the line."""
ITEM = "\x02"
"""The mark of a list item at the start of a line: it may be quoted, or not."""

_QUOTES = "\"'`´‘’‚‛“”„‟«»‹›′″「」『』〝〞〟＂＇｢｣"
_DASHES = "-‐‑‒–—―−⁃﹘﹣－─"
_UNSEEN = (
    "\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff"
    "\x00-\x08\x0e-\x1f"
)
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": "'", "&#39;": "'", "&nbsp;": " "}
_FOLLOWING = "%‰°;:!?,.)"
"""Signs before which some languages put a blank, and others none."""
_CURRENCIES = "€$£¥₹₽₩₺¢"
"""Signs that stand before or after an amount, with a blank or without."""
_OTHER_DIGIT = re.compile(r"[^\D0-9]")
_SLASHES = {0x2044: "/", 0x2215: "/"}
_SAME = {**dict.fromkeys(_DASHES, "-"), **dict.fromkeys(_QUOTES, "'")}
"""What NFKC leaves different."""
_PLAIN = rf"[^\s{re.escape(_QUOTES)}{re.escape(_DASHES)}{_UNSEEN}*_~#>|\\\[\]&!•‣▪·◦]"
_TOKEN = re.compile(
    rf"(?P<plain>{_PLAIN}+(?:(?<![({_CURRENCIES}]) (?![{_FOLLOWING}{_CURRENCIES}]){_PLAIN}+)*)"
    rf"|(?P<soft>(?<=[^\W\d_])[-‐‑](?:[ \t]*\r?\n\s*)(?=[^\W\d_]))"
    rf"|(?P<item>(?:(?:^|(?<=\n)|\s*\n)[ \t]*[-*+]|\s*[•‣▪◦])[ \t]+)"
    rf"|(?P<heading>(?:^|(?<=\n))[ \t]*(?:\#{{1,6}}(?=\s)|>+))"
    rf"|(?P<target>\]\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*\))"
    rf"|(?P<opening>(?<!\S)[«‹]\s+)|(?P<closing>\s+[»›](?!\w))"
    rf"|(?P<dash>\s*(?:[{re.escape(_DASHES)}]+)\s*)"
    rf"|(?P<blank>\s+|\|)"
    rf"|(?P<quote>[{re.escape(_QUOTES.replace('`', ''))}])"
    rf"|(?P<entity>&(?:amp|lt|gt|quot|nbsp|\#39);)"
    rf"|(?P<unseen>[{_UNSEEN}]+|~~|`+)"
    rf"|(?P<mark>\*+|_+|\\(?=[!-/:-@\[-`{{-~])|!(?=\[)|\[|\])"
    rf"|(?P<other>.)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Folded:
    """A folded text; the character at a position stands for `starts` to `ends` of the original."""

    text: str
    starts: array[int]
    ends: array[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The place in the original of a place in the folded text, which is not empty."""
        return self.starts[start], self.ends[end - 1]


def spaceless(sign: str) -> bool:
    """Whether a character belongs to a script that puts no blanks between words."""
    return (
        "\u0e00" <= sign <= "\u0eff"  # Thai, Lao
        or "\u1000" <= sign <= "\u109f"  # Myanmar
        or "\u1780" <= sign <= "\u17ff"  # Khmer
        or "\u3000" <= sign <= "\u30ff"
        or "\u31f0" <= sign <= "\u31ff"
        or "\u3400" <= sign <= "\u9fff"
        or "\uf900" <= sign <= "\ufaff"
        or "\U00020000" <= sign <= "\U0003ffff"
    )


@lru_cache(maxsize=4096)
def folded(text: str) -> Folded:
    """Fold a text."""
    out: list[str] = []
    starts, ends = array("I"), array("I")
    last = ""

    def put(sign: str, start: int, end: int) -> None:
        nonlocal last
        out.append(sign)
        starts.extend([start] * len(sign))
        ends.extend([end] * len(sign))
        last = sign[-1]

    for found in _TOKEN.finditer(text):
        kind, piece, start, end = found.lastgroup, found[0], found.start(), found.end()
        following = text[end : end + 1]
        if kind == "plain":
            put_plain = _digits(piece.casefold())
            if len(put_plain) == len(piece) and unicodedata.is_normalized("NFKC", piece):
                if last == " " and spaceless(piece[0]) and len(out) > 1 and spaceless(out[-2][-1]):
                    _drop(out, starts, ends)
                out.append(put_plain)
                starts.extend(range(start, end))
                ends.extend(range(start + 1, end + 1))
                last = put_plain[-1]
            else:
                for at, cluster in _clusters(piece, start):
                    signs = unicodedata.normalize("NFKC", cluster).casefold()
                    if "\u2044" in signs and last.isdigit():  # `1½`
                        put(" ", at, at + len(cluster))
                    signs = _digits(signs)
                    for sign in signs:
                        if sign != " " or last not in ("", " "):
                            put(_SAME.get(sign, sign), at, at + len(cluster))
        elif kind == "soft":
            put(SOFT, start, end)
        elif kind == "item":
            _trim(out, starts, ends)
            put(ITEM, start, end)
        elif kind == "dash":
            _trim(out, starts, ends)
            put("-", start, end)
        elif kind in ("quote", "opening", "closing"):
            put("'", start, end)
        elif kind == "entity":
            put(_ENTITIES[piece], start, end)
        elif kind == "blank":
            if last not in ("", " ", "-", ITEM) and not _tight(
                last, following, text[end + 1 : end + 2]
            ):
                put(" ", start, end)
        elif kind == "mark" and _counts(piece, last, text, start, following):
            put(" " if piece in "[]" else piece, start, end)
        elif kind == "other":
            for sign in _digits(unicodedata.normalize("NFKC", piece).casefold()):
                put(_SAME.get(sign, sign), start, end)
    return Folded("".join(out), starts, ends)


def _digits(text: str) -> str:
    """A text with the digits of all scripts, and the slashes of fractions, as ASCII ones."""
    if text.isascii():
        return text
    text = text.translate(_SLASHES)
    return _OTHER_DIGIT.sub(lambda found: str(unicodedata.decimal(found[0])), text)


def _tight(last: str, following: str, after: str) -> bool:
    """Whether a blank says nothing: before a unit or punctuation, or beside a currency sign."""
    if following in _FOLLOWING:
        return not (following in ".," and after.isdigit())  # `.5` is a number of its own
    amount = last.isdigit() and following in _CURRENCIES
    return last == "(" or amount or (last in _CURRENCIES and following.isdigit())


def _drop(out: list[str], starts: array[int], ends: array[int]) -> None:
    out.pop()
    starts.pop()
    ends.pop()


def _trim(out: list[str], starts: array[int], ends: array[int]) -> None:
    """Remove a blank at the end, before a dash."""
    if out and out[-1] == " ":
        _drop(out, starts, ends)


def _counts(mark: str, last: str, text: str, start: int, following: str) -> bool:
    """Whether a Markdown mark is part of the words: a sum, an underscore in a name, a gap."""
    if mark[0] == "*":
        after = text[start + len(mark) :].lstrip(" ")[:1]
        before = text[:start].rstrip(" ")[-1:]
        return len(mark) == 1 and before.isdigit() and after.isdigit()
    if mark[0] == "_":
        return last.isalnum() and following.isalnum()
    if mark in "[]":
        return last.isdigit() and following.isdigit()
    return False


def _clusters(text: str, start: int) -> list[tuple[int, str]]:
    """Characters with their combining marks, and where each begins."""
    found: list[tuple[int, str]] = []
    for at, sign in enumerate(text, start):
        joins = unicodedata.category(sign)[0] == "M" or "\u1160" <= sign <= "\u11ff"
        if found and (joins or sign in "\uff9e\uff9f"):
            found[-1] = (found[-1][0], found[-1][1] + sign)
        else:
            found.append((at, sign))
    return found
