"""How a Word document looks, by its styles: which text is hidden, and what is a heading.

Here: styles and what they are based on, colours behind text. Not here: the text (`word_file`).
"""

from __future__ import annotations

import re
from typing import Any

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
"""The namespace of a document's elements."""
_LEAST_HALF_POINTS = 2
_HEADING = re.compile(r"heading\s*([1-9])\Z", re.I)
_MOST_STYLES = 20
"""Styles of which one may be based on another."""


class Looks:
    """What the styles of a document say.

    Args:
        document: The document, as python-docx opens it.
    """

    def __init__(self, document: Any) -> None:
        self._styles: dict[str, Any] = {
            style.get(f"{W}styleId"): style for style in document.styles.element.iter(f"{W}style")
        }
        self._known: dict[str, dict[str, str]] = {}
        self._levels: dict[str, int] = {}
        self._usual = next(
            (
                name
                for name, style in self._styles.items()
                if style.get(f"{W}type") == "paragraph" and style.get(f"{W}default") == "1"
            ),
            "",
        )
        background = document.element.find(f"{W}background")
        self._page = "" if background is None else background.get(f"{W}color", "")

    def level(self, paragraph: Any) -> int:
        """The level of a heading, from 1; 0: the paragraph is none."""
        own = paragraph.find(f"{W}pPr/{W}outlineLvl")
        if own is not None:
            return _outline(own)
        name = self._style_of(paragraph)
        if name not in self._levels:
            self._levels[name] = self._level_of_style(name)
        return self._levels[name]

    def behind(self, paragraph: Any) -> str:
        """The colour behind a paragraph, as six hex digits; empty: the page's."""
        cell = next(paragraph.iterancestors(f"{W}tc"), None)
        around = "" if cell is None else _shading(cell.find(f"{W}tcPr"))
        return _shading(paragraph.find(f"{W}pPr")) or around

    def hidden(self, run: Any, paragraph: Any, behind: str) -> str:
        """How a run is hidden; empty: a reader sees it."""
        own = run.find(f"{W}rPr")
        look = dict(self._look(self._style_of(paragraph)))
        if own is not None:
            style = own.find(f"{W}rStyle")
            if style is not None:
                look |= self._look(style.get(f"{W}val", ""))
            look |= _properties(own)
        if look.get("vanish") == "on" or look.get("webHidden") == "on":
            return "hidden in Word"
        size = look.get("sz", "")
        if size.isdigit() and int(size) < _LEAST_HALF_POINTS:
            return "below 1 pt"
        colour_behind = look.get("shd") or behind or self._page or "FFFFFF"
        colour = look.get("color", "")
        if look.get("highlight", "none") not in ("none", "white"):
            return ""
        if len(colour) == 6 and _alike(colour, colour_behind):
            return "white" if _alike(colour, "FFFFFF") else "coloured like its background"
        return ""

    def _level_of_style(self, name: str) -> int:
        for style in reversed(self._chain(name)):
            title = style.find(f"{W}name")
            called = "" if title is None else title.get(f"{W}val", "")
            if found := _HEADING.match(called):
                return int(found[1])
            if called.lower() == "title":
                return 1
            outline = style.find(f"{W}pPr/{W}outlineLvl")
            if outline is not None:
                return _outline(outline)
        return 0

    def _style_of(self, paragraph: Any) -> str:
        own = paragraph.find(f"{W}pPr/{W}pStyle")
        return self._usual if own is None else own.get(f"{W}val", "")

    def _chain(self, name: str) -> list[Any]:
        """A style and those it is based on, the outermost first."""
        found: list[Any] = []
        while name in self._styles and len(found) < _MOST_STYLES:
            style = self._styles[name]
            found.insert(0, style)
            based = style.find(f"{W}basedOn")
            name = "" if based is None else based.get(f"{W}val", "")
        return found

    def _look(self, name: str) -> dict[str, str]:
        if name not in self._known:
            look: dict[str, str] = {}
            for style in self._chain(name):
                properties = style.find(f"{W}rPr")
                if properties is not None:
                    look |= _properties(properties)
            self._known[name] = look
        return self._known[name]


def _shading(properties: Any) -> str:
    shading = None if properties is None else properties.find(f"{W}shd")
    return "" if shading is None else _fill(shading)


def _properties(properties: Any) -> dict[str, str]:
    """The properties of a run or a style that may hide its text."""
    found: dict[str, str] = {}
    for one in properties:
        name = one.tag.removeprefix(W)
        value = one.get(f"{W}val")
        if name in ("vanish", "specVanish", "webHidden"):
            found["vanish"] = "off" if value in ("0", "false", "off") else "on"
        elif name == "shd":
            found[name] = _fill(one)
        elif name in ("color", "sz", "highlight") and value is not None:
            found[name] = value
            if name == "color" and one.get(f"{W}themeColor") in ("background1", "light1"):
                found[name] = "FFFFFF"
    return found


def _fill(shading: Any) -> str:
    fill = shading.get(f"{W}fill", "")
    return fill if len(fill) == 6 else ""


def _outline(level: Any) -> int:
    value = level.get(f"{W}val", "")
    return int(value) + 1 if value.isdigit() and int(value) < 9 else 0


def _alike(one: str, other: str) -> bool:
    try:
        pairs = [(int(one[n : n + 2], 16), int(other[n : n + 2], 16)) for n in (0, 2, 4)]
    except ValueError:
        return False
    return all(abs(a - b) <= 12 for a, b in pairs)
