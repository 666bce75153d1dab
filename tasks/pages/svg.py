"""Boxes and arrows drawn as SVG.

Here: boxes in rows from top to bottom, with their fields, types and descriptions. An arrow decides
the place of a box: the target stands below the source. Not here: the boxes of a program
(`branches.drawing`, `reports.drawing`).
"""

from __future__ import annotations

import html
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from prefect_llm_reports.tasks.llm.schema_fields import outline
from prefect_llm_reports.tasks.llm.strict_schemas import Json

WIDTH, GAP_X, GAP_Y, MARGIN = 300, 45, 24, 24
PAD, LINE = 12, 16
BESIDE = 2
"""Boxes in a row; the picture is shown in columns of text, and on phones."""
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
        about: Its description, cut to three lines.
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


def svg_of(boxes: Sequence[Box], edges: Sequence[Edge], title: str) -> str:
    """Draw boxes and arrows.

    Args:
        boxes: The boxes.
        edges: The arrows between them.
        title: Title of the picture.
    """
    ranks = _ranks(len(boxes), edges)
    rows = _rows(ranks)
    lines = [list(_lines(box)) for box in boxes]
    heights = [2 * PAD + 6 + LINE * len(found) for found in lines]
    places, width, height = _places(ranks, rows, heights)
    middle, side = width / 2, width - MARGIN / 2
    if any(ranks[e.source] >= ranks[e.target] for e in edges):  # room for an arrow that leads back
        width += 70
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
    ends = [0.0] * (max(rows) + 1)
    free = [True] * len(ends)
    for row, (left, top), tall in zip(rows, places, heights, strict=True):
        ends[row] = max(ends[row], top + tall)
        free[row] = free[row] and not left < middle < left + WIDTH
    for edge in edges:
        one, other = edge.source, edge.target
        passed = free[rows[one] + 1 : rows[other]]
        path, at = _way(
            places[one],
            heights[one],
            places[other],
            heights[other],
            below=ends[rows[one]],
            between=None if not passed else middle if all(passed) else side,
        )
        parts.append(_edge(path, at, edge.label))
    for box, place, found, tall in zip(boxes, places, lines, heights, strict=True):
        parts.append(_box(box, place, found, tall))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _rows(ranks: Sequence[int]) -> list[int]:
    """The row of each box: the boxes of a rank are beside each other, a few in a row."""
    counts = Counter(ranks)
    first, rows = dict[int, int](), 0
    for rank in sorted(counts):
        first[rank] = rows
        rows += math.ceil(counts[rank] / BESIDE)
    seen = Counter[int]()
    found: list[int] = []
    for rank in ranks:
        found.append(first[rank] + seen[rank] // BESIDE)
        seen[rank] += 1
    return found


def _places(
    ranks: Sequence[int], rows: Sequence[int], heights: Sequence[float]
) -> tuple[list[Point], float, float]:
    """Places of boxes, and the size of all together."""
    # Boxes of a rank with several rows leave the middle free, where arrows pass.
    counts = Counter(ranks)
    beside = {row: min(counts[rank], BESIDE) for rank, row in zip(ranks, rows, strict=True)}
    step = WIDTH + GAP_X
    width = max(beside.values()) * step - GAP_X + 2 * MARGIN
    lefts = {row: (width - count * step + GAP_X) / 2 for row, count in beside.items()}
    tops, top = list[float](), float(MARGIN)
    for row in range(max(rows) + 1):
        tops.append(top)
        top += max(h for r, h in zip(rows, heights, strict=True) if r == row) + 2 * GAP_Y
    places: list[Point] = []
    for row in rows:
        places.append((lefts[row], tops[row]))
        lefts[row] += step
    return places, width, top - 2 * GAP_Y + MARGIN


def _ranks(count: int, edges: Sequence[Edge]) -> list[int]:
    """Each box stands one rank below the last that it reads; ways back do not count."""
    ranks = [0] * count
    for target in range(count):
        before = [ranks[e.source] for e in edges if e.target == target and e.source < target]
        ranks[target] = max(before) + 1 if before else 0
    for _ in range(count):  # boxes may be listed before those that they read
        for edge in edges:
            if (
                edge.source > edge.target
                and not any(
                    back.source == edge.target and back.target == edge.source for back in edges
                )
            ) or edge.source < edge.target:
                ranks[edge.target] = max(ranks[edge.target], ranks[edge.source] + 1)
    return ranks


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


def _way(
    source: Point,
    height: float,
    target: Point,
    target_height: float,
    *,
    below: float,
    between: float | None,
) -> tuple[str, Point]:
    """The arrow from a box to one in another row: its path and the place of its label.

    Args:
        source: Left and top of the first box.
        height: Its height.
        target: Left and top of the other.
        target_height: Its height.
        below: Where the first box's row ends.
        between: Where the arrow passes the rows that lie between; None: there are none.
    """
    (x, y), (to_x, to_y) = source, target
    if to_y > y:
        start, end, top = x + WIDTH / 2, to_x + WIDTH / 2, to_y - 2
        path = f"M{start:g} {y + height:g} L{start:g} {below:g}"
        if between is not None:
            path += f" {_curve(start, below, between, below + 2 * GAP_Y)}"
            start, below = between, to_y - 2 * GAP_Y
            path += f" L{start:g} {below:g}"
        return f"{path} {_curve(start, below, end, top)}", (
            (start + end) / 2,
            (below + top) / 2 - 6,
        )
    right, to_right = x + WIDTH, to_x + WIDTH  # leads back, right of both
    mid, to_mid = y + height / 2, to_y + target_height / 2
    far = max(right, to_right) + 50
    path = f"M{right:g} {mid:g} C{far:g} {mid:g} {far:g} {to_mid:g} {to_right + 2:g} {to_mid:g}"
    return path, (far - 75, (mid + to_mid) / 2)


def _curve(x: float, y: float, to_x: float, to_y: float) -> str:
    """A curve that begins and ends downward."""
    mid = (y + to_y) / 2
    return f"C{x:g} {mid:g} {to_x:g} {mid:g} {to_x:g} {to_y:g}"


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
