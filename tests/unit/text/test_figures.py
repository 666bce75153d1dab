"""Counts as people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from prefect_llm_reports.tasks.contract.records import Calls, Usage
from prefect_llm_reports.tasks.contract.reports import BatchResult, ReportResult
from prefect_llm_reports.tasks.text.figures import outcome_text


def test_an_outcome_counts_reports_calls_and_cost() -> None:
    """Statuses stand in the order in which they first occur."""
    statuses = ("published", "not_started", "published", "failed")
    result = BatchResult(
        run_id="r",
        status="stopped",
        run_directory="d",
        started=datetime(2026, 3, 14, tzinfo=UTC),
        duration_s=1,
        usage=Usage(),
        calls=Calls(made=26, cached=2, retried=1),
        cost_usd=Decimal("0.25"),
        reports=[
            ReportResult(topic=f"T{n}", slug=f"t{n}", status=status)
            for n, status in enumerate(statuses)
        ],
    )
    assert outcome_text(result) == (
        "2 published, 1 not started, 1 failed; 26 calls made, 2 cached, 1 retried; 0.2500 USD"
    )
