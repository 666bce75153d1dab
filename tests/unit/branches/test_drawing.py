"""The picture of a program: well-formed, complete, and nothing on top of anything else."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from prefect_llm_reports.tasks.branches.drawing import draw_program
from prefect_llm_reports.tasks.branches.programs import check_program
from prefect_llm_reports.tasks.contract.branches import Branch, BranchOptions
from prefect_llm_reports.tasks.contract.choices import MERGES, Merge
from prefect_llm_reports.tasks.reports.drawing import draw_reports

SVG = "{http://www.w3.org/2000/svg}"


def boxes(picture: str) -> list[tuple[float, float, float, float]]:
    root = ET.fromstring(picture)
    found = [rect.attrib for rect in root.findall(f"{SVG}g/{SVG}rect")]
    return [tuple(float(r[k]) for k in ("x", "y", "width", "height")) for r in found]  # type: ignore[misc]


def drawn(branches: list[Branch], merge: Merge = "all") -> str:
    return draw_program(check_program(branches, merge, "m-1", BranchOptions()))


def points(path: str) -> list[tuple[float, float]]:
    """Points along an arrow, a few pixels apart."""
    found: list[tuple[float, float]] = []
    for kind, numbers in re.findall(r"([MLC])([-\d. ]+)", path):
        values = [float(value) for value in numbers.split()]
        given = list(zip(values[::2], values[1::2], strict=True))
        if kind == "M":
            found += given
            continue
        line = [found[-1], *given]
        for step in range(1, 41):
            t, ways = step / 40, line
            while len(ways) > 1:  # De Casteljau's algorithm
                ways = [
                    (x + (to_x - x) * t, y + (to_y - y) * t)
                    for (x, y), (to_x, to_y) in pairwise(ways)
                ]
            found += ways
    return found


CHAIN = [
    Branch(name="a"),
    Branch(name="b", uses=["a"]),
    *(Branch(name=f"c{n}", uses=["b"]) for n in range(3)),
    Branch(name="last", uses=["a", "b", "c2"]),
]


@pytest.mark.parametrize(
    "branches",
    [
        *([Branch(name=f"b{n}", instructions="Long. " * n) for n in range(c)] for c in (1, 2, 7)),
        CHAIN,
    ],
    ids=["one", "two", "seven", "chain"],
)
def test_no_arrow_crosses_a_box(branches: list[Branch]) -> None:
    """Arrows pass between rows, in the middle or at the side."""
    picture = drawn(branches)
    paths = [path.attrib["d"] for path in ET.fromstring(picture).findall(f"{SVG}path")]
    assert len(paths) > len(branches)
    for path in paths:
        for x, y in points(path):
            for left, top, width, height in boxes(picture):
                assert not (left < x < left + width and top < y < top + height), (path, x, y)


@pytest.mark.parametrize("count", [1, 2, 20])
def test_boxes_do_not_overlap_and_stay_inside(count: int) -> None:
    """At 2 and at 20 branches each module has a place of its own; no picture is a wide one."""
    picture = drawn([Branch(name=f"branch-{n}", instructions=f"Part {n}.") for n in range(count)])
    root = ET.fromstring(picture)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    assert width < 700
    found = boxes(picture)
    assert len(found) == count + 3
    for n, (x, y, w, h) in enumerate(found):
        assert x >= 0
        assert y >= 0
        assert x + w <= width
        assert y + h <= height
        for ox, oy, ow, oh in found[:n]:
            assert x + w <= ox or ox + ow <= x or y + h <= oy or oy + oh <= y


def test_many_branches_of_one_form_tell_it_once() -> None:
    """Of twenty equal forms the first is listed and the others refer to it; two are both told."""
    many = draw_program(
        check_program([Branch(name=f"b{n}") for n in range(20)], "vote", "m", BranchOptions())
    )
    assert many.count("thinking: text") == 2  # the first branch and the output
    assert many.count("fields as in b0") == 19
    assert drawn([Branch(name="a"), Branch(name="b")]).count("thinking: text") == 2


@pytest.mark.parametrize("merge", MERGES)
def test_modules_forms_and_the_merge_are_told(merge: Merge) -> None:
    """Names, models, instructions, fields with types and descriptions, and the merge are there."""
    text = " ".join(ET.fromstring(drawn([Branch(name="a"), Branch(name="b")], merge)).itertext())
    for part in ("Input", "query: text", "a", "b", "m-1", "thinking: text", f"merge: {merge}"):
        assert part in text
    assert "The answer to the question" in text


def test_text_of_the_program_cannot_become_markup() -> None:
    """Instructions and descriptions are escaped, and characters XML forbids are replaced."""
    evil = '</text><script>alert(1)</script>\x00 "&amp;'
    picture = drawn([Branch(name="a", instructions=evil)])
    assert "<script" not in picture
    assert "alert(1)" in " ".join(ET.fromstring(picture).itertext())


def test_a_branch_stands_below_what_it_uses() -> None:
    """A branch that reads another one is drawn in a lower row, with what passes as label."""
    picture = drawn([Branch(name="last", uses={"claim": "first.answer"}), Branch(name="first")])
    by_name = dict(zip(["input", "last", "first", "merge", "output"], boxes(picture), strict=True))
    assert by_name["first"][1] < by_name["last"][1] < by_name["merge"][1]
    assert "claim" in picture
    assert len(re.findall('class="edge"', picture)) == 5


def test_the_report_flow_is_drawn_with_its_loop() -> None:
    """Draft, critique and revision stand in a circle that ends in a summary."""
    text = " ".join(ET.fromstring(draw_reports()).itertext())
    for part in ("draft", "critique", "score: integer", "next round", "summary", "report.md"):
        assert part in text
