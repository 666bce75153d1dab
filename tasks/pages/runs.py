"""The pages above reports: index.html of a run, and index.html of all runs.

Here: their values; the pages contain everything that their script sorts and filters. Not here: the
pages of one report (`pages.reader`), pages of branches (`branches.pages`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import quote

from prefect_llm_reports.tasks.contract.money import cost_on_page
from prefect_llm_reports.tasks.contract.records import ErrorReport
from prefect_llm_reports.tasks.contract.reports import BatchResult, ChangeCount, ReportResult
from prefect_llm_reports.tasks.pages.page import page
from prefect_llm_reports.tasks.pages.report import OFFLINE_BANNER, moment_text, score_text

STATUSES = {
    "published": "published",
    "failed": "failed",
    "not_started": "not started",
    "complete": "complete",
    "partial": "partly done",
    "stopped": "stopped early",
}


@dataclass(frozen=True)
class RunEntry:
    """One run in the list of all runs; None: not known."""

    run_id: str
    started: datetime | None
    status: str | None
    published: int | None
    total: int | None
    cost_usd: Decimal | None
    state: Literal["finished", "unfinished"]


def run_page(result: BatchResult, templates: str | None = None) -> str:
    """Write a run's index.html: its reports, failures and totals.

    Args:
        result: The result of the batch.
        templates: Folder of the user's own templates.
    """
    return page("run", run_values(result), templates)


def run_values(result: BatchResult) -> dict[str, Any]:
    """The values that the page of a run shows."""
    counts = dict.fromkeys(("published", "failed", "not_started"), 0)
    for report in result.reports:
        counts[report.status] += 1
    usage, calls = result.usage, result.calls
    return {
        "run_id": result.run_id,
        "status": result.status,
        "status_text": STATUSES[result.status],
        "started": moment_text(result.started),
        "duration": duration_text(result.duration_s),
        "error": result.error.message if result.error else "",
        "warnings": result.warnings,
        **counts,
        "total": len(result.reports),
        "cost": cost_on_page(result.cost_usd),
        "calls_made": f"{calls.made:,}",
        "calls_cached": f"{calls.cached:,}",
        "calls_retried": f"{calls.retried:,}",
        "tokens": f"{usage.input_tokens + usage.output_tokens:,}",
        "tokens_in": f"{usage.input_tokens:,}",
        "tokens_out": f"{usage.output_tokens:,}",
        "reports": [_report(n, report) for n, report in enumerate(result.reports, 1)],
        "banner": OFFLINE_BANNER if result.offline else "",
    }


def runs_page(runs: Sequence[RunEntry], templates: str | None = None) -> str:
    """Write the index.html of all runs, newest first.

    Args:
        runs: The runs, in any order.
        templates: Folder of the user's own templates.
    """
    return page("index", runs_values(runs), templates)


def runs_values(runs: Sequence[RunEntry]) -> dict[str, Any]:
    """The values that the page of all runs shows."""
    ordered = sorted(runs, key=lambda run: (_begun(run), run.run_id), reverse=True)
    return {"runs": [_run(run) for run in ordered], "banner": ""}


def _report(number: int, report: ReportResult) -> dict[str, Any]:
    published = report.status == "published"
    return {
        "number": number,
        "topic": report.topic,
        "folder": quote(report.slug) if published else "",
        "status": report.status,
        "status_text": STATUSES[report.status],
        "score": score_text(report.score),
        "score_value": "" if report.score is None else f"{report.score:g}",
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
    )
    return ", ".join(f"{number} {word}" for number, word in numbers if number)


def _run(run: RunEntry) -> dict[str, Any]:
    done = run.state == "finished"
    unknown = run.published is None or not (done or run.published or run.total)
    said = "-" if unknown else f"{run.published}"
    return {
        "run_id": run.run_id,
        "folder": quote(run.run_id) if done else "",
        "started": moment_text(run.started) or "-",
        "begun": _begun(run),
        "status": (run.status or "") if done else "unfinished",
        "status_text": STATUSES.get(run.status or "", run.status or "finished")
        if done
        else "not finished",
        "published": said if unknown or run.total is None else f"{said} of {run.total}",
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
