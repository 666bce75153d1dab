"""A report as PDF and DOCX show it: title, facts, summary, the text as parts, closing words.

Here: that document, made of a refined report. Not here: the parts of its text (`pages.parts`), how
a format sets them (`pages.pdf`, `pages.word`).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from prefect_llm_reports.tasks.contract.reports import Refined
from prefect_llm_reports.tasks.pages.parts import Part, parts_of, printable
from prefect_llm_reports.tasks.pages.report import (
    OFFLINE_BANNER,
    STOPPED,
    created_at,
    models_of,
    moment_text,
    paragraphs_of,
    score_text,
    title_of,
)
from prefect_llm_reports.tasks.text.cleaning import cleaned
from prefect_llm_reports.tasks.text.html import html_of
from prefect_llm_reports.tasks.text.markdown import one_line


@dataclass(frozen=True)
class Document:
    """A report with everything that stands around its text.

    Attributes:
        facts: Score, rounds and time, each as a few words.
        closing: How the report ended, who wrote it, and a word of caution.
        banner: Shown on top if the embedded engine wrote it.
        created: Seconds since 1970; 0: not known.
        rightwards: Whether the text runs from left to right.
    """

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
        """Its level-two headings."""
        return [part.text for part in self.parts if part.kind == "heading" and part.level == 2]


def document_of(refined: Refined, summary: str, *, offline: bool) -> Document:
    """The document of a refined report.

    Args:
        refined: The report.
        summary: Its executive summary.
        offline: Whether the embedded engine wrote it.
    """
    report = cleaned(refined.winner.text, refined.topic.title)
    title, topic = title_of(report.headings, refined), one_line(refined.topic.title)
    score, rounds, created = refined.winner.score, refined.iterations, created_at(refined)
    facts = (
        "Not scored" if score is None else f"Score {score_text(score)} of 10",
        f"{rounds} critique round{'' if rounds == 1 else 's'}",
        moment_text(created),
    )
    models = models_of(refined)
    by = f"Written and judged by {', '.join(models)}. " if models else ""
    return Document(
        title=printable(title),
        topic="" if topic.casefold() == title.casefold() else printable(topic),
        facts=tuple(filter(None, facts)),
        summary=tuple(map(printable, paragraphs_of(summary))),
        parts=tuple(parts_of(html_of(report, with_title=False))),
        closing=printable(
            f"{STOPPED[refined.stop_reason]}. {by}Read it critically: check facts before relying on"
            " them."
        ),
        banner=OFFLINE_BANNER if offline else "",
        created=refined.created if created else 0,
        rightwards=not _right_to_left(report.text),
    )


def _right_to_left(text: str) -> bool:
    """Whether more letters run from right to left than from left to right."""
    sides = [unicodedata.bidirectional(c) for c in text[:20_000]]
    return sum(side in ("R", "AL") for side in sides) > sides.count("L")
