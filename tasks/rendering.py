"""What readers open: report.md, report.html, summary.txt, history.json, run pages, topics.csv.

Pure functions from models to text; no clock, no writing. Equal inputs give equal bytes. Reading
and cleaning Markdown is `markdown_text.py`; putting files in their place is storage.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tasks.markdown_text import cleaned
from tasks.markdown_tree import Heading, escaped, html_of, one_line, well_formed
from tasks.schemas import BatchResult, History, Refined

PAGES = Path(__file__).with_name("templates") / "pages"
CONTENTS_SECTIONS, CONTENTS_WORDS = 5, 1200
WORDS_A_MINUTE = 230
OFFLINE_BANNER = "Written by the offline rule-based engine, no language model"
STOPPED = {
    "accepted": "Accepted: the score reached the threshold",
    "iterations_exhausted": "All critique rounds used; the best draft is shown",
    "plateau": "Scores stopped rising; the best draft is shown",
    "budget_exhausted": "The budget was used up; the best draft is shown",
}
STATUSES = {
    "published": "published",
    "failed": "failed",
    "not_started": "not started",
    "complete": "complete",
    "partial": "partly done",
    "stopped": "stopped early",
}
CSV_COLUMNS = (
    "topic",
    "slug",
    "status",
    "score",
    "iterations",
    "stop_reason",
    "cost_usd",
    "input_tokens",
    "output_tokens",
    "directory",
    "error",
)
_FORMULA, _BLANKS = frozenset("=+-@"), frozenset("\t\r\n")


@dataclass(frozen=True)
class RunEntry:
    """One run as the page of all runs lists it."""

    run_id: str
    started: datetime | None
    status: str | None
    published: int | None
    total: int | None
    cost_usd: Decimal | None
    state: Literal["finished", "unfinished"]


@dataclass(frozen=True)
class ScoreRow:
    """One draft in the history of scores."""

    number: int
    score: str
    width: float
    best: bool
    remark: str


# One report


def report_markdown(refined: Refined, *, offline: bool) -> str:
    """Write report.md: front matter, then the best draft, with contents when it is long."""
    report = cleaned(refined.winner.text, refined.topic.title)
    title = _title(report.headings, refined)
    head: dict[str, Any] = {
        "title": title,
        "topic": one_line(refined.topic.title),
        "score": refined.winner.score,
        "iterations": refined.iterations,
        "stop_reason": refined.stop_reason,
        "models": [one_line(model) for model in _models(refined)],
    }
    created = _moment(refined.created)
    if created:
        head["created"] = created.strftime("%Y-%m-%dT%H:%M:%SZ")
    if offline:
        head["offline"] = True
    front = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=2**20)
    return f"---\n{front}---\n\n{_with_contents(report.text, report.headings)}"


def report_html(refined: Refined, summary: str, *, offline: bool) -> str:
    """Write report.html: one page that needs no network and no script."""
    report = cleaned(refined.winner.text, refined.topic.title)
    title, topic = _title(report.headings, refined), one_line(refined.topic.title)
    return _page(
        "report.html.j2",
        title=title,
        topic="" if topic.casefold() == title.casefold() else topic,
        summary=_paragraphs(summary),
        body=Markup(html_of(report, with_title=False)),
        sections=[h for h in report.headings if h.level in (2, 3)],
        minutes=max(1, round(len(report.text.split()) / WORDS_A_MINUTE)),
        score=_score(refined.winner.score),
        scores=_score_rows(refined),
        iterations=refined.iterations,
        stopped=STOPPED[refined.stop_reason],
        models=[one_line(model) for model in _models(refined)],
        created=_moment(refined.created),
        banner=OFFLINE_BANNER if offline else "",
    )


def summary_text(text: str) -> str:
    """Write summary.txt: plain paragraphs, one blank line between them."""
    return "\n\n".join(_paragraphs(text)) + "\n"


def history_json(refined: Refined) -> str:
    """Write history.json: every draft with its score and the critique it got."""
    history = History(
        topic=refined.topic,
        drafts=refined.drafts,
        best=refined.best,
        stop_reason=refined.stop_reason,
        candidates=refined.candidates,
    ).model_dump(mode="json", exclude=None if refined.candidates else {"candidates"})
    return well_formed(json.dumps(history, ensure_ascii=False, indent=2)) + "\n"


# A run, and all runs


def run_page(result: BatchResult) -> str:
    """Write a run's index.html: its reports, failures and totals."""
    published = sum(report.status == "published" for report in result.reports)
    failed = sum(report.status == "failed" for report in result.reports)
    return _page(
        "run.html.j2",
        result=result,
        published=published,
        failed=failed,
        left=len(result.reports) - published - failed,
        banner=OFFLINE_BANNER if result.offline else "",
    )


def runs_page(runs: Sequence[RunEntry]) -> str:
    """Write the index.html over all runs, newest first."""
    ordered = sorted(runs, key=lambda run: (_begun(run), run.run_id), reverse=True)
    return _page("index.html.j2", runs=ordered, banner="")


def topics_csv(result: BatchResult) -> str:
    """Write topics.csv: one row a topic, and no cell that a spreadsheet would calculate."""
    out = io.StringIO(newline="")
    rows = csv.writer(out, lineterminator="\r\n")
    rows.writerow(CSV_COLUMNS)
    for report in result.reports:
        error = report.error
        cells = (
            report.topic,
            report.slug,
            report.status,
            "" if report.score is None else _score(report.score),
            report.iterations,
            report.stop_reason or "",
            "unknown" if report.cost_usd is None else format(report.cost_usd, "f"),
            report.usage.input_tokens,
            report.usage.output_tokens,
            report.directory or "",
            f"{error.kind}: {error.message}" if error else "",
        )
        rows.writerow([_cell(cell) if isinstance(cell, str) else cell for cell in cells])
    return out.getvalue()


# Parts


def _cell(text: str) -> str:
    """Disarm a spreadsheet formula, also behind spaces, invisible or full-width characters."""
    text = text.replace("\0", "")
    seen = unicodedata.normalize("NFKC", text)
    seen = "".join(c for c in seen if c in "\t\r\n" or unicodedata.category(c)[0] != "C")
    armed = seen[:1] in _BLANKS or seen.lstrip()[:1] in _FORMULA
    return ("'" if armed else "") + well_formed(text)


def _title(headings: Sequence[Heading], refined: Refined) -> str:
    found = next((h.text for h in headings if h.level == 1), "")
    return one_line(found) or one_line(refined.topic.title)


def _models(refined: Refined) -> list[str]:
    return sorted({step.model for step in refined.steps})


def _moment(created: int) -> datetime | None:
    return datetime.fromtimestamp(created, UTC) if 0 < created < 253_402_300_800 else None


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _begun(run: RunEntry) -> str:
    """When a run began, as digits; its name says so where nothing else does."""
    started = _utc(run.started)
    return f"{started:%Y%m%d%H%M%S}" if started else re.sub(r"[^0-9]", "", run.run_id)[:14]


def _paragraphs(text: str) -> list[str]:
    blocks = re.split(r"\n[ \t]*(?:\n[ \t]*)+", well_formed(text).strip())
    return [" ".join(block.split()) for block in blocks if block.strip()]


def _with_contents(text: str, headings: Sequence[Heading]) -> str:
    sections = [h for h in headings if h.level == 2]
    if len(sections) < CONTENTS_SECTIONS or len(text.split()) <= CONTENTS_WORDS:
        return text
    listed = "\n".join(f"- [{escaped(h.text)}](#{h.anchor})" for h in sections)
    lines = text.split("\n")
    at = next((i for i, line in enumerate(lines) if line.startswith("# ")), None)
    if at is None:
        return text
    rest = "\n".join(lines[at + 1 :]).lstrip("\n")
    return "\n".join(lines[: at + 1]) + f"\n\n**Contents**\n\n{listed}\n\n{rest}"


def _score_rows(refined: Refined) -> list[ScoreRow]:
    return [
        ScoreRow(
            number=draft.number,
            score="not scored" if draft.score is None else _score(draft.score),
            width=round(min(10.0, max(0.0, draft.score or 0.0)) * 10, 1),
            best=draft.number == refined.best,
            remark=one_line(draft.critique.summary) if draft.critique else "",
        )
        for draft in refined.drafts
    ]


def _score(score: float | None) -> str:
    return "-" if score is None else f"{score:.1f}".removesuffix(".0")


def _cost(cost: Decimal | None) -> str:
    if cost is None:
        return "unknown"
    return f"${cost:,.2f}" if cost == 0 or cost >= 1 else f"${cost:.4f}"


def _duration(seconds: float) -> str:
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {left:02d} s" if minutes else f"{seconds:.1f} s"


def _when(moment: datetime | None) -> str:
    moment = _utc(moment)
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"


# Pages


@cache
def _pages() -> Environment:
    pages = Environment(
        loader=FileSystemLoader(PAGES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    pages.filters.update(cost=_cost, score=_score, duration=_duration, when=_when)
    return pages


@cache
def _style() -> tuple[str, str]:
    """The style sheet of all pages, and the policy that allows it and nothing else."""
    style = _pages().get_template("style.css.j2").render().strip() + "\n"
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    rest = "base-uri 'none'; form-action 'none'"
    return style, f"default-src 'none'; style-src 'sha256-{digest}'; {rest}"


def page(name: str, **values: Any) -> str:
    """A packaged page with these values; texts among them are escaped.

    Args:
        name: File name of the template.
        values: What it shows; `banner` is among them.
    """
    return _page(name, **values)


def _page(name: str, **values: Any) -> str:
    style, policy = _style()
    page = _pages().get_template(name)
    own = Markup(style)
    html = page.render(values, style=own, policy=policy, statuses=STATUSES)
    return well_formed(html).rstrip("\n") + "\n"
