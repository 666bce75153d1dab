"""Boxes and arrows drawn as SVG.

Here: boxes in columns from left to right or in rows downward, with their fields, types and
descriptions. An arrow decides the place of a box: the target stands after the source. Not here: the
boxes of a program (`branches.drawing`, `reports.drawing`).
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from prefect_llm_reports.tasks.llm.schema_fields import outline
from prefect_llm_reports.tasks.llm.strict_schemas import Json

WIDTH, GAP_X, GAP_Y, MARGIN = 300, 90, 24, 24
PAD, LINE = 12, 16
CHARS = 44
"""Width of a line in a box, in Latin letters."""

Point = tuple[float, float]
"""Left and top of a box, or the place of a label."""

_ILLEGAL = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_STYLE = """
svg { color-scheme: light dark; }
.ground { fill: #ffffff; }
.box { fill: #f6f8fa; stroke: #8792a2; }
.input, .merge { fill: #eaf2fb; stroke: #3b6ea5; }
.output { fill: #eaf6ee; stroke: #2f7d4f; }
text { font: 12px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: #1c2430; }
.name { font-weight: 650; font-size: 14px; }
.about { fill: #4a5565; font-style: italic; }
.field { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
.said { fill: #4a5565; }
.edge { fill: none; stroke: #5b6778; stroke-width: 1.5; }
.label { font-size: 11px; fill: #4a5565; }
@media (prefers-color-scheme: dark) {
.ground { fill: #14181f; }
.box { fill: #1d232d; stroke: #6b7789; }
.input, .merge { fill: #17283b; stroke: #6ea3d8; }
.output { fill: #16301f; stroke: #66b98a; }
text { fill: #e6eaf0; }
.about, .said, .label { fill: #b3bdca; }
.edge { stroke: #94a1b3; }
}
"""


@dataclass(frozen=True)
class Box:
    """One box in the picture.

    Attributes:
        name: Its heading.
        kind: Decides its colour.
        about: What it does, cut to three lines.
        schema: The strict schema whose fields it lists; None: it lists none.
        like: Another box that lists the same fields; this one only refers to it.
    """

    name: str
    kind: Literal["input", "box", "merge", "output"] = "box"
    about: str = ""
    schema: Json | None = None
    like: str = ""


@dataclass(frozen=True)
class Edge:
    """An arrow from one box to another, by index; `label` names what it carries."""

    source: int
    target: int
    label: str = ""


# Layout


def svg_of(
    boxes: Sequence[Box], edges: Sequence[Edge], title: str, *, downward: bool = False
) -> str:
    """Draw boxes and arrows.

    Args:
        boxes: The boxes.
        edges: The arrows between them.
        title: Title of the picture.
        downward: Whether the boxes stand in rows from top to bottom instead of columns.
    """
    ranks = _ranks(len(boxes), edges)
    lines = [list(_lines(box)) for box in boxes]
    heights = [2 * PAD + 6 + LINE * len(found) for found in lines]
    places, width, height = (_rows if downward else _columns)(ranks, heights)
    if any(ranks[e.source] >= ranks[e.target] for e in edges):  # room for an arrow that leads back
        width, height = (width + 70, height) if downward else (width, height + 30)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}"'
        f' width="{width:g}" height="{height:g}" role="img">',
        f"<title>{_text(title)}</title>",
        f"<style>{_STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7"'
        ' markerHeight="7" orient="auto-start-reverse"><path class="edge" d="M1 1 7 4 1 7"/>'
        "</marker></defs>",
        f'<rect class="ground" width="{width:g}" height="{height:g}"/>',
    ]
    way = _way_down if downward else _way_right
    for edge in edges:
        source, target = edge.source, edge.target
        path, at = way(places[source], heights[source], places[target], heights[target])
        parts.append(_edge(path, at, edge.label))
    for box, place, found, tall in zip(boxes, places, lines, heights, strict=True):
        parts.append(_box(box, place, found, tall))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _columns(ranks: Sequence[int], heights: Sequence[float]) -> tuple[list[Point], float, float]:
    """Places of boxes whose ranks are columns, and the size of the picture."""
    tall = [0.0] * (max(ranks) + 1)
    for rank, height in zip(ranks, heights, strict=True):
        tall[rank] += height + GAP_Y
    height = max(tall) - GAP_Y + 2 * MARGIN
    tops = [(height - used + GAP_Y) / 2 for used in tall]
    places: list[Point] = []
    for rank, own in zip(ranks, heights, strict=True):
        places.append((MARGIN + rank * (WIDTH + GAP_X), tops[rank]))
        tops[rank] += own + GAP_Y
    return places, 2 * MARGIN + len(tall) * (WIDTH + GAP_X) - GAP_X, height


def _rows(ranks: Sequence[int], heights: Sequence[float]) -> tuple[list[Point], float, float]:
    """Places of boxes whose ranks are rows, and the size of all together."""
    counts = Counter(ranks)
    step = WIDTH + GAP_X // 2
    width = max(counts.values()) * step - GAP_X // 2 + 2 * MARGIN
    lefts = {rank: (width - count * step + GAP_X // 2) / 2 for rank, count in counts.items()}
    tops, top = list[float](), float(MARGIN)
    for rank in range(max(ranks) + 1):
        tops.append(top)
        top += max(h for r, h in zip(ranks, heights, strict=True) if r == rank) + 2 * GAP_Y
    places: list[Point] = []
    for rank in ranks:
        places.append((lefts[rank], tops[rank]))
        lefts[rank] += step
    return places, width, top - 2 * GAP_Y + MARGIN


def _ranks(count: int, edges: Sequence[Edge]) -> list[int]:
    """Each box stands one column or row after the last that it reads; ways back do not count."""
    columns = [0] * count
    for target in range(count):
        before = [columns[e.source] for e in edges if e.target == target and e.source < target]
        columns[target] = max(before) + 1 if before else 0
    for _ in range(count):  # boxes may be listed before those that they read
        for edge in edges:
            if (
                edge.source > edge.target
                and not any(
                    back.source == edge.target and back.target == edge.source for back in edges
                )
            ) or edge.source < edge.target:
                columns[edge.target] = max(columns[edge.target], columns[edge.source] + 1)
    return columns


def _lines(box: Box) -> Iterator[tuple[str, str, int]]:
    """The lines of a box: class, text, indent."""
    for line in _wrapped(box.name, CHARS - 8):
        yield "name", line, 0
    for line in _shortened(_wrapped(box.about, CHARS), 3):
        yield "about", line, 0
    if box.like:
        for line in _wrapped(f"fields as in {box.like}", CHARS - 6):
            yield "field", line, 0
    for field in outline(box.schema) if box.schema else ():
        indent = 2 * min(field.depth, 5)
        for line in _wrapped(f"{field.name}: {field.kind}", CHARS - 6 - indent):
            yield "field", line, indent
        for line in _shortened(_wrapped(field.description, CHARS - 2 - indent), 3):
            yield "said", line, indent + 2


def _shortened(lines: list[str], most: int) -> list[str]:
    return lines if len(lines) <= most else [*lines[: most - 1], f"{lines[most - 1].rstrip('.')} …"]


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of at most this width; a wide character counts twice, a long word is cut."""
    lines: list[str] = []
    line, used = "", 0
    for word in text.split():
        for piece in _pieces(word, width):
            size = _width(piece)
            if line and used + 1 + size > width:
                lines.append(line)
                line, used = "", 0
            line = f"{line} {piece}" if line else piece
            used += size + (1 if used else 0)
    return [*lines, line] if line else lines


def _pieces(word: str, width: int) -> Iterator[str]:
    piece, used = "", 0
    for character in word:
        size = _width(character)
        if used + size > width:
            yield piece
            piece, used = "", 0
        piece, used = piece + character, used + size
    if piece:
        yield piece


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _text(text: str) -> str:
    return html.escape(_ILLEGAL.sub("\ufffd", text))


def _box(box: Box, place: Point, lines: list[tuple[str, str, int]], height: float) -> str:
    x, y = place
    parts = [
        f'<g><rect class="{box.kind}" x="{x:g}" y="{y:g}" width="{WIDTH}" height="{height:g}"'
        ' rx="8"/>'
    ]
    at = y + PAD + 12
    for number, (style, line, indent) in enumerate(lines):
        parts.append(
            f'<text class="{style}" x="{x + PAD + 6 * indent:g}" y="{at:g}">{_text(line)}</text>'
        )
        after = lines[number + 1][0] if number + 1 < len(lines) else ""
        at += LINE + (6 if style == "name" and after != "name" else 0)
    return "\n".join([*parts, "</g>"])


def _way_right(
    source: Point, height: float, target: Point, target_height: float
) -> tuple[str, Point]:
    """The arrow from a box to one in another column: its path and the place of its label."""
    (x, y), (to_x, to_y) = source, target
    mid, to_mid = y + height / 2, to_y + target_height / 2
    if to_x > x:
        start, end = x + WIDTH, to_x - 2
        bend = max(30.0, (end - start) / 2)
        curve = f"C{start + bend:g} {mid:g} {end - bend:g} {to_mid:g} {end:g} {to_mid:g}"
        return f"M{start:g} {mid:g} {curve}", ((start + end) / 2, (mid + to_mid) / 2 - 6)
    low, to_low = y + height, to_y + target_height  # leads back, below both
    start, end, deep = x + WIDTH / 2, to_x + WIDTH / 2, max(low, to_low) + 40
    path = f"M{start:g} {low:g} C{start:g} {deep:g} {end:g} {deep:g} {end:g} {to_low + 2:g}"
    return path, ((start + end) / 2, deep - 4)


def _way_down(
    source: Point, height: float, target: Point, target_height: float
) -> tuple[str, Point]:
    """The arrow from a box to one in another row: its path and the place of its label."""
    (x, y), (to_x, to_y) = source, target
    if to_y > y:
        start, end = x + WIDTH / 2, to_x + WIDTH / 2
        low, top = y + height, to_y - 2
        mid = (low + top) / 2
        path = f"M{start:g} {low:g} C{start:g} {mid:g} {end:g} {mid:g} {end:g} {top:g}"
        return path, ((start + end) / 2, mid - 6)
    right, to_right = x + WIDTH, to_x + WIDTH  # leads back, right of both
    mid, to_mid = y + height / 2, to_y + target_height / 2
    far = max(right, to_right) + 50
    path = f"M{right:g} {mid:g} C{far:g} {mid:g} {far:g} {to_mid:g} {to_right + 2:g} {to_mid:g}"
    return path, (far - 75, (mid + to_mid) / 2)


def _edge(path: str, label_at: Point, label: str) -> str:
    drawn = f'<path class="edge" d="{path}" marker-end="url(#tip)"/>'
    if label:
        x, y = label_at
        said = "".join(
            f'<tspan x="{x:g}" dy="{0 if n == 0 else 12}">{_text(line)}</tspan>'
            for n, line in enumerate(_shortened(_wrapped(label, 14), 3))
        )
        drawn += f'<text class="label" text-anchor="middle" x="{x:g}" y="{y:g}">{said}</text>'
    return drawn
