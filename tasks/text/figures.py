"""Counts as people read them: calls, statuses, the outcome of a batch in one line.

Not here: money (`contract.money`), how figures are laid out (`pages`, `reports.artifacts`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from prefect_llm_reports.tasks.contract.money import cost_text
from prefect_llm_reports.tasks.contract.records import Calls
from prefect_llm_reports.tasks.contract.reports import BatchResult


def calls_text(calls: Calls) -> str:
    """The calls of a run: `26 calls made, 2 cached, 0 retried`."""
    return f"{calls.made} calls made, {calls.cached} cached, {calls.retried} retried"


def statuses_text(statuses: Iterable[str]) -> str:
    """Statuses counted, in the order in which they first occur: `2 published, 1 not started`."""
    return ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in Counter(statuses).items())


def outcome_text(result: BatchResult) -> str:
    """The outcome of a batch in one line: reports by status, calls, cost."""
    reports = statuses_text(report.status for report in result.reports)
    return f"{reports}; {calls_text(result.calls)}; {cost_text(result.cost_usd)}"
