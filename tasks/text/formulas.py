r"""Formulas found in Markdown: by their marks, outside code.

Here: `$…$` by pandoc's rule, `$$…$$`, `\(…\)`, `\[…\]` and displayed LaTeX environments, told from
money, escaped brackets and shell. Not here: how they are kept from the parser (`text.mathematics`),
their conversion (`text.mathml`).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST = 5_000
"""Characters of a formula; a longer one stays text."""
LONGEST_INLINE = 1_500
_PREFIX = r"[ \t]*(?:>[ \t]?|(?:[-*+]|[0-9]{1,9}[.)])[ \t]+)*"
_MARK = re.compile(
    rf"^(?P<lead>{_PREFIX})(?:(?P<fence>`{{3,}}(?=[^`\n]*$)|~{{3,}})"
    r"|\\begin\{(?P<environment>(?:equation|align|alignat|flalign|gather|multline|eqnarray)\*?)\})"
    r"|(?P<ticks>`+)|(?P<bracket>\\[(\[])|(?P<slash>\\.)|(?P<dollars>\$+)",
    re.MULTILINE,
)
_BEGINS = re.compile(r"[`~$\\]")
"""Each mark is one of these, or begins on the line of the first one with nothing but its lead."""
_BLANK = re.compile(r"\n(?:[ \t>]*\n)+")
_DOLLARS = re.compile(r"\\.|\$+|[{}]", re.DOTALL)
_SIGN = re.compile(
    r"[\\^_=<>+{}/*\u2264\u2265\u2248\u2260\xb1\xd7\xf7\xb7\u2200-\u22ff\u2190-\u21ff]|(?<=[\w)\]])\s*-\s*(?=[\w(\[])"
)
_TEX_SIGN = re.compile(r"[\\^_=<>+{}\xd7\xb7\u2264\u2265\u2248]")
_NUMBER = re.compile(r"[\d\s.,%]+")
_VARIABLE = re.compile(r"\{[A-Z][A-Z0-9_]*\}|[A-Z][A-Z0-9_]+\b")
_PROSE = re.compile(r"[^\W\d_]{2,}(?:[\s,.;:]+[^\W\d_]{2,})+[.,]?")
_NEW_BLOCK = re.compile(r"\n[ \t]*(?:[-*+][ \t]|#{1,6}[ \t]|[0-9]{1,9}[.)][ \t]|>|\||`{3}|~{3})")
_HEADING_OR_CODE = re.compile(r"\n[ \t>]*(?:#{1,6}[ \t]|`{3}|~{3})")
_OPENING = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True)
class Formula:
    """A formula in a text.

    Attributes:
        start: Where it begins in the text, its mark included.
        source: The formula as it stands in the text, with its marks.
        tex: What is between the marks, without marks of quotes around it.
        display: Whether it stands on a line of its own.
    """

    start: int
    source: str
    tex: str
    display: bool


def may_hold_formulas(text: str) -> bool:
    """Whether a text has a mark that a formula can begin with.

    Args:
        text: Markdown.
    """
    return "$" in text or "\\(" in text or "\\[" in text or "\\begin{" in text


def formulas(text: str) -> list[Formula]:
    """All formulas of a text, in order.

    Args:
        text: Markdown.
    """
    return list(_Finder(text).found()) if may_hold_formulas(text) else []


class _Finder:
    """Reads a text from left to right, past code."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._blanks = [found.start() for found in _BLANK.finditer(text)]
        self._ticks: dict[int, list[int]] = {}
        for run in re.finditer("`+", text):
            self._ticks.setdefault(len(run[0]), []).append(run.start())

    def found(self) -> Iterator[Formula]:
        at = 0
        while mark := self._mark(at):
            at = mark.end()
            if mark["fence"]:
                at = self._past_fence(mark["fence"], at)
            elif mark["ticks"]:
                at = self._past_code(mark)
            elif formula := self._formula(mark):
                yield formula
                at = formula.start + len(formula.source)

    def _mark(self, at: int) -> re.Match[str] | None:
        """The next mark; only places at which one may stand are looked at."""
        text = self._text
        while begins := _BEGINS.search(text, at):
            place = begins.start()
            line = text.rfind("\n", at, place) + 1 or at
            if mark := _MARK.match(text, line) or _MARK.match(text, place):
                return mark
            at = place + 1
        return None

    def _formula(self, mark: re.Match[str]) -> Formula | None:
        if mark["environment"]:
            return self._environment(mark)
        if mark["bracket"]:
            return self._bracketed(mark)
        if mark["dollars"] == "$$":
            return self._displayed(mark)
        return self._inline(mark) if mark["dollars"] == "$" else None

    def _past_fence(self, fence: str, at: int) -> int:
        closing = re.compile(rf"^[ \t>]*{fence[0]}{{{len(fence)},}}[ \t]*$", re.MULTILINE)
        found = closing.search(self._text, at)
        return found.end() if found else len(self._text)

    def _past_code(self, mark: re.Match[str]) -> int:
        places = self._ticks.get(len(mark["ticks"]), [])
        next_one = bisect_left(places, mark.end())
        if next_one < len(places) and places[next_one] < self._paragraph_end(mark.end()):
            return places[next_one] + len(mark["ticks"])
        return mark.end()

    def _paragraph_end(self, at: int) -> int:
        place = bisect_left(self._blanks, at)
        return self._blanks[place] if place < len(self._blanks) else len(self._text)

    def _environment(self, mark: re.Match[str]) -> Formula | None:
        start = mark.end("lead")
        ending = f"\\end{{{mark['environment']}}}"
        end = self._text.find(ending, mark.end(), min(start + LONGEST, len(self._text)))
        if end < 0 or _HEADING_OR_CODE.search(self._text, mark.end(), end):
            return None
        source = self._text[start : end + len(ending)]
        return Formula(start, source, _unquoted(source), display=True)

    def _bracketed(self, mark: re.Match[str]) -> Formula | None:
        text, start = self._text, mark.start()
        display = mark[0] == "\\["
        line = text.rfind("\n", 0, start) + 1
        alone = display and re.fullmatch(_PREFIX, text[line:start]) is not None
        reach = start + LONGEST if alone else self._paragraph_end(mark.end())
        closing = "\\]" if display else "\\)"
        end = self._closing(closing, mark.end(), min(reach, start + LONGEST))
        if end < 0:
            return None
        inside = text[mark.end() : end]
        if alone and "\n" in inside:
            after = text[end + 2 : text.find("\n", end) if "\n" in text[end:] else len(text)]
            blank = end > self._paragraph_end(mark.end())
            if blank and (after.strip(" \t.,;") or _HEADING_OR_CODE.search(inside)):
                return None
        tex = _unquoted(inside).strip()
        if (
            not any(map(str.isalnum, tex))
            or "`" in tex
            or (_NEW_BLOCK.search(inside) and not display)
        ):
            return None
        if display and text.startswith("(", end + 2):
            return None
        if display and "\n" not in inside and (tex[0] == "^" or not _SIGN.search(tex)):
            return None
        if _PROSE.fullmatch(tex) or (display and _NUMBER.fullmatch(tex)):
            return None
        return Formula(start, text[start : end + 2], tex, display)

    def _closing(self, closing: str, at: int, reach: int) -> int:
        """The place of a closing mark whose backslash is not escaped."""
        reach = min(reach, len(self._text))
        for found in re.compile(r"\\.", re.DOTALL).finditer(self._text, at, reach):
            if found[0] == closing:
                return found.start()
            if found[0] in ("\\[", "\\("):
                return -1
        return -1

    def _displayed(self, mark: re.Match[str]) -> Formula | None:
        reach = min(self._paragraph_end(mark.end()), mark.start() + LONGEST)
        for found in _DOLLARS.finditer(self._text, mark.end(), reach):
            if found[0].startswith("$$"):
                if len(found[0]) != 2:
                    return None
                inside = self._text[mark.end() : found.start()]
                tex = _unquoted(inside).strip()
                if not tex or "`" in tex or _HEADING_OR_CODE.search(inside):
                    return None
                source = self._text[mark.start() : found.end()]
                return Formula(mark.start(), source, tex, display=True)
        return None

    def _inline(self, mark: re.Match[str]) -> Formula | None:
        text, start = self._text, mark.end()
        if text[start : start + 1].isspace() or start == len(text):
            return None
        reach = min(self._paragraph_end(start), start + LONGEST_INLINE)
        depth = 0
        for found in _DOLLARS.finditer(text, start, reach):
            if found[0][0] != "$":
                depth += {"{": 1, "}": -1}.get(found[0], 0)
            if found[0][0] != "$" or depth > 0:
                continue
            if len(found[0]) > 1 or text[found.start() - 1].isspace():
                return None
            if text[found.end() : found.end() + 1].isdecimal():
                continue
            inside = text[start : found.start()]
            if not self._is_formula(inside, mark.start()):
                return None
            source = text[mark.start() : found.end()]
            return Formula(mark.start(), source, _unquoted(inside).strip(), display=False)
        return None

    def _is_formula(self, inside: str, start: int) -> bool:
        """Whether text between dollars is a formula, and not money, shell or two cells."""
        if "`" in inside or _NEW_BLOCK.search(inside):
            return False
        after = self._text[start + len(inside) + 2 : start + len(inside) + 3]
        if _VARIABLE.match(inside) and (after == "{" or after.isalnum()):
            return False
        marked = _TEX_SIGN.search(inside) is not None
        if inside[0].isdecimal() and re.search(r"\s", inside) and not marked:
            return _NUMBER.fullmatch(inside) is not None
        if not marked and _PROSE.fullmatch(inside):
            return False
        line = self._text.rfind("\n", 0, start) + 1
        if "|" in inside and self._text[line:start].lstrip(" \t>").startswith("|"):
            paired = inside.count("|") % 2 == 0 and " | " not in inside
            return paired or _within_brackets(inside)
        return True


def _within_brackets(inside: str) -> bool:
    """Whether every `|` stands within brackets, or belongs to a command."""
    opened: list[str] = []
    before = ""
    for sign in inside:
        if sign in _OPENING:
            opened.append(_OPENING[sign])
        elif opened and sign == opened[-1]:
            opened.pop()
        elif sign == "|" and not opened and before != "\\":
            return False
        before = sign
    return True


def _unquoted(inside: str) -> str:
    """The lines of a formula without the marks of the quote that they stand in."""
    if "\n" not in inside:
        return inside
    first, *others = inside.split("\n")
    filled = [line for line in others if line.strip()]
    if filled and all(line.lstrip(" \t").startswith(">") for line in filled):
        others = [re.sub(r"^[ \t]*(?:>[ \t]?)+", "", line) for line in others]
    return "\n".join([first, *others])
