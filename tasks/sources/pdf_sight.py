"""What a reader of a PDF page sees: how text is painted, followed operator by operator.

Text that nobody sees is emptied before pypdf takes it. Here: mode, colour, size, place and layer of
text. Not here: pages and files (`pdf_file`).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, cast

from prefect_llm_reports.tasks.sources.unseen import Unseen

_LEAST_PT = 1.0
_NEAR = 0.04
"""Difference of two colours, in each part from 0 to 1, that nobody sees."""
_MARGIN_PT = 2.0
_BLANK = (1.0, 1.0, 1.0)
_PLAIN_SPACES = ("/DeviceGray", "/DeviceRGB", "/DeviceCMYK", "/CalGray", "/CalRGB")
_INVISIBLE = frozenset({3, 7})
"""Modes in which text is not painted."""
_STROKED = frozenset({1, 2, 5, 6})
"""Modes that paint the outlines of letters."""

Colour = tuple[float, float, float]
Matrix = tuple[float, float, float, float, float, float]
_SAME: Matrix = (1, 0, 0, 1, 0, 0)


class _Box(NamedTuple):
    left: float
    bottom: float
    right: float
    top: float

    def holds(self, x: float, y: float) -> bool:
        return self.left <= x <= self.right and self.bottom <= y <= self.top


@dataclass(frozen=True)
class _Painting:
    """The graphics state, as far as it shows or hides text."""

    matrix: Matrix = _SAME
    fill: Colour | None = (0, 0, 0)
    stroke: Colour | None = (0, 0, 0)
    fill_known: bool = True
    stroke_known: bool = True
    mode: int = 0
    size: float = 0.0
    alpha: float = 1.0


@dataclass
class PageSight:
    """Follows a page's operators, and empties those that show text which nobody sees.

    Args:
        page: The page.
        off: The layers that are switched off.
        unseen: Notes what is left out.
        scanned: The page is a scan: text that is not painted belongs to its OCR layer.

    Attributes:
        pictured: Part of the page that its largest picture covers, from 0 to 1.
        without_ink: There is text in a mode that does not paint it.
    """

    page: Any
    off: frozenset[tuple[int, int]]
    unseen: Unseen
    scanned: bool = False
    pictured: float = 0.0
    without_ink: bool = False
    _now: _Painting = field(default_factory=_Painting)
    _saved: list[_Painting] = field(default_factory=list[_Painting])
    _path: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    _painted: list[tuple[_Box, Colour | None]] = field(
        default_factory=list[tuple[_Box, Colour | None]]
    )
    _layers: list[bool] = field(default_factory=list[bool])
    _forms: list[tuple[_Painting, int]] = field(default_factory=list[tuple[_Painting, int]])
    _resources: list[Any] = field(default_factory=list[Any])

    def __post_init__(self) -> None:
        box = self.page.cropbox
        self._area = _Box(float(box.left), float(box.bottom), float(box.right), float(box.top))
        self._resources = [_resolved(self.page.get("/Resources"))]

    def before(self, operator: bytes, operands: Any, _cm: Any, text_matrix: Any) -> None:
        """Take an operator before pypdf does.

        Args:
            operator: Its name.
            operands: Its operands, which are emptied where they are text that nobody sees.
            text_matrix: Where the next text stands.
        """
        try:
            self._follow(operator, operands, text_matrix)
        except (TypeError, ValueError, IndexError, KeyError, AttributeError):
            return  # a damaged operator paints nothing

    def after(self, operator: bytes, operands: Any, _cm: Any, _text_matrix: Any) -> None:
        """Take an operator after pypdf did: a form ends here."""
        del operands
        if operator == b"Do" and self._forms:
            self._now, saved = self._forms.pop()
            del self._saved[saved:]
            self._resources.pop()

    def _follow(self, operator: bytes, operands: Any, text_matrix: Any) -> None:
        match operator:
            case b"Tj" | b"TJ" | b"'" | b'"':
                self._show(operator, operands, text_matrix)
            case b"q":
                self._saved.append(self._now)
            case b"Q":
                if len(self._saved) > (self._forms[-1][1] if self._forms else 0):
                    self._now = self._saved.pop()
            case b"cm":
                matrix = cast("Matrix", tuple(float(part) for part in operands[:6]))
                self._now = replace(self._now, matrix=_times(matrix, self._now.matrix))
            case b"Tr":
                self._now = replace(self._now, mode=int(operands[0]))
            case b"Tf":
                self._now = replace(self._now, size=float(operands[1]))
            case b"g" | b"rg" | b"k":
                self._now = replace(self._now, fill=_colour(operands), fill_known=True)
            case b"G" | b"RG" | b"K":
                self._now = replace(self._now, stroke=_colour(operands), stroke_known=True)
            case b"cs":
                known = self._is_known(operands[0])
                fill = (0.0, 0.0, 0.0) if known else None
                self._now = replace(self._now, fill=fill, fill_known=known)
            case b"CS":
                known = self._is_known(operands[0])
                stroke = (0.0, 0.0, 0.0) if known else None
                self._now = replace(self._now, stroke=stroke, stroke_known=known)
            case b"sc" | b"scn":
                fill = _colour(operands) if self._now.fill_known else None
                self._now = replace(self._now, fill=fill)
            case b"SC" | b"SCN":
                stroke = _colour(operands) if self._now.stroke_known else None
                self._now = replace(self._now, stroke=stroke)
            case b"gs":
                self._set(operands[0])
            case b"Do":
                self._draw(operands[0])
            case b"INLINE IMAGE":
                self._picture()
            case b"BMC" | b"BDC":
                self._layers.append(self._is_off(operands))
            case b"EMC":
                if self._layers:
                    self._layers.pop()
            case _:
                self._trace(operator, operands)

    def _trace(self, operator: bytes, operands: Any) -> None:
        """Follow paths, which may be painted behind text."""
        match operator:
            case b"re":
                x, y, width, height = (float(part) for part in operands[:4])
                self._path += [(x, y), (x + width, y), (x, y + height), (x + width, y + height)]
            case b"m" | b"l" | b"c" | b"v" | b"y":
                numbers = [float(part) for part in operands]
                self._path += zip(numbers[::2], numbers[1::2], strict=False)
            case b"f" | b"F" | b"f*" | b"B" | b"B*" | b"b" | b"b*":
                self._paint(self._now.fill if self._now.alpha > _NEAR else None)
                self._path = []
            case b"S" | b"s" | b"n":
                self._path = []
            case b"sh":
                self._painted.append((self._area, None))
            case _:
                pass

    def _paint(self, colour: Colour | None) -> None:
        if len(self._path) > 2:
            points = [_moved(self._now.matrix, x, y) for x, y in self._path]
            self._painted.append((_around(points), colour))

    def _picture(self) -> None:
        box = _around([_moved(self._now.matrix, x, y) for x in (0, 1) for y in (0, 1)])
        self._painted.append((box, None))
        width, height = self._area.right - self._area.left, self._area.top - self._area.bottom
        if width > 0 and height > 0:
            wide = min(box.right, self._area.right) - max(box.left, self._area.left)
            high = min(box.top, self._area.top) - max(box.bottom, self._area.bottom)
            part = max(wide, 0) * max(high, 0) / (width * height)
            self.pictured = max(self.pictured, part)

    def _is_known(self, space: Any) -> bool:
        """Whether parts of a colour space are grey, RGB or CMYK; a single ink may be any colour."""
        if space in _PLAIN_SPACES:
            return True
        named = _resolved(_resolved(self._resources[-1]["/ColorSpace"])[space])
        kind = _resolved(named[0]) if isinstance(named, list) else named
        return kind in (*_PLAIN_SPACES, "/ICCBased")

    def _set(self, name: Any) -> None:
        state = _resolved(_resolved(self._resources[-1]["/ExtGState"])[name])
        if "/ca" in state:
            self._now = replace(self._now, alpha=float(_resolved(state["/ca"])))
        if "/Font" in state:
            self._now = replace(self._now, size=float(_resolved(state["/Font"])[1]))

    def _draw(self, name: Any) -> None:
        """Begin a form, or paint a picture."""
        self._forms.append((self._now, len(self._saved)))
        self._resources.append(self._resources[-1])
        drawn = _resolved(_resolved(self._resources[-1]["/XObject"])[name])
        if drawn.get("/Subtype") == "/Image":
            self._picture()
            return
        if (own := _resolved(drawn.get("/Resources"))) is not None:
            self._resources[-1] = own
        if (matrix := _resolved(drawn.get("/Matrix"))) is not None:
            moved = cast("Matrix", tuple(float(part) for part in matrix[:6]))
            self._now = replace(self._now, matrix=_times(moved, self._now.matrix))
        layer = drawn.get("/OC")
        if layer is not None and self._names_off(layer, drawn.raw_get("/OC")):
            self._now = replace(self._now, alpha=0.0)

    def _is_off(self, operands: Any) -> bool:
        if self._layers and self._layers[-1]:
            return True
        if len(operands) < 2 or operands[0] != "/OC" or not self.off:
            return False
        named = _resolved(self._resources[-1]["/Properties"])
        return self._names_off(_resolved(named[operands[1]]), named.raw_get(operands[1]))

    def _names_off(self, layer: Any, reference: Any) -> bool:
        """Whether a layer, or each of a group of layers, is switched off."""
        if _key(reference) in self.off:
            return True
        members: Any = layer.raw_get("/OCGs") if "/OCGs" in layer else None
        if members is None:
            return False
        listed: Any = _resolved(members)
        found = cast("list[Any]", listed if isinstance(listed, list) else [members])
        keys = [_key(member) for member in found]
        return bool(keys) and all(key in self.off for key in keys)

    def _show(self, operator: bytes, operands: Any, text_matrix: Any) -> None:
        if how := self._hidden(text_matrix):
            at = 2 if operator == b'"' else 0
            shown: Any = operands[at]
            parts = cast("list[Any]", shown if isinstance(shown, list) else [shown])
            text = "".join(part for part in parts if isinstance(part, str))
            self.unseen(text or "text", how)
            if isinstance(shown, list):
                cast("list[Any]", shown).clear()
            else:
                operands[at] = type(shown)()

    def _hidden(self, text_matrix: Any) -> str:
        """How the next text is hidden; empty: a reader sees it."""
        now = self._now
        if self._layers and self._layers[-1]:
            return "layer switched off"
        if now.mode in _INVISIBLE:
            self.without_ink = True
            return "" if self.scanned else f"render mode {now.mode}"
        if now.alpha <= _NEAR:
            return "transparent"
        matrix = _times(cast("Matrix", tuple(float(part) for part in text_matrix)), now.matrix)
        if abs(now.size) * _scale(matrix) < _LEAST_PT:
            return "below 1 pt"
        x, y = matrix[4], matrix[5]
        area = self._area
        wide = _Box(
            area.left - _MARGIN_PT - 0.5 * (area.right - area.left),
            area.bottom - _MARGIN_PT,
            area.right + _MARGIN_PT,
            area.top + _MARGIN_PT,
        )
        if not wide.holds(x, y):
            return "outside of the page"
        behind = next(
            (colour for box, colour in reversed(self._painted) if box.holds(x, y + 1)), _BLANK
        )
        inks = [now.fill] if now.mode not in (1, 5) else []
        inks += [now.stroke] if now.mode in _STROKED else []
        if behind and all(ink and _alike(ink, behind) for ink in inks):
            return "white" if behind == _BLANK else "coloured like its background"
        return ""


def layers_off(opened: Any) -> frozenset[tuple[int, int]]:
    """The layers that a PDF switches off when it is opened, as numbers of objects.

    Args:
        opened: pypdf's reader.
    """
    found: set[tuple[int, int]] = set()
    with suppress(KeyError, TypeError, AttributeError):
        properties = _resolved(opened.trailer["/Root"]["/OCProperties"])
        usual = _resolved(properties["/D"])
        if usual.get("/BaseState") == "/OFF":
            found |= {_key(layer) for layer in _resolved(properties["/OCGs"])}
            found -= {_key(layer) for layer in _resolved(usual.get("/ON")) or ()}
        found |= {_key(layer) for layer in _resolved(usual.get("/OFF")) or ()}
    return frozenset(found)


def _key(reference: Any) -> tuple[int, int]:
    return (getattr(reference, "idnum", 0), getattr(reference, "generation", 0))


def _resolved(value: Any) -> Any:
    return value.get_object() if hasattr(value, "get_object") else value


def _colour(operands: Any) -> Colour | None:
    """The colour that operands name; None: a pattern, or of a space that is not known."""
    try:
        parts = [float(part) for part in operands]
    except (TypeError, ValueError):
        return None
    match parts:
        case [grey]:
            return grey, grey, grey
        case [red, green, blue]:
            return red, green, blue
        case [cyan, magenta, yellow, black]:
            light = 1 - black
            return (1 - cyan) * light, (1 - magenta) * light, (1 - yellow) * light
        case _:
            return None


def _alike(one: Colour, other: Colour) -> bool:
    return all(abs(a - b) <= _NEAR for a, b in zip(one, other, strict=True))


def _times(one: Matrix, other: Matrix) -> Matrix:
    a, b, c, d, e, f = one
    g, h, i, j, k, m = other
    return (
        a * g + b * i,
        a * h + b * j,
        c * g + d * i,
        c * h + d * j,
        e * g + f * i + k,
        e * h + f * j + m,
    )


def _moved(matrix: Matrix, x: float, y: float) -> tuple[float, float]:
    a, b, c, d, e, f = matrix
    return a * x + c * y + e, b * x + d * y + f


def _scale(matrix: Matrix) -> float:
    """How tall a unit becomes."""
    return float((matrix[2] ** 2 + matrix[3] ** 2) ** 0.5)


def _around(points: list[tuple[float, float]]) -> _Box:
    across, up = zip(*points, strict=True)
    return _Box(min(across), min(up), max(across), max(up))
