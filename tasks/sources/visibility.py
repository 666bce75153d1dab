"""What a reader of a page sees: elements in their styles, from the outermost inwards.

Here: every way in which HTML hides text that can be told without drawing the page. Not here: style
sheets (`css`), the text (`html_file`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from prefect_llm_reports.tasks.sources.css import (
    Attributes,
    Element,
    RuleBook,
    Style,
    declarations,
)

_SCRIPTS = frozenset({"head", "script", "style", "template", "noscript", "noframes", "noembed"})
_INSTEAD = frozenset({"iframe", "object", "audio", "video", "canvas", "datalist", "select"})
NEVER_SEEN = _SCRIPTS | _INSTEAD | {"textarea"}
"""Elements whose text is code, or is shown only where something else is missing."""
_FOR_OTHERS = frozenset(
    {"sr-only", "visually-hidden", "visuallyhidden", "screen-reader-text", "d-none"}
)
"""Classes by which widespread style sheets hide text."""
_LEAST_PT, _PT_A_PX = 1.0, 0.75
_USUAL_PT = 12.0
_FAR_PX = 500
_NEAR = 12
"""Difference of two colours, in each part from 0 to 255, that nobody sees."""
_NAMES = {
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "snow": (255, 250, 250),
    "ivory": (255, 255, 240),
    "whitesmoke": (245, 245, 245),
    "ghostwhite": (248, 248, 255),
    "floralwhite": (255, 250, 240),
}
_LENGTH = re.compile(r"(-?(?:\d+\.?\d*|\.\d+))\s*(px|pt|em|rem|ex|ch|%|vw|vh|in|cm|mm|pc)?")
_PX = {"px": 1.0, "pt": 1 / 0.75, "in": 96.0, "cm": 37.8, "mm": 3.78, "pc": 16.0}
_PARTS = re.compile(r"-?[\d.]+%?")

Colour = tuple[int, int, int]


class Sight(NamedTuple):
    """How text of an element looks.

    Attributes:
        hidden: How the element and all in it are hidden; empty: they are not.
        colour: Of the text; None: not known.
        background: Behind it; None: not known.
        points: Size of the text.
        shown: The property `visibility` lets it be seen.
    """

    hidden: str = ""
    colour: Colour | None = (0, 0, 0)
    background: Colour | None = (255, 255, 255)
    points: float = _USUAL_PT
    shown: bool = True

    @property
    def unseen(self) -> str:
        """How text here is hidden; empty: a reader sees it."""
        if self.hidden:
            return self.hidden
        if not self.shown:
            return "visibility: hidden"
        if self.points < _LEAST_PT:
            return "below 1 pt"
        if self.colour and self.background and _alike(self.colour, self.background):
            return "coloured like its background"
        return ""


@dataclass
class Open:
    """An element that is open, with the looks of its text."""

    element: Element
    sight: Sight


def sight_of(element: Element, path: list[Element], book: RuleBook, around: Sight) -> Sight:
    """The looks of an element's text.

    Args:
        element: The element.
        path: The open elements, it being the last.
        book: The page's rules.
        around: The looks of the text around it.
    """
    if around.hidden:
        return around
    attributes = element.attributes
    style: Style = {**_by_attributes(attributes), **book.style(path)}
    if written := attributes.get("style"):
        style |= declarations(written)
    hidden = _hidden_element(element, style) or (_hidden_style(style) if style else "")
    if hidden:
        return around._replace(hidden=hidden)
    return _looks(style, around) if style else around


def _by_attributes(attributes: Attributes) -> Style:
    style: Style = {}
    if colour := attributes.get("color"):
        style["color"] = colour.lower()
    if colour := attributes.get("bgcolor"):
        style["background"] = colour.lower()
    return style


def _hidden_element(element: Element, style: Style) -> str:
    tag, attributes, classes = element
    if tag in NEVER_SEEN:
        return tag
    if "hidden" in attributes and style.get("display", "none") == "none":
        return "hidden"
    if attributes.get("aria-hidden", "").strip().lower() == "true":
        return "aria-hidden"
    if tag == "dialog" and "open" not in attributes:
        return "closed dialog"
    if found := classes & _FOR_OTHERS:
        return min(found)
    if "hidden" in classes and not any(":" in name for name in classes):
        return "class hidden"
    return ""


def _hidden_style(style: Style) -> str:
    if style.get("display") == "none":
        return "display: none"
    if style.get("content-visibility") == "hidden":
        return "content-visibility: hidden"
    opacity = style.get("opacity", "")
    if opacity and (_number(opacity) or 0) <= (2 if opacity.endswith("%") else 0.02):
        return "opacity"
    if re.search(r"opacity\(\s*0*\.?0*%?\s*\)", style.get("filter", "")):
        return "opacity"
    if _clipped(style):
        return "clipped"
    if _is_away(style):
        return "outside of the page"
    if re.search(r"scale[xy3d]*\(\s*0*\.?0+\s*[,)]", style.get("transform", "")):
        return "no size"
    overflows = " ".join(style.get(name, "") for name in ("overflow", "overflow-x", "overflow-y"))
    cut_off = "hidden" in overflows or "clip" in overflows
    sizes = [_pixels(style.get(name, "")) for name in ("width", "height")]
    bounds = [_pixels(style.get(name, "")) for name in ("max-width", "max-height")]
    small = [size is not None and size <= 1 for size in (*sizes, *bounds)]
    if (cut_off and any(small)) or all(size == 0 for size in sizes):
        return "no size"
    return ""


def _clipped(style: Style) -> bool:
    clip = style.get("clip", "")
    if clip.startswith("rect("):
        edges = [_pixels(part) for part in re.split(r"[,\s]+", clip[5:].rstrip(") ")) if part]
        known = [edge for edge in edges if edge is not None]
        if len(known) == 4 and (known[2] - known[0] <= 1 or known[1] - known[3] <= 1):
            return True
    path = style.get("clip-path", "")
    if path.startswith("inset("):
        first = _PARTS.search(path)
        return bool(first and first[0].endswith("%") and float(first[0][:-1]) >= 50)
    return bool(re.match(r"circle\(\s*0(?:px|%)?\s*[)a]", path))


def _is_away(style: Style) -> bool:
    """Whether an element stands where nobody can scroll to."""
    placed = style.get("position") in ("absolute", "fixed", "relative")
    names = ["text-indent", "margin-left", "margin-top"]
    names += ["left", "top", "right", "bottom"] if placed else []
    for name in names:
        size = _pixels(style.get(name, ""))
        if size is not None and size <= -_FAR_PX:
            return True
    moved = re.findall(r"translate[xy3d]*\(([^)]*)\)", style.get("transform", ""))
    sizes = [_pixels(part.strip()) for found in moved for part in found.split(",")]
    return any(size is not None and size <= -_FAR_PX for size in sizes)


def _looks(style: Style, around: Sight) -> Sight:
    colour, background = around.colour, around.background
    behind = style.get("background-color") or style.get("background")
    drawn = f"{style.get('background-image', '')} {behind or ''}"
    if "url(" in drawn or "gradient(" in drawn:
        background = None
    elif behind is not None and not _is_clear(behind) and behind not in ("none", "inherit"):
        background = _colour(behind)
    if (said := style.get("-webkit-text-fill-color") or style.get("color")) is not None:
        if _is_clear(said):  # text in the colours of a picture behind it is seen
            colour = background
        elif said not in ("inherit", "currentcolor"):
            colour = _colour(said)
    shown = around.shown
    if visibility := style.get("visibility"):
        shown = visibility not in ("hidden", "collapse")
    size = style.get("font-size") or _size_in_font(style.get("font", ""))
    points = _points(size, around.points) if size else around.points
    return Sight("", colour, background, points, shown)


def _size_in_font(font: str) -> str:
    found = re.search(r"(?:^|\s)((?:\d+\.?\d*|\.\d+)(?:px|pt|em|rem|%))(?:\s|/)", font)
    return found[1] if found else ""


def _points(size: str, around: float) -> float:
    found = _LENGTH.fullmatch(size.strip())
    if not found:
        return _USUAL_PT if size in ("medium", "initial") else max(around, _LEAST_PT)
    value, unit = float(found[1]), found[2]
    match unit:
        case "em" | "ex" | "ch":
            return value * around
        case "%":
            return value / 100 * around
        case "rem":
            return value * _USUAL_PT
        case "vw" | "vh":
            return value * 10
        case None:
            return 0.0 if value == 0 else around
        case _:
            return value * _PX[unit] * _PT_A_PX


def _number(text: str) -> float | None:
    try:
        return float(text.strip().rstrip("%"))
    except ValueError:
        return None


def _pixels(text: str) -> float | None:
    found = _LENGTH.fullmatch(text.strip())
    if not found:
        return None
    value, unit = float(found[1]), found[2]
    if value == 0:
        return 0.0
    if unit in ("em", "rem"):
        return value * 16
    if unit in ("%", "vw", "vh"):
        return value * 10
    return value * _PX.get(unit or "px", 1.0)


def _is_clear(colour: str) -> bool:
    """Whether a colour lets everything through."""
    if colour == "transparent":
        return True
    if re.fullmatch(r"#(?:[0-9a-f]{3}0|[0-9a-f]{6}0[0-5])", colour):
        return True
    parts = _PARTS.findall(colour) if colour.startswith(("rgba", "hsla", "rgb(", "hsl(")) else []
    if len(parts) != 4:
        return False
    share = float(parts[3].rstrip("%")) / (100 if parts[3].endswith("%") else 1)
    return share <= 0.02


def _colour(text: str) -> Colour | None:
    """A colour's parts from 0 to 255; None: not known."""
    word = text.split()[0] if text and not text.startswith(("rgb", "hsl")) else text
    if word in _NAMES:
        return _NAMES[word]
    if found := re.fullmatch(r"#([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})", word):
        digits = found[1]
        if len(digits) < 5:
            digits = "".join(2 * digit for digit in digits)
        return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)
    if word.startswith("rgb"):
        parts = _PARTS.findall(word)
        if len(parts) >= 3:
            red, green, blue = (
                round(float(p.rstrip("%")) * (2.55 if p.endswith("%") else 1)) for p in parts[:3]
            )
            return red, green, blue
    if word.startswith("hsl"):
        parts = _PARTS.findall(word)
        if len(parts) >= 3 and float(parts[2].rstrip("%")) >= 97:
            return 255, 255, 255
    return None


def _alike(one: Colour, other: Colour) -> bool:
    return all(abs(a - b) <= _NEAR for a, b in zip(one, other, strict=True))
