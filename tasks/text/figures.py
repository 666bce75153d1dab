"""Counts as people read them: calls, statuses, the outcome of a batch in one line.

Not here: money (`contract.money`), how figures are laid out (`pages`, `reports.artifacts`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from prefect_llm_reports.tasks.contract.money import cost_text
from prefect_llm_reports.tasks.contract.records import Calls, shortened
from prefect_llm_reports.tasks.contract.reports import BatchResult, ReportResult


def calls_text(calls: Calls) -> str:
    """The calls of a run: `26 calls made, 2 cached, 0 retried`."""
    made = counted(calls.made, "call")
    return f"{made} made, {calls.cached:,} cached, {calls.retried:,} retried"


def statuses_text(statuses: Iterable[str]) -> str:
    """Statuses counted, in the order in which they first occur: `2 published, 1 not started`."""
    return ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in Counter(statuses).items())


def counted(count: int, noun: str) -> str:
    """A count with its noun: `1 topic`, `2 topics`, `1,204 inputs`.

    Args:
        count: How many.
        noun: The noun in the singular; it forms its plural with s.
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def run_name(items: Sequence[str], model: str = "") -> str:
    """The name of a run for people: `Tidal power + 39 more · gpt-5-mini`.

    Args:
        items: Its topics or inputs.
        model: Its model; empty: not known.
    """
    first, model = shortened(items[0]) if items else "no topics", shortened(model)
    more = f" + {len(items) - 1:,} more" if len(items) > 1 else ""
    return f"{first}{more}{f' · {model}' if model else ''}"


def below_threshold(reports: Iterable[ReportResult]) -> int:
    """How many reports are published although no draft reached the threshold.

    Args:
        reports: The reports of a batch.
    """
    return sum(is_below(report.status, report.stop_reason) for report in reports)


def is_below(status: str, stop_reason: str | None) -> bool:
    """Whether a report is published although no draft reached the threshold.

    Args:
        status: The report's status.
        stop_reason: Why its refinement ended; None: not known.
    """
    return status == "published" and stop_reason not in (None, "accepted")


def published_text(result: BatchResult) -> str:
    """How many reports are published: `2 of 3 reports published, 1 below the threshold`."""
    published = sum(report.status == "published" for report in result.reports)
    below = below_threshold(result.reports)
    low = f", {below:,} below the threshold" if below else ""
    return f"{published:,} of {counted(len(result.reports), 'report')} published{low}"


def outcome_text(result: BatchResult) -> str:
    """The outcome of a batch in one line: reports by status, calls, cost."""
    reports = statuses_text(report.status for report in result.reports)
    if below := below_threshold(result.reports):
        reports = reports.replace(" published", f" published ({below:,} below the threshold)")
    parts = [reports, evidence_text(result.reports), calls_text(result.calls)]
    return "; ".join([*filter(None, parts), cost_text(result.cost_usd)])


def evidence_text(reports: Iterable[ReportResult]) -> str:
    """What checking found in reports with sources: `34 quotations verified, 2 claims doubtful`.

    Args:
        reports: The reports of a batch; empty text: none has sources.
    """
    found = [report.evidence for report in reports if report.evidence]
    if not found:
        return ""
    verified = counted(sum(one.verified for one in found), "quotation")
    return f"{verified} verified, {counted(sum(one.doubtful for one in found), 'claim')} doubtful"
