"""How fast a batch asks and what it may spend, by the real flow against a real HTTP server."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from prefect_llm_reports.tasks.contract.errors import BadInput
from tests.flow.conftest import Bench
from tests.harness.endpoint import Endpoint

PRICES = {"gpt-5-mini": {"input": "2", "output": "10"}}
BILL = (2, 10)


def test_a_storm_of_refusals_costs_few_requests(bench: Bench) -> None:
    """Of 700 calls at 64 allowed, where 8 are served at once, under 5 % are refused, none fails."""
    with Endpoint(capacity=8, latency=0.1) as endpoint:
        topics = [f"Topic number {n}" for n in range(100)]
        result = bench.run(endpoint, topics, options={"concurrency": 64})
        refused = endpoint.count(status=429)

    assert result.status == "complete"
    assert result.calls.made == 700
    assert 0 < refused < 0.05 * len(endpoint.requests)


def test_refusals_slow_a_batch_down_and_fail_nothing(bench: Bench) -> None:
    """A small batch at an endpoint that serves two calls at once is complete."""
    with Endpoint(capacity=2, latency=0.02) as endpoint:
        topics = [f"Topic number {n}" for n in range(12)]
        result = bench.run(endpoint, topics, options={"concurrency": 32})

    assert result.status == "complete"
    assert result.calls.retried == endpoint.count(status=429) > 0
    assert len(endpoint.requests) == 12 * 7 + result.calls.retried


def test_concurrency_is_never_exceeded_and_is_used(bench: Bench) -> None:
    """At most `concurrency` requests are under way, and that many when there is work."""
    with Endpoint(latency=0.05) as endpoint:
        result = bench.run(
            endpoint, [f"Topic number {n}" for n in range(12)], options={"concurrency": 3}
        )

    assert result.status == "complete"
    assert endpoint.peak == 3


def test_requests_a_minute_are_kept(bench: Bench) -> None:
    """At 600 requests a minute, seven calls arrive at least a tenth of a second apart."""
    with Endpoint() as endpoint:
        result = bench.run(endpoint, ["Tidal power"], options={"requests_per_minute": 600})
        arrived = [r.arrived for r in endpoint.requests]

    assert result.status == "complete"
    assert arrived[-1] - arrived[0] >= 0.1 * (len(arrived) - 1) - 0.05


def test_a_third_of_the_cost_buys_a_third_and_not_a_cent_more(bench: Bench) -> None:
    """What was billed is within the budget, finished reports are published, the rest can follow."""
    topics = [f"Topic number {n}" for n in range(10)]
    options: dict[str, Any] = {"prices": PRICES, "max_output_tokens": 1000, "length_words": 300}
    with Endpoint() as endpoint:
        whole = bench.run(
            endpoint, topics, options={**options, "store": str(bench.store / "whole")}
        )
        cost = endpoint.billed_usd(*BILL)
    assert whole.cost_usd == cost

    budget = cost / 3
    with Endpoint() as endpoint:
        result = bench.run(endpoint, topics, options={**options, "budget_usd": str(budget)})
        billed = endpoint.billed_usd(*BILL)
        asked = len(endpoint.requests)
        rest = bench.run(endpoint, topics, options=options)
        every = [r.key for r in endpoint.requests]

    assert result.status == "stopped"
    assert result.cost_usd == billed
    assert 0 < billed <= budget
    published = [r for r in result.reports if r.status == "published"]
    assert published
    assert {r.stop_reason for r in published} <= {"budget_exhausted", "accepted"}
    others = [r for r in result.reports if r.status != "published"]
    assert others
    for report in others:
        assert report.status == "not_started"
        assert report.error is not None
        assert report.error.kind == "budget_exhausted"
        assert "raise the budget" in report.error.message
    assert rest.status == "complete"
    assert {r.stop_reason for r in rest.reports} == {"accepted"}
    assert len(set(every)) == len(every)
    assert rest.calls.made == len(every) - asked


def test_failed_attempts_count_against_the_budget(bench: Bench) -> None:
    """A cut answer was billed: it is in the cost of the report, with the one that replaced it."""
    from tests.harness import faults

    with Endpoint(scores=(8,)) as endpoint:
        endpoint.fail(faults.cut_off(), step="draft")
        result = bench.run(
            endpoint,
            ["Tidal power"],
            options={"prices": PRICES, "budget_usd": "1", "max_output_tokens": 4000},
        )

    assert result.status == "complete"
    assert result.cost_usd == endpoint.billed_usd(*BILL)
    assert Decimal(0) < endpoint.billed_usd(*BILL) < 1


def test_a_budget_needs_a_price(bench: Bench, endpoint: Endpoint) -> None:
    """An unpriced model with a budget is refused before any call, with what to give."""
    with pytest.raises(BadInput, match=r"price of llama-at-home .* is unknown"):
        bench.run(endpoint, ["Tidal power"], model="llama-at-home", options={"budget_usd": "0.5"})
    assert endpoint.requests == []
