"""A report as PDF and DOCX show it: title, facts, summary, the text as parts, closing words.

Here: that document, made of a refined report. Not here: the parts of its text (`pages.parts`), how
a format sets them (`pages.pdf`, `pages.word`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from prefect_llm_reports.tasks.contract.provenance import Provenance
from prefect_llm_reports.tasks.contract.reports import Refined
from prefect_llm_reports.tasks.pages.parts import Part, Run, parts_of, printable, worded
from prefect_llm_reports.tasks.pages.proofs import by_number, numbers_of, proofs_of, with_words
from prefect_llm_reports.tasks.pages.provenance import keywords, sentence
from prefect_llm_reports.tasks.pages.report import (
    CONTENTS_MINUTES,
    CONTENTS_SECTIONS,
    OFFLINE_BANNER,
    STOPPED,
    created_at,
    language_in,
    models_of,
    moment_text,
    score_text,
    title_of,
)
from prefect_llm_reports.tasks.text.cleaning import cleaned
from prefect_llm_reports.tasks.text.html import html_of
from prefect_llm_reports.tasks.text.language import Language
from prefect_llm_reports.tasks.text.markdown import one_line
from prefect_llm_reports.tasks.text.mathematics import pieces_of
from prefect_llm_reports.tasks.text.plain_text import plain_paragraphs
from prefect_llm_reports.tasks.text.words import reading_minutes


@dataclass(frozen=True)
class Document:
    """A report with the text around it: title, facts, closing words.

    Attributes:
        facts: Score, rounds and time, each as a few words.
        closing: How the report ended, who wrote it, and a word of caution.
        banner: Shown on top if the embedded engine wrote it.
        created: Seconds since 1970; 0: not known.
        heading: The title, with its formulas.
        summarized: The paragraphs of the summary, with their formulas.
        language: The language of the text, which gives its direction.
        keywords: How it was made, for the properties of the file.
        description: The same in a sentence.
    """

    title: str
    topic: str
    facts: tuple[str, ...]
    summary: tuple[str, ...]
    heading: tuple[Run, ...]
    summarized: tuple[tuple[Run, ...], ...]
    parts: tuple[Part, ...]
    closing: str
    banner: str
    created: int
    language: Language
    keywords: tuple[str, ...] = ()
    description: str = ""

    @property
    def contents(self) -> list[tuple[str, list[Run]]]:
        """Anchors and words of its level-two headings; empty: it is too short for contents."""
        sections = [part for part in self.parts if part.kind == "heading" and part.level == 2]
        minutes = reading_minutes(" ".join(part.text for part in self.parts))
        if minutes <= CONTENTS_MINUTES or len(sections) < CONTENTS_SECTIONS:
            return []
        return [
            (part.anchor, [replace(run, link="", anchor="") for run in part.runs if _is_word(run)])
            for part in sections
        ]


def _is_word(run: Run) -> bool:
    """Whether a run belongs to a heading's words; a footnote's number does not."""
    return bool(run.text.strip()) and not ("sup" in run.styles and run.link.startswith("#fn"))


def document_of(
    refined: Refined, summary: str, *, offline: bool, provenance: Provenance | None = None
) -> Document:
    """The document of a refined report.

    Args:
        refined: The report.
        summary: Its executive summary.
        offline: Whether the embedded engine wrote it.
        provenance: Who made it and decided on it; None: the document does not say it.
    """
    report = cleaned(refined.text, refined.topic.title)
    title, topic = title_of(report.headings, refined), one_line(refined.topic.title)
    body = html_of(report, with_title=False)
    if refined.evidence:
        body = with_words(body, by_number(proofs_of(refined.evidence), numbers_of(report)))
    score, rounds, created = refined.winner.score, refined.iterations, created_at(refined)
    facts = (
        "Not scored" if score is None else f"Score {score_text(score)} of 10",
        f"{rounds} critique round{'' if rounds == 1 else 's'}",
        moment_text(created),
    )
    first = next((h for h in report.headings if h.level == 1), None)
    models = provenance.models if provenance else models_of(refined)
    by = f"Written and judged by {', '.join(models)}. " if models else ""
    return Document(
        title=printable(title),
        topic="" if topic.casefold() == title.casefold() else printable(topic),
        facts=tuple(filter(None, facts)),
        summary=tuple(map(printable, plain_paragraphs(summary))),
        heading=worded(title, first.pieces if first else ()),
        summarized=tuple(worded(text, pieces_of(text)) for text in plain_paragraphs(summary)),
        parts=tuple(parts_of(body)),
        closing=printable(
            f"{STOPPED[refined.stop_reason]}. {by}Read it critically: check facts before relying on"
            f" them.{f' {sentence(provenance)}' if provenance else ''}"
        ),
        banner=OFFLINE_BANNER if offline else "",
        created=refined.created if created else 0,
        language=language_in(refined),
        keywords=tuple(map(printable, keywords(provenance))) if provenance else (),
        description=printable(sentence(provenance)) if provenance else "",
    )
