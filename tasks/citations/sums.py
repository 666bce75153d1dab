"""Sums, differences and ratios that a note shows, computed again.

Here: `150 - 120 = 30` and the like, with numbers that stand in the cited passages. Not here:
numbers themselves (`numbers`).
"""

from __future__ import annotations

import re
from fractions import Fraction

from prefect_llm_reports.tasks.citations.numbers import Figure, Known, figures_in, one_spelling

MOST_TERMS = 20
_EQUATION = re.compile(r"(?P<sum>[^=;\n]{3,300}?)[=≈]\s*(?P<result>[^=;\n]{1,60})")
_SIGN = re.compile(r"[-+*×x·/÷:()]")
_OPERATIONS = {"+": "+", "-": "-", "*": "*", "×": "*", "x": "*", "·": "*", "/": "/", "÷": "/"}
_OPERATIONS[":"] = "/"
_FREE = {Fraction(n) for n in (1, 100, 1000)}
"""Numbers that a sum may use although no passage has them: for shares and percentages."""


def shown_results(rest: str, known: Known) -> set[Fraction]:
    """The results of the sums that a note shows, where they are right.

    Args:
        rest: The note without its quotations.
        known: The numbers of the passages that it cites.
    """
    found: set[Fraction] = set()
    for equation in _EQUATION.finditer(one_spelling(rest)):
        stated = figures_in(equation["result"], claimed=False)[:1]
        terms = _terms(equation["sum"])
        if not stated or terms is None:
            continue
        percent = "%" in equation["result"] or "percent" in equation["result"]
        for start in range(len(terms)):  # words before the sum may hold numbers
            value = _Sum(terms[start:], known.values | found, known.magnitudes).value()
            if value is None:
                continue
            results = {abs(value), abs(value) * 100} if percent else {abs(value)}
            scaled = {result * n for result in results for n in (1, *known.magnitudes)}
            if any(_agrees(stated[0], result) for result in scaled):
                found |= stated[0].values | results
                break
    return found


def _agrees(stated: Figure, result: Fraction) -> bool:
    """Whether a result is the stated one, rounded to its last digit."""
    return any(abs(value - result) * 2 <= (stated.step or 1) for value in stated.values)


def _terms(text: str) -> list[Figure | str] | None:
    """Numbers, signs and brackets in order; None: it is no sum."""
    terms: list[Figure | str] = []
    at = 0
    figures = figures_in(text, claimed=False)
    for figure in figures:
        place = text.find(figure.text, at)
        if place < 0:
            return None
        terms += _signs(text[at:place])
        terms.append(figure)
        at = place + len(figure.text)
    terms += _signs(text[at:])
    while terms and isinstance(terms[0], str) and terms[0] != "(":
        terms.pop(0)
    enough = sum(not isinstance(term, str) for term in terms) > 1
    return terms if enough and len(terms) <= MOST_TERMS else None


def _signs(text: str) -> list[str]:
    signs: list[str] = _SIGN.findall(re.sub(r"[^\W\d_]{2,}", " ", text))
    return [_OPERATIONS.get(sign, sign) for sign in signs]


class _Sum:
    """A sum by the usual rules of precedence.

    Args:
        terms: Its numbers, signs and brackets.
        allowed: Numbers that it may use.
        magnitudes: Factors that it may leave out: 120 for 120 million.
    """

    def __init__(
        self, terms: list[Figure | str], allowed: set[Fraction], magnitudes: set[int]
    ) -> None:
        self._terms = terms
        self._allowed = allowed
        self._magnitudes = magnitudes
        self._at = 0

    def value(self) -> Fraction | None:
        """Its value; None: it is broken, or uses a number that stands nowhere."""
        try:
            value = self._added()
        except (ValueError, ZeroDivisionError):
            return None
        counted = sum(not isinstance(term, str) for term in self._terms)
        return value if self._at == len(self._terms) and counted > 1 else None

    def _next(self) -> Figure | str:
        return self._terms[self._at] if self._at < len(self._terms) else ""

    def _added(self) -> Fraction:
        value = self._multiplied()
        while (sign := self._next()) in ("+", "-"):
            self._at += 1
            other = self._multiplied()
            value = value + other if sign == "+" else value - other
        return value

    def _multiplied(self) -> Fraction:
        value = self._single()
        while (sign := self._next()) in ("*", "/"):
            self._at += 1
            other = self._single()
            value = value * other if sign == "*" else value / other
        return value

    def _single(self) -> Fraction:
        term = self._next()
        self._at += 1
        if term == "(":
            value = self._added()
            if self._next() != ")":
                raise ValueError("a bracket is not closed")
            self._at += 1
            return value
        if isinstance(term, str):
            raise ValueError("a number is missing")
        there = term.values & (self._allowed | _FREE)
        there = there or {
            value
            for value in term.values
            if any(value * factor in self._allowed for factor in self._magnitudes)
        }
        if not there:
            raise ValueError("a number stands nowhere")
        return max(there)
