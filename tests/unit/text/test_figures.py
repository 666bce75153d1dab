"""Counts as people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from prefect_llm_reports.tasks.contract.records import Calls, Usage
from prefect_llm_reports.tasks.contract.reports import BatchResult, ReportResult
from prefect_llm_reports.tasks.text.figures import (
    counted,
    outcome_text,
    published_text,
    run_name,
)


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


def test_reports_below_the_threshold_are_counted() -> None:
    """Published is not good enough by itself; a score of 4 of 8 is said to be below."""
    reports = [
        ReportResult(topic="A", slug="a", status="published", score=9, stop_reason="accepted"),
        ReportResult(topic="B", slug="b", status="published", score=4, stop_reason="plateau"),
        ReportResult(topic="C", slug="c", status="failed"),
    ]
    result = BatchResult(
        run_id="r",
        status="partial",
        run_directory="d",
        started=datetime(2026, 3, 14, tzinfo=UTC),
        duration_s=1,
        usage=Usage(),
        calls=Calls(made=1),
        cost_usd=None,
        reports=reports,
    )
    assert published_text(result) == "2 of 3 reports published, 1 below the threshold"
    assert outcome_text(result) == (
        "2 published (1 below the threshold), 1 failed; 1 call made, 0 cached, 0 retried; cost"
        " unknown"
    )


def test_counts_and_names_of_runs() -> None:
    """One of a thing is in the singular; a run is called by its first topic and its model."""
    assert [counted(n, "topic") for n in (0, 1, 2, 1204)] == [
        *("0 topics", "1 topic", "2 topics", "1,204 topics")
    ]
    assert run_name(["Tidal  power\n"], "gpt-5-mini") == "Tidal power · gpt-5-mini"
    assert run_name(["Tidal power"] * 40, "gpt-5-mini") == "Tidal power + 39 more · gpt-5-mini"
    assert len(run_name(["x" * 500, "y"])) == 60 + len(" + 1 more")
    assert run_name([]) == "no topics"
