"""Words counted, and how long a text takes to read, in any script.

Here: a word is what stands between Unicode's word boundaries (UAX #29, its default rules): letters
and digits with the signs that belong inside them, one sign of Chinese or hiragana, a run of
katakana. Thai, Lao, Khmer and Burmese have no boundaries there; four of their letters count as a
word. Not here: the language of a text (`text.language`).
"""

from __future__ import annotations

import math
import re
from functools import lru_cache

WORDS_A_MINUTE = 230
SIGNS_A_MINUTE = 500
"""Signs of Chinese, Japanese and Korean that people read in a minute."""
LETTERS_A_WORD = 4
"""Letters of an unspaced alphabet that count as a word."""
KEPT = 32
"""Texts whose words are counted once: a report is made into several files."""

_SIGN = "\u3005-\u3007\u3041-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_KATAKANA = "\u30a1-\u30ff\u31f0-\u31ff\uff66-\uff9f"
_HANGUL = "\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3"
_UNSPACED = "\u0e01-\u0e33\u0e40-\u0e46\u0e81-\u0eb3\u0ec0-\u0ec6\u1000-\u102a\u1780-\u17b3"
_UNSPACED_BLOCKS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_MARKS = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a"
    "\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06ed\u0711-\u074a\u07eb-\u07f3\u0900-\u0963\u0966-\u0dff"
    "\u0f18-\u0f39\u0f71-\u0f84\u1ab0-\u1aff\u1dc0-\u1dff\u200c\u200d\u20d0-\u20ff\ufe20-\ufe2f"
)
_INSIDE = "'\u2019.:\u00b7,"
_SPACED = rf"[^\W{_SIGN}{_KATAKANA}{_UNSPACED_BLOCKS}]"
_WORD = re.compile(rf"{_SPACED}(?:{_SPACED}|[{_MARKS}]|[{_INSIDE}](?={_SPACED}))*")
_PLAIN_WORD = re.compile(rf"\w+(?:[{_INSIDE}]\w+)*")
_OTHER_SIGN = re.compile(r"[^\x00-\x7f]")
MOST_OTHERS = 32
"""Different signs outside ASCII that are replaced one by one; of more, letters are looked at."""
_KINDS = bytes(
    ord("a" if sign.isalnum() or sign == "_" else "." if sign in _INSIDE else " ")
    for sign in map(chr, range(256))
)
_SIGNS = re.compile(f"[{_SIGN}]+")
_KATAKANA_RUN = re.compile(f"[{_KATAKANA}]+")
_LETTERS = re.compile(f"[{_UNSPACED}]+")
_EASTERN = re.compile(f"[{_SIGN}{_KATAKANA}{_HANGUL}]+")
_NOT_PLAIN = re.compile(f"[{_SIGN}{_KATAKANA}{_HANGUL}{_UNSPACED_BLOCKS}{_MARKS}]")
"""Signs that are more or less than a letter of a word; most texts have none of them."""


@lru_cache(maxsize=KEPT)
def count_words(text: str) -> int:
    """The words of a text between Unicode's word boundaries.

    Args:
        text: A text in any script; marks of Markdown are no words.
    """
    if _is_plain(text):
        return _plainly_counted(text)
    eastern = len(text) - len(_SIGNS.sub("", text)) + len(_KATAKANA_RUN.findall(text))
    return len(_WORD.findall(text)) + eastern + _unspaced(text)


@lru_cache(maxsize=KEPT)
def reading_minutes(text: str) -> float:
    """How long a text takes to read, in minutes.

    Args:
        text: A text in any script.
    """
    if _is_plain(text):
        return count_words(text) / WORDS_A_MINUTE
    signs = len(text) - len(_EASTERN.sub("", text))
    others = len(_WORD.findall(_EASTERN.sub(" ", text))) + _unspaced(text)
    return others / WORDS_A_MINUTE + signs / SIGNS_A_MINUTE


def _is_plain(text: str) -> bool:
    """Whether each letter of a text is a part of a word with spaces around it."""
    return text.isascii() or not _NOT_PLAIN.search(text)


def _plainly_counted(text: str) -> int:
    """The words of a plain text, told by bytes where it is nearly all ASCII."""
    others = rare_signs(text)
    if others is None:  # most words stand between spaces, with nothing but letters
        pieces = text.split()
        mixed = [piece for piece in pieces if not piece.isalnum()]
        return len(pieces) - len(mixed) + len(_PLAIN_WORD.findall(" ".join(mixed)))
    for sign in others:
        text = text.replace(sign, "a" if sign.isalnum() else "." if sign in _INSIDE else " ")
    # What is left of a sign that belongs inside a word has letters at both sides, or stands before
    # a word.
    kept = b" %b " % text.encode("utf-8", "surrogatepass").translate(_KINDS)
    kept = kept.replace(b"..", b"  ").replace(b". ", b"  ")
    return kept.count(b" a") + kept.count(b" .")


def _unspaced(text: str) -> int:
    """Words of the scripts without spaces of the Southeast of Asia."""
    return math.ceil((len(text) - len(_LETTERS.sub("", text))) / LETTERS_A_WORD)


def rare_signs(text: str) -> set[str] | None:
    """The different signs outside ASCII of a text that is nearly all ASCII; None: it is not.

    Args:
        text: A well-formed text.
    """
    if text.isascii():
        return set()
    if len(text.encode("utf-8", "surrogatepass")) - len(text) > len(text) // 4:
        return None
    found = set(_OTHER_SIGN.findall(text))
    return found if len(found) <= MOST_OTHERS else None
