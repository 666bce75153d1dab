"""Counts of words in texts of any script.

Not here: words of queries (`queries`).
"""

from __future__ import annotations

import re

CJK = "\u1100-\u11ff\u2e80-\u2fdf\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
"""Characters of scripts that are written without blanks, or nearly so, as a class of characters."""
_CJK_SIGN = re.compile(f"[{CJK}\U00020000-\U0003ffff]")
SIGNS_A_WORD = 2
"""Chinese, Japanese and Korean characters that count as one word."""


def cjk_signs(text: str) -> int:
    """The Chinese, Japanese and Korean characters in a text."""
    return 0 if text.isascii() else len(_CJK_SIGN.findall(text))


def word_count(text: str) -> int:
    """The words of a text: those between blanks, and one for two Chinese or Japanese characters."""
    words = len(text.split())
    signs = cjk_signs(text)
    return max(words, words // 2 + signs // SIGNS_A_WORD) if signs else words


def is_mostly_signs(text: str) -> bool:
    """Whether most letters of a text belong to a script without blanks.

    Args:
        text: A passage.
    """
    signs = cjk_signs(text)
    return signs > 0 and 2 * signs > sum(map(str.isalpha, text))
