"""The roster of a run: the state of each topic, and the result of the run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from prefect_llm_reports.tasks.contract.records import OFFLINE, ErrorReport, FileEntry
from prefect_llm_reports.tasks.contract.reports import BatchResult, ReportResult, Topic
from prefect_llm_reports.tasks.reports.accounts import Accounts
from prefect_llm_reports.tasks.reports.checking import CheckedBatch
from prefect_llm_reports.tasks.runtime.progress import Progress

Unpublished = Literal["failed", "held_back", "not_started"]
DONE = ("published", "held_back")
"""Statuses of topics with which everything is done that was to be done."""


class Roster:
    """The state of each topic of a run so far.

    Args:
        batch: The topics, in input order.
        run_id: The run's directory.
        accounts: The run's calls, tokens and costs.
        progress: Learns of each topic that is settled.

    Attributes:
        results: Results by slug; a topic that is not settled has none.
        files: Files of the published reports, by slug.
        warnings: Warnings about this run, beside those of the batch and of the accounts.
        unwritten: The run's own pages could not be written.
    """

    def __init__(
        self, batch: CheckedBatch, run_id: str, accounts: Accounts, progress: Progress
    ) -> None:
        self.batch = batch
        self.run_id = run_id
        self.results: dict[str, ReportResult] = {}
        self.files: dict[str, tuple[FileEntry, ...]] = {}
        self.warnings: list[str] = []
        self.unwritten = False
        self._accounts = accounts
        self._progress = progress
        self._started = datetime.now(UTC)
        self._clock = time.monotonic()

    def note(self, report: ReportResult, files: Sequence[FileEntry] = ()) -> None:
        """Note the result of a topic that may still change."""
        if files:  # before the result: another thread may read both
            self.files[report.slug] = tuple(files)
        self.results[report.slug] = report

    def settle(self, report: ReportResult, files: Sequence[FileEntry] = ()) -> None:
        """Note the result of a topic, and show it to those who follow the run."""
        self.note(report, files)
        self._progress.add(report)

    def unpublished(
        self, topic: Topic, status: Unpublished, error: ErrorReport | None
    ) -> ReportResult:
        """Make the result of a topic without a report."""
        spent = self._accounts.ledger.items[topic.slug]
        return ReportResult(
            topic=topic.title,
            slug=topic.slug,
            status=status,
            calls=spent.calls,
            usage=spent.usage,
            cost_usd=spent.cost_usd,
            error=error,
        )

    def result(self) -> BatchResult:
        """Make the result of the run as it stands; a topic that is not settled is not started."""
        accounts, batch = self._accounts, self.batch
        total, stopped = accounts.ledger.total, accounts.stopped
        reports = [
            self.results.get(topic.slug) or self.unpublished(topic, "not_started", None)
            for topic in batch.topics
        ]
        if not self.unwritten and all(report.status in DONE for report in reports):
            status, stopped = "complete", None  # every topic was settled before the run was stopped
        elif stopped or any(report.status == "not_started" for report in reports):
            status = "stopped"
        else:
            status = "partial"
        return BatchResult(
            run_id=self.run_id,
            status=status,
            run_directory=batch.output.path(self.run_id),
            offline=batch.plan.model == OFFLINE,
            started=self._started,
            duration_s=round(time.monotonic() - self._clock, 3),
            calls=total.calls,
            usage=total.usage,
            cost_usd=total.cost_usd,
            reports=reports,
            error=stopped.report() if stopped else None,
            pacing=accounts.pacing(),
            options=batch.plan.chosen,
            warnings=[*batch.warnings, *self.warnings, *accounts.warnings],
        )
