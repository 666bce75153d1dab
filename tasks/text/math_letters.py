"""The letters of mathematics: bold, script, double-struck and the like, as Unicode has them.

Here: one mapping, because browsers take no other sign of a letter's style in formulas. Not here:
formulas (`text.mathml`).
"""

from __future__ import annotations

_CAPITALS = {
    "bold": 0x1D400, "italic": 0x1D434, "bold-italic": 0x1D468, "script": 0x1D49C,
    "bold-script": 0x1D4D0, "fraktur": 0x1D504, "double-struck": 0x1D538,
    "bold-fraktur": 0x1D56C, "sans-serif": 0x1D5A0, "bold-sans-serif": 0x1D5D4,
    "sans-serif-italic": 0x1D608, "sans-serif-bold-italic": 0x1D63C, "monospace": 0x1D670,
}  # fmt: skip
_DIGITS = {
    "bold": 0x1D7CE, "double-struck": 0x1D7D8, "sans-serif": 0x1D7E2, "bold-sans-serif": 0x1D7EC,
    "monospace": 0x1D7F6,
}  # fmt: skip
_GREEK = {"bold": 0x1D6A8, "italic": 0x1D6E2, "bold-italic": 0x1D71C}
_ELSEWHERE = {
    "italic": {"h": 0x210E},
    "script": {"B": 0x212C, "E": 0x2130, "F": 0x2131, "H": 0x210B, "I": 0x2110, "L": 0x2112,
               "M": 0x2133, "R": 0x211B, "e": 0x212F, "g": 0x210A, "o": 0x2134},
    "fraktur": {"C": 0x212D, "H": 0x210C, "I": 0x2111, "R": 0x211C, "Z": 0x2128},
    "double-struck": {"C": 0x2102, "H": 0x210D, "N": 0x2115, "P": 0x2119, "Q": 0x211A,
                      "R": 0x211D, "Z": 0x2124},
}  # fmt: skip
"""Letters that Unicode had before the others of their style."""
_ALPHA, _OMEGA = (0x391, 0x3B1), (0x3A9, 0x3C9)
"""The first and the last Greek letter, capital and small."""


def styled(text: str, variant: str) -> str:
    """A text in the letters of a style; what has no such letter stays as it is.

    Args:
        text: Letters and digits.
        variant: The style, as MathML's `mathvariant` names it.
    """
    return "".join(_letter(sign, variant) for sign in text)


def _letter(sign: str, variant: str) -> str:
    if elsewhere := _ELSEWHERE.get(variant, {}).get(sign):
        return chr(elsewhere)
    code = ord(sign)
    if "A" <= sign <= "Z" and variant in _CAPITALS:
        return chr(_CAPITALS[variant] + code - ord("A"))
    if "a" <= sign <= "z" and variant in _CAPITALS:
        return chr(_CAPITALS[variant] + 26 + code - ord("a"))
    if "0" <= sign <= "9" and variant in _DIGITS:
        return chr(_DIGITS[variant] + code - ord("0"))
    for case in (0, 1):
        if variant in _GREEK and _ALPHA[case] <= code <= _OMEGA[case]:
            return chr(_GREEK[variant] + 26 * case + code - _ALPHA[case])
    return sign
