"""The outcome of a run and of its reports, in their spans.

Not here: the spans themselves (`runtime.traces`).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from prefect_llm_reports.tasks.contract.call_options import CallOptions
from prefect_llm_reports.tasks.contract.reports import BatchResult, ReportResult, Topic
from prefect_llm_reports.tasks.runtime.trace_export import spans_sent
from prefect_llm_reports.tasks.runtime.traces import trace_here, traced_run


@asynccontextmanager
async def traced(
    options: CallOptions, run_id: str, topics: list[Topic], outcome: Callable[[], BatchResult]
) -> AsyncGenerator[None]:
    """Trace a run and send its spans.

    Args:
        options: Where spans are sent.
        run_id: Name of the run's directory.
        topics: The topics of the run.
        outcome: Gives the result of the run, at its end.
    """
    async with spans_sent(options.trace, options.experiment):
        with traced_run("report-batch", run_id, [topic.title for topic in topics]) as run:
            yield
            result = outcome()
            published = sum(report.status == "published" for report in result.reports)
            run.end(
                {
                    "status": result.status,
                    "topics": len(result.reports),
                    "published": published,
                    "calls": result.calls.made,
                    "cost_usd": None if result.cost_usd is None else float(result.cost_usd),
                    "error": result.error.kind if result.error else None,
                },
                f"{result.status}: {published} of {len(result.reports)} reports published",
            )


def trace_outcome(report: ReportResult, pages_url: str | None) -> None:
    """End the span of a topic that is settled."""
    if (run := trace_here()) is None:
        return
    page = report.directory
    if page and pages_url:
        page = "/".join([pages_url.rstrip("/"), *page.rstrip("/").split("/")[-2:], "index.html"])
    run.settle(
        report.slug,
        {
            "status": report.status,
            "score": report.score,
            "iterations": report.iterations,
            "cost_usd": None if report.cost_usd is None else float(report.cost_usd),
            "page": page,
            "error": report.error.kind if report.error else None,
        },
        page,
    )
