"""The pages above reports: index.html of a run, and index.html of all runs.

Here: their values; the pages contain everything that their script sorts and filters. Not here: the
pages of one report (`pages.reader`), pages of branches (`branches.pages`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, Literal
from urllib.parse import quote

from prefect_llm_reports.tasks.contract.money import cost_on_page
from prefect_llm_reports.tasks.contract.records import ErrorReport
from prefect_llm_reports.tasks.contract.reports import BatchResult, ChangeCount, ReportResult
from prefect_llm_reports.tasks.pages.choices import shown_options
from prefect_llm_reports.tasks.pages.page import page
from prefect_llm_reports.tasks.pages.proofs import coverage_text
from prefect_llm_reports.tasks.pages.report import OFFLINE_BANNER, moment_text, score_text
from prefect_llm_reports.tasks.text.figures import below_threshold, is_below, run_name

STATUSES = {
    "published": "published",
    "failed": "failed",
    "held_back": "held back",
    "not_started": "not started",
    "complete": "complete",
    "partial": "partly done",
    "stopped": "stopped early",
}
BELOW = "published, below the threshold"

TOPICS_FOUND = 200
"""Topics of a run by which the list of all runs finds it, the first ones."""
TITLE_CHARS = 120
"""Characters of such a topic."""
START_CHARS = 160
"""Characters of a report's summary that the list of all reports shows."""
WORDS_ON_PAGE = 4_000_000
"""Characters of topics in the list of all runs; further back, a run is found by its name only."""


@dataclass(frozen=True)
class ListedReport:
    """One published report of a run, as feeds list it."""

    title: str
    slug: str
    score: float | None = None
    below: bool = False


@dataclass(frozen=True)
class RunEntry:
    """One run in the list of all runs; None: not known.

    Attributes:
        name: Its name for people; empty: it has none, and its id serves.
        topics: Its first topics or inputs, shortened, to find the run by.
        below: Reports that are published although no draft reached the threshold.
        duration_s: Seconds from its start to its end.
        address: Web address of the output's pages; empty: not known.
        reports: Its first published reports; None: an earlier version has not listed them.
    """

    run_id: str
    started: datetime | None
    status: str | None
    published: int | None
    total: int | None
    cost_usd: Decimal | None
    state: Literal["finished", "unfinished"]
    name: str = ""
    topics: tuple[str, ...] | None = None
    below: int = 0
    duration_s: float = 0
    address: str = ""
    reports: tuple[ListedReport, ...] | None = None


def topics_found(titles: Iterable[str]) -> tuple[str, ...]:
    """The topics by which a run is found: the first ones, shortened, each once.

    Args:
        titles: All its topics or inputs.
    """
    short = (" ".join(title.split())[:TITLE_CHARS] for title in titles)
    return tuple(islice(dict.fromkeys(short), TOPICS_FOUND))


def run_page(result: BatchResult, templates: str | None = None) -> str:
    """Write a run's index.html: its reports, failures and totals.

    Args:
        result: The result of the batch.
        templates: Folder of the user's own templates.
    """
    return page("run", run_values(result), templates)


def run_values(result: BatchResult) -> dict[str, Any]:
    """The values that the page of a run shows."""
    counts = dict.fromkeys(("published", "failed", "held_back", "not_started"), 0)
    for report in result.reports:
        counts[report.status] += 1
    usage, calls = result.usage, result.calls
    return {
        "run_id": result.run_id,
        "name": run_name(
            [report.topic for report in result.reports], str(result.options.get("model", ""))
        ),
        "options": shown_options(result.options),
        "status": result.status,
        "status_text": STATUSES[result.status],
        "started": moment_text(result.started),
        "duration": duration_text(result.duration_s),
        "error": result.error.message if result.error else "",
        "warnings": result.warnings,
        **counts,
        "below": below_threshold(result.reports),
        "total": len(result.reports),
        "cost": cost_on_page(result.cost_usd),
        "calls_made": f"{calls.made:,}",
        "calls_cached": f"{calls.cached:,}",
        "calls_retried": f"{calls.retried:,}",
        "tokens": f"{usage.input_tokens + usage.output_tokens:,}",
        "tokens_in": f"{usage.input_tokens:,}",
        "tokens_out": f"{usage.output_tokens:,}",
        "grounded": any(report.evidence for report in result.reports),
        "reports": [_report(n, report) for n, report in enumerate(result.reports, 1)],
        "banner": OFFLINE_BANNER if result.offline else "",
    }


def runs_page(
    runs: Sequence[RunEntry], templates: str | None = None, *, feed: str = "", search: str = ""
) -> str:
    """Write the index.html of all runs, newest first.

    Args:
        runs: The runs, in any order.
        templates: Folder of the user's own templates.
        feed: Name of the feed beside it; empty: there is none.
        search: Name of the page that searches all reports; empty: there is none.
    """
    return page("index", runs_values(runs, feed, search), templates)


def runs_values(runs: Sequence[RunEntry], feed: str = "", search: str = "") -> dict[str, Any]:
    """The values that the page of all runs shows."""
    ordered = sorted(runs, key=lambda run: (_begun(run), run.run_id), reverse=True)
    shown, left = [_run(run) for run in ordered], WORDS_ON_PAGE
    for run in shown:
        left -= len(run["words"])
        if left < 0:
            run["words"] = ""
    return {
        "runs": shown,
        "topics_found": TOPICS_FOUND,
        "feed": feed,
        "search": search,
        "banner": "",
    }


@dataclass(frozen=True)
class SearchedReport:
    """One report on the page that searches all reports."""

    run: RunEntry
    report: ListedReport
    words: str


def search_page(reports: Sequence[SearchedReport], index: str = "index.html") -> str:
    """Write the search.html of an output.

    Args:
        reports: The reports with the words to find them by, in the order in which they are shown.
        index: Name of the page of all runs.
    """
    return page("search", {"reports": list(map(_searched, reports)), "index": index, "banner": ""})


def _searched(one: SearchedReport) -> dict[str, Any]:
    run, report = one.run, one.report
    return {
        "title": report.title,
        "words": one.words,
        "start": one.words if len(one.words) <= START_CHARS else f"{one.words[:START_CHARS]}…",
        "folder": f"{quote(run.run_id)}/{quote(report.slug)}",
        "started": moment_text(run.started),
        "begun": _begun(run),
        "score": score_text(report.score),
        "score_value": "" if report.score is None else f"{report.score:g}",
        "below": report.below,
    }


def _report(number: int, report: ReportResult) -> dict[str, Any]:
    published = report.status == "published"
    below = is_below(report.status, report.stop_reason)
    found = report.evidence
    return {
        "number": number,
        "topic": report.topic,
        "folder": quote(report.slug) if published else "",
        "status": report.status,
        "status_text": BELOW if below else STATUSES[report.status],
        "below": below,
        "score": score_text(report.score),
        "score_value": "" if report.score is None else f"{report.score:g}",
        "coverage": coverage_text(found.coverage if found else None),
        "coverage_value": f"{found.coverage:.4f}" if found else "",
        "doubtful": f"{found.doubtful:,}" if found else "-",
        "doubtful_value": str(found.doubtful) if found else "",
        "iterations": report.iterations,
        "stop_reason": (report.stop_reason or "").replace("_", " "),
        "cost": cost_on_page(report.cost_usd),
        "cost_value": "" if report.cost_usd is None else format(report.cost_usd, "f"),
        "reason": report.error.message if report.error and not published else "",
        "reason_details": _details(report.error) if report.error and not published else "",
        "changes": _changes(report.changes),
        "changes_state": report.changes.state if report.changes else "",
    }


def _details(error: ErrorReport) -> str:
    if not (error.step or error.attempts or error.request_id):
        return ""
    said = [error.kind]
    if error.step:
        said.append(f"step {error.step}")
    if error.attempts:
        said.append(f"{error.attempts} {'attempt' if error.attempts == 1 else 'attempts'}")
    if error.request_id:
        said.append(f"request {error.request_id}")
    return ", ".join(said)


def _changes(count: ChangeCount | None) -> str:
    if count is None:
        return "-"
    if count.state != "changed":
        return "not compared" if count.state == "unknown" else count.state
    numbers = (
        (count.added, "added"),
        (count.dropped, "dropped"),
        (count.rewritten, "rewritten"),
        (count.moved, "moved"),
    )
    return ", ".join(f"{number} {word}" for number, word in numbers if number)


def _run(run: RunEntry) -> dict[str, Any]:
    done = run.state == "finished"
    unknown = run.published is None or not (done or run.published or run.total)
    said = "-" if unknown else f"{run.published}"
    return {
        "run_id": run.run_id,
        "name": run.name or run.run_id,
        "words": "\n".join([run.run_id, *(run.topics or ())]) if run.name else "",
        "folder": quote(run.run_id) if done else "",
        "started": moment_text(run.started) or "-",
        "begun": _begun(run),
        "status": (run.status or "") if done else "unfinished",
        "status_text": STATUSES.get(run.status or "", run.status or "finished")
        if done
        else "not finished",
        "published": said if unknown or run.total is None else f"{said} of {run.total}",
        "below": run.below,
        "published_value": "" if unknown else f"{run.published}",
        "cost": cost_on_page(run.cost_usd),
        "cost_value": "" if run.cost_usd is None else format(run.cost_usd, "f"),
    }


def _begun(run: RunEntry) -> str:
    """The start of a run as digits; taken from its name if the record has none."""
    if run.started is None:
        return re.sub(r"[^0-9]", "", run.run_id)[:14]
    known = run.started if run.started.tzinfo else run.started.replace(tzinfo=UTC)
    return f"{known.astimezone(UTC):%Y%m%d%H%M%S}"


def duration_text(seconds: float) -> str:
    """A length of time for people."""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {left:02d} s" if minutes else f"{seconds:.1f} s"
