"""Files of a report: report.md, report.html, summary.txt, history.json.

Here: their text, made of a refined report; equal inputs give equal bytes. Not here: cleaning
Markdown (`text.cleaning`), the other pages (`pages.reader`, `pages.runs`), writing files
(`reports.publishing`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from threading import Lock
from typing import Any

import yaml
from cachetools import LRUCache, cached

from prefect_llm_reports.tasks.contract.evidence import Evidence
from prefect_llm_reports.tasks.contract.provenance import Provenance
from prefect_llm_reports.tasks.contract.reports import UNCHECKED, History, Refined
from prefect_llm_reports.tasks.pages.page import page
from prefect_llm_reports.tasks.pages.proofs import by_number, numbers_of, proofs_of, with_proofs
from prefect_llm_reports.tasks.pages.provenance import front_matter, page_values
from prefect_llm_reports.tasks.templates.rows import Row
from prefect_llm_reports.tasks.templates.sandbox import Html
from prefect_llm_reports.tasks.text.cleaning import KEPT_CHARS, cleaned
from prefect_llm_reports.tasks.text.figures import is_below
from prefect_llm_reports.tasks.text.formulas import Formula
from prefect_llm_reports.tasks.text.html import html_of, pieces_html
from prefect_llm_reports.tasks.text.language import Language, language_of, language_tagged
from prefect_llm_reports.tasks.text.markdown import (
    Heading,
    escaped,
    one_line,
    well_formed,
)
from prefect_llm_reports.tasks.text.mathematics import pieces_of
from prefect_llm_reports.tasks.text.plain_text import plain_paragraphs
from prefect_llm_reports.tasks.text.words import WORDS_A_MINUTE, reading_minutes

CONTENTS_SECTIONS, CONTENTS_MINUTES = 5, 1200 / WORDS_A_MINUTE
"""A report of so many sections that takes longer to read gets a list of contents."""
OFFLINE_BANNER = "Written by the offline rule-based engine, no language model"
_CODE = re.compile(r"<(pre|code)\b")
STOPPED = {
    "accepted": "Accepted: the score reached the threshold",
    "iterations_exhausted": "All critique rounds used; the best draft is shown",
    "plateau": "Scores stopped rising; the best draft is shown",
    "budget_exhausted": "The budget was used up; the best draft is shown",
}


def report_markdown(
    refined: Refined, *, offline: bool, provenance: Provenance | None = None
) -> str:
    """Write report.md: front matter and the best draft; a long one gets a list of contents.

    Args:
        refined: The report.
        offline: Whether the embedded engine wrote it.
        provenance: Who made it and decided on it; None: the front matter does not say it.
    """
    report = cleaned(refined.text, refined.topic.title)
    title = title_of(report.headings, refined)
    head: dict[str, Any] = {
        "title": title,
        "topic": one_line(refined.topic.title),
        "score": refined.winner.score,
        "iterations": refined.iterations,
        "stop_reason": refined.stop_reason,
        "models": models_of(refined),
    }
    language = language_in(refined)
    if language.base != "en":
        head["lang"] = language.tag
    created = created_at(refined)
    if created:
        head["created"] = created.strftime("%Y-%m-%dT%H:%M:%SZ")
    if counts := refined.winner.evidence:
        head["coverage"] = round(counts.coverage, 2)
        head["doubtful"] = counts.doubtful
    if offline:
        head["offline"] = True
    if provenance:
        head |= {**front_matter(provenance), "models": list(provenance.models)}
    return f"---\n{_yaml(head)}---\n\n{_with_contents(report.text, report.headings)}"


def _yaml(head: dict[str, Any]) -> str:
    """The front matter as YAML; libyaml is faster, but would escape emoji."""
    plain = max("".join(map(str, head.values()))) <= "\uffff"
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper) if plain else yaml.SafeDumper
    return yaml.dump(head, Dumper=dumper, sort_keys=False, allow_unicode=True, width=2**20)


def report_html(
    refined: Refined,
    summary: str,
    *,
    offline: bool,
    templates: str | None = None,
    provenance: Provenance | None = None,
) -> str:
    """Write report.html, one page that needs no network and no script.

    Args:
        refined: The report.
        summary: Its executive summary.
        offline: Whether the embedded engine wrote it.
        templates: Folder of the user's own templates.
        provenance: Who made it and decided on it; None: the page does not say it.
    """
    values = report_values(refined, summary, offline=offline, provenance=provenance)
    return page("report", values, templates)


def report_values(
    refined: Refined, summary: str, *, offline: bool, provenance: Provenance | None = None
) -> dict[str, Any]:
    """The values that the pages of one report show.

    Args:
        refined: The report.
        summary: Its executive summary.
        offline: Whether the embedded engine wrote it.
        provenance: Who made it and decided on it; None: the pages do not say it.
    """
    report = cleaned(refined.text, refined.topic.title)
    title, topic = title_of(report.headings, refined), one_line(refined.topic.title)
    created, language = created_at(refined), language_in(refined)
    english = "" if language.base == "en" else ' lang="en" dir="ltr"'
    body = _body(refined.text, refined.topic.title)
    if refined.evidence:
        proofs = by_number(proofs_of(refined.evidence), numbers_of(report))
        body = with_proofs(body, proofs, english)
    made = list(provenance.models) if provenance else models_of(refined)
    pieces = next((h.pieces for h in report.headings if h.level == 1), ())
    values = {
        "title": title,
        "topic": "" if topic.casefold() == title.casefold() else topic,
        "heading": _worded(title, pieces),
        "summary": [_worded(text, pieces_of(text)) for text in plain_paragraphs(summary)],
        "body": Html(body if language.rightwards else _CODE.sub(r'<\1 dir="ltr"', body)),
        "sections": [
            {"level": h.level, "text": _worded(h.text, h.pieces), "anchor": h.anchor}
            for h in report.headings
            if h.level in (2, 3)
        ],
        "lang": language.tag,
        "dir": language.direction,
        "way": "auto" if language.rightwards else "rtl",
        "english": Html(english),
        "minutes": max(1, round(reading_minutes(report.text))),
        "guidance": well_formed(refined.topic.guidance),
        "row": Row(refined.topic.row),
        "score": score_text(refined.winner.score),
        "below": is_below("published", refined.stop_reason),
        "scores": score_rows(refined),
        "iterations": refined.iterations,
        "stopped": STOPPED[refined.stop_reason],
        "models": made,
        "created": moment_text(created),
        "created_iso": f"{created:%Y-%m-%dT%H:%M:%SZ}" if created else "",
        "banner": OFFLINE_BANNER if offline else "",
    }
    return {**values, **page_values(provenance, values)}


def _worded(text: str, pieces: Sequence[str | Formula]) -> str | Html:
    """A line as it is, or as HTML where it has formulas."""
    return Html(pieces_html(pieces)) if pieces else text


def summary_text(text: str) -> str:
    """Write summary.txt: plain paragraphs with a blank line between them."""
    return "\n\n".join(plain_paragraphs(text)) + "\n"


def history_json(refined: Refined) -> str:
    """Write history.json: every draft with its score and its critique."""
    history = History(
        topic=refined.topic,
        drafts=refined.drafts,
        best=refined.best,
        stop_reason=refined.stop_reason,
        candidates=refined.candidates,
        remarks=refined.remarks,
    ).model_dump(mode="json", exclude=_unused(refined))
    return well_formed(json.dumps(history, ensure_ascii=False, indent=2)) + "\n"


def evidence_json(evidence: Evidence) -> str:
    """Write evidence.json: sources, quoted passages, and each claim with its verdict."""
    found = evidence.model_dump(mode="json")
    return well_formed(json.dumps(found, ensure_ascii=False, indent=2)) + "\n"


def _unused(refined: Refined) -> dict[str, Any]:
    """Fields of history.json that this report does not have."""
    unused: dict[str, Any] = {} if refined.candidates else {"candidates": True}
    if refined.evidence is None:
        unused["drafts"] = {"__all__": UNCHECKED}
    return unused


def title_of(headings: Sequence[Heading], refined: Refined) -> str:
    """The first H1 of a report; its topic if that is empty."""
    found = next((h.text for h in headings if h.level == 1), "")
    return one_line(found) or one_line(refined.topic.title)


def models_of(refined: Refined) -> list[str]:
    """The models that worked on a report, each once."""
    return sorted({one_line(step.model) for step in refined.steps if step.step != "support"})


def language_in(refined: Refined) -> Language:
    """The language that a report is written in."""
    if refined.language:
        return language_tagged(refined.language)
    return language_of("", refined.winner.text)


def created_at(refined: Refined) -> datetime | None:
    """The time at which a report was made; None: not known."""
    created = refined.created
    return datetime.fromtimestamp(created, UTC) if 0 < created < 253_402_300_800 else None


def _with_contents(text: str, headings: Sequence[Heading]) -> str:
    sections = [h for h in headings if h.level == 2]
    if len(sections) < CONTENTS_SECTIONS or reading_minutes(text) <= CONTENTS_MINUTES:
        return text
    listed = "\n".join(f"- [{escaped(h.text)}](#{h.anchor})" for h in sections)
    lines = text.split("\n")
    at = next((i for i, line in enumerate(lines) if line.startswith("# ")), None)
    if at is None:
        return text
    rest = "\n".join(lines[at + 1 :]).lstrip("\n")
    return "\n".join(lines[: at + 1]) + f"\n\n**Contents**\n\n{listed}\n\n{rest}"


def score_rows(refined: Refined) -> list[dict[str, Any]]:
    """The drafts with their scores, for a page."""
    return [
        {
            "number": draft.number,
            "score": "not scored" if draft.score is None else score_text(draft.score),
            "width": round(min(10.0, max(0.0, draft.score or 0.0)) * 10, 1),
            "best": draft.number == refined.best,
            "remark": one_line(draft.critique.summary) if draft.critique else "",
        }
        for draft in refined.drafts
    ]


def score_text(score: float | None) -> str:
    """A score for people; "-" if there is none."""
    return "-" if score is None else f"{score:.1f}".removesuffix(".0")


def moment_text(moment: datetime | None) -> str:
    """A time for people, in UTC; empty if it is not known."""
    if moment is None:
        return ""
    known = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return f"{known.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


@cached(LRUCache[object, str](KEPT_CHARS, getsizeof=len), lock=Lock())
def _body(text: str, title: str) -> str:
    return html_of(cleaned(text, title), with_title=False)
