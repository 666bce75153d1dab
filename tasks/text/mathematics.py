"""Formulas kept from the parser of Markdown, and put back.

Here: each formula as one private character that no rule of Markdown knows, and the places of
formulas in parts of the text. Not here: what is a formula (`text.formulas`), their conversion
(`text.mathml`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property

from markdown_it.common.html_re import HTML_TAG_RE

from prefect_llm_reports.tasks.text.formulas import (
    LONGEST,
    Formula,
    formulas,
)

MOST = 60_000
"""Formulas of a text; the others stay text."""

_FIRST = 0xF0000
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_TAG_OF_BLOCK = re.compile(r"(?<=\n)[ \t>]*<(?=[A-Za-z/!?])")
_HTML = re.compile(HTML_TAG_RE.pattern.removeprefix("^"), HTML_TAG_RE.flags)
_ADDRESS = re.compile(r"<[A-Za-z][A-Za-z0-9+.-]*[:@][^\s<>]*>|<[^\s<>@]+@[^\s<>]+>")
_LINK = re.compile(
    r"(!)(?=\[)|(\])(?=\(\s*(?:[A-Za-z][\w+.-]*:|//|<))|(?m:^)([ \t>]*\[[^\]\n]*\])(?=:)"
)
_HIDDEN = re.compile("[\U000f0000-\U0010ffff]")


class Hidden:
    """A text in which each formula is one private character, which no rule of Markdown knows.

    Args:
        text: Markdown; one that uses such characters itself has no formulas.
    """

    def __init__(self, text: str) -> None:
        taken = not text.isascii() and _HIDDEN.search(text) is not None
        self.formulas = [] if taken else formulas(text)[:MOST]
        pieces: list[str] = []
        at = 0
        for number, formula in enumerate(self.formulas):
            pieces += [text[at : formula.start], chr(_FIRST + number)]
            at = formula.start + len(formula.source)
        self.text = "".join([*pieces, text[at:]])

    def shown(self, text: str, write: Callable[[Formula], str] | None = None) -> str:
        """A part of the hidden text with its formulas as they were.

        Args:
            text: The part.
            write: How a formula is written; None: as it stands in the source.
        """
        if not self.formulas:
            return text

        def written(sign: re.Match[str]) -> str:
            formula = self.formulas[ord(sign[0]) - _FIRST]
            return write(formula) if write else formula.source

        return _HIDDEN.sub(written, text)

    def places(self, text: str) -> dict[int, Formula]:
        """The formulas of a part of the hidden text, by where they begin in the part as shown."""
        found: dict[int, Formula] = {}
        longer = 0
        for sign in _HIDDEN.finditer(text) if self.formulas else ():
            formula = self.formulas[ord(sign[0]) - _FIRST]
            found[sign.start() + longer] = formula
            longer += len(formula.source) - 1
        return found

    @cached_property
    def lines(self) -> list[int]:
        """The line of the text in which each line of the hidden text begins, and the last one."""
        found: list[int] = []
        line = 0
        for hidden in self.text.split("\n"):
            found.append(line)
            inside = (self.formulas[ord(s) - _FIRST] for s in _HIDDEN.findall(hidden))
            line += 1 + sum(formula.source.count("\n") for formula in inside)
        return [*found, line]

    @property
    def moves_lines(self) -> bool:
        """Whether a formula is of more than one line."""
        return any("\n" in formula.source for formula in self.formulas)


def pieces_of(text: str) -> tuple[str | Formula, ...]:
    """The words and formulas of a plain text in order; nothing if it has no formula.

    Args:
        text: Plain text, such as a summary.
    """
    found = formulas(text)
    if not found:
        return ()
    pieces: list[str | Formula] = []
    at = 0
    for formula in found:
        pieces += [text[at : formula.start], formula]
        at = formula.start + len(formula.source)
    return (*pieces, text[at:])


def tamed(source: str, rest: str) -> str:
    """A formula that no viewer takes for HTML, an image or a bad link; spaces mean nothing in TeX.

    Args:
        source: The formula with its marks.
        rest: The text after it, which may end a tag that begins in it.
    """
    if "<" in source:
        whole = source + rest[:LONGEST]
        source = _TAG.sub(lambda sign: "< " if _is_tag(whole, sign.start()) else "<", source)
        source = _TAG_OF_BLOCK.sub(r"\g<0> ", source)
    return _LINK.sub(r"\g<0> ", source) if "[" in source else source


def _is_tag(text: str, at: int) -> bool:
    """Whether a viewer of plain CommonMark reads a tag or an address here."""
    return any(known.match(text, at) for known in (_HTML, _ADDRESS))


def cell_tex(tex: str) -> str:
    r"""TeX from a table, where `\|` is a bar; in pairs it is TeX's own double bar.

    Args:
        tex: The formula without its marks.
    """
    return tex.replace("\\|", "|") if tex.count("\\|") % 2 else tex
