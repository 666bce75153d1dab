"""A report as PDF and DOCX show it: title, facts, summary, the text as parts, closing words.

Here: that document, made of a refined report. Not here: the parts of its text (`pages.parts`), how
a format sets them (`pages.pdf`, `pages.word`).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime

from prefect_llm_reports.tasks.contract.reports import Refined
from prefect_llm_reports.tasks.pages.parts import Part, parts_of, printable
from prefect_llm_reports.tasks.pages.report import OFFLINE_BANNER, STOPPED, paragraphs_of
from prefect_llm_reports.tasks.text.cleaning import cleaned
from prefect_llm_reports.tasks.text.html import html_of
from prefect_llm_reports.tasks.text.markdown import one_line


@dataclass(frozen=True)
class Document:
    """What a formatted report shows."""

    title: str
    topic: str
    facts: tuple[str, ...]
    summary: tuple[str, ...]
    parts: tuple[Part, ...]
    closing: str
    banner: str
    created: int
    rightwards: bool

    @property
    def sections(self) -> list[str]:
        """Headings of the first level below the title."""
        return [part.text for part in self.parts if part.kind == "heading" and part.level == 2]


def document_of(refined: Refined, summary: str, *, offline: bool) -> Document:
    """The document of a refined report.

    Args:
        refined: The report.
        summary: Its executive summary.
        offline: Whether the embedded engine wrote it.
    """
    report = cleaned(refined.winner.text, refined.topic.title)
    topic = one_line(refined.topic.title)
    heading = next((h.text for h in report.headings if h.level == 1), "")
    title = one_line(heading) or topic
    score, rounds = refined.winner.score, refined.iterations
    facts = [
        "Not scored" if score is None else f"Score {score:.1f}".removesuffix(".0") + " of 10",
        f"{rounds} critique round{'' if rounds == 1 else 's'}",
    ]
    if 0 < refined.created < 253_402_300_800:
        facts.append(f"{datetime.fromtimestamp(refined.created, UTC):%Y-%m-%d %H:%M} UTC")
    models = sorted({one_line(step.model) for step in refined.steps})
    by = f"Written and judged by {', '.join(models)}. " if models else ""
    return Document(
        title=printable(title),
        topic="" if topic.casefold() == title.casefold() else printable(topic),
        facts=tuple(facts),
        summary=tuple(map(printable, paragraphs_of(summary))),
        parts=tuple(parts_of(html_of(report, with_title=False))),
        closing=printable(
            f"{STOPPED[refined.stop_reason]}. {by}Read it critically: check facts before relying on"
            " them."
        ),
        banner=OFFLINE_BANNER if offline else "",
        created=refined.created if 0 < refined.created < 253_402_300_800 else 0,
        rightwards=not _right_to_left(report.text),
    )


def _right_to_left(text: str) -> bool:
    """Whether more letters run from right to left than from left to right."""
    sides = [unicodedata.bidirectional(c) for c in text[:20_000]]
    return sum(side in ("R", "AL") for side in sides) > sides.count("L")
