"""A batch of reports whose process was killed, closed with the results in its directories.

Not here: finding and removing such runs (`results.killed`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from decimal import Decimal

from pydantic import ValidationError

from prefect_llm_reports.tasks.contract.records import Calls, ErrorReport, FileEntry, Usage
from prefect_llm_reports.tasks.contract.reports import BatchResult, Manifest, ReportResult
from prefect_llm_reports.tasks.contract.run_requests import REQUEST, KeptRequest
from prefect_llm_reports.tasks.reports.publishing import publish_run
from prefect_llm_reports.tasks.results.killed import CLOSED, began, clear
from prefect_llm_reports.tasks.results.manifests import published_already
from prefect_llm_reports.tasks.storage.places import Place

TOPICS = "topics.csv"


def close_batch(place: Place, run_id: str) -> BatchResult:
    """Write the pages and the result of a killed run; topics without a report are not started.

    Args:
        place: Where the runs are.
        run_id: The run; no process is at work on it.

    Raises:
        StorageError: A report's manifest is damaged, or nothing can be written.
    """
    reports: dict[str, ReportResult] = {}
    files: dict[str, list[FileEntry]] = {}
    offline = False
    for row in _rows(place.read(f"{run_id}/{TOPICS}")):
        reports[row["slug"]] = _unpublished(row)
    for slug in clear(place, run_id):
        manifest, files[slug] = published_already(place, f"{run_id}/{slug}")
        reports[slug] = _published(manifest, place.path(f"{run_id}/{slug}"))
        offline = offline or manifest.offline
    results = list(reports.values())
    states = {report.status for report in results}
    costs = [report.cost_usd for report in results]
    request = _request(place, run_id)
    result = BatchResult(
        run_id=run_id,
        status="stopped" if states != {"published"} else "complete",
        run_directory=place.path(run_id),
        offline=offline,
        started=began(run_id),
        duration_s=0,
        calls=Calls(
            made=sum(report.calls.made for report in results),
            cached=sum(report.calls.cached for report in results),
        ),
        usage=sum((report.usage for report in results), Usage()),
        cost_usd=None if None in costs else sum(filter(None, costs), Decimal(0)),
        reports=results,
        options=request.options if request else {},
        error=CLOSED,
    )
    publish_run(place, result, files)
    return result


def _request(place: Place, run_id: str) -> KeptRequest | None:
    try:
        return KeptRequest.model_validate_json(place.read(f"{run_id}/{REQUEST}") or b"")
    except ValidationError:
        return None


def _rows(body: bytes | None) -> list[Mapping[str, str]]:
    """The topics of a run, as its list has them."""
    rows = csv.DictReader(io.StringIO((body or b"").decode("utf-8-sig", "replace"), newline=""))
    return [row for row in rows if row.get("slug") and row.get("topic")]


def _unpublished(row: Mapping[str, str]) -> ReportResult:
    """The result of a topic by its row; a report that is not there is not published."""
    kind, _, message = (row.get("error") or "").partition(": ")
    failed = row.get("status") == "failed"
    return ReportResult(
        topic=row["topic"],
        slug=row["slug"],
        status="failed" if failed else "not_started",
        cost_usd=None,
        error=ErrorReport(kind=kind or CLOSED.kind, message=message or CLOSED.message)
        if failed
        else None,
    )


def _published(manifest: Manifest, directory: str) -> ReportResult:
    cached = sum(step.cached for step in manifest.steps)
    return ReportResult(
        topic=manifest.topic.title,
        slug=manifest.slug,
        status="published",
        score=manifest.score,
        iterations=manifest.iterations,
        stop_reason=manifest.stop_reason,
        directory=directory,
        calls=Calls(made=len(manifest.steps) - cached, cached=cached),
        usage=manifest.usage,
        cost_usd=manifest.cost_usd,
    )
