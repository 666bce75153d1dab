"""The picture of the report flow."""

from __future__ import annotations

from prefect_llm_reports.tasks.pages.svg import Box, Edge, svg_of
from prefect_llm_reports.tasks.reports.questions import CRITIQUE


def draw_reports() -> str:
    """Draw the report flow as SVG."""
    boxes = [
        Box("Topics", "input", "Each is refined and published by itself."),
        Box("draft", about="The writer's first version of the report."),
        Box(
            "critique",
            about="The critic scores the draft against the rubric.",
            schema=CRITIQUE.schema,
        ),
        Box("summary", "merge", "Accepted, or rounds used up: the best-scored draft wins."),
        Box("revise", about="The best draft so far, revised by its critique."),
        Box("report.md, report.html", about="Formatted as soon as the topic is refined."),
        Box("Result directory", "output", "Published whole or not at all, the manifest last."),
    ]
    edges = [
        Edge(0, 1),
        Edge(1, 2),
        Edge(2, 3, "good enough"),
        Edge(2, 4, "else"),
        Edge(4, 2, "next round"),
        Edge(3, 5),
        Edge(5, 6),
    ]
    return svg_of(boxes, edges, "Report flow")
