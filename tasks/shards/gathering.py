"""What the shards of a batch have done, put together: results, spending, files, what is missing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from prefect_llm_reports.tasks.contract.errors import (
    CallsStopped,
    ReportsError,
    ShardFailed,
    ShardStopped,
    StorageError,
)
from prefect_llm_reports.tasks.contract.reports import BatchResult, PaceRecord, ReportResult, Topic
from prefect_llm_reports.tasks.contract.settings import Settings
from prefect_llm_reports.tasks.reports.artifacts import MOST_SUMMARIES
from prefect_llm_reports.tasks.reports.batch import BatchRun
from prefect_llm_reports.tasks.reports.checking import CheckedBatch
from prefect_llm_reports.tasks.results.manifests import published_already
from prefect_llm_reports.tasks.shards.desk import Desk, ShardRecord, merged_ledger, merged_pacing
from prefect_llm_reports.tasks.shards.orders import ShardOrder
from prefect_llm_reports.tasks.shards.workers import Try

_RANK = {"not_started": 0, "failed": 1, "published": 2}


@dataclass
class Shard:
    """One shard on its way.

    Attributes:
        order: What it has to do.
        tries: Tries so far; the last one is under way until it has ended.
        over: No further try is made.
        problem: Why it was not run to its end; empty: it was.
        heard: Its last sign of life: a number that grows, and when it was seen to grow.
    """

    order: ShardOrder
    tries: list[Try] = field(default_factory=list[Try])
    over: bool = False
    problem: str = ""
    heard: tuple[int, float] = (0, 0.0)

    @property
    def latest(self) -> Try:
        """The try that counts."""
        return self.tries[-1]


class GatheredRun(BatchRun):
    """A run whose reports are made elsewhere, and told in records.

    Args:
        batch: What to do.
        settings: The environment's part of how.

    Attributes:
        desk: Where the shards are told, and tell; set once the run has its directory.
        records: What all tries have told so far.
    """

    def __init__(self, batch: CheckedBatch, settings: Settings) -> None:
        super().__init__(batch, settings)
        self.records: list[ShardRecord] = []
        self._look_again_at = 0.0

    async def begin(self) -> None:
        """Choose the run's directory, and open the desk there."""
        await super().begin()
        self.desk = Desk(self.place, self.run_id)

    async def take_stock(self, *, now: bool) -> None:
        """Read the records, at most a fiftieth of the time unless it has to be now."""
        began = time.monotonic()
        if not now and began < self._look_again_at:
            return
        try:
            self.records = await asyncio.to_thread(self.desk.records)
        except StorageError as error:
            self.log.warning("the shards' records could not be read: %s", error)
            return
        self.session.ledger = merged_ledger(self.records)
        for record in self.records:
            if record.stopped and record.stopped.kind != "interrupted":
                self.session.stop(ShardStopped(record.stopped))
            for report in record.reports:
                await self._note_report(report, record)
        await self.note()
        self._look_again_at = time.monotonic() + 50 * (time.monotonic() - began)

    async def _note_report(self, report: ReportResult, record: ShardRecord) -> None:
        """Take note of a topic's result; the best that any try came to counts."""
        known = self.results.get(report.slug)
        if known and _RANK[known.status] >= _RANK[report.status]:
            return
        self.results[report.slug] = report
        if report.status == "published":
            self.published[report.slug] = tuple(record.files.get(report.slug, ()))
            if len(self.published) <= MOST_SUMMARIES:
                await self._show_summary(report)
        if report.status != "not_started" and (known is None or known.status == "not_started"):
            self.progress.add(report)

    async def _show_summary(self, report: ReportResult) -> None:
        name = f"{self.run_id}/{report.slug}/summary.txt"
        with suppress(StorageError):
            body = await asyncio.to_thread(self.place.read, name)
            if body:
                await self.artifacts.show_summary(report, body.decode().strip())

    async def conclude(self, shards: Sequence[Shard]) -> None:
        """Say of every topic what has become of it, by the records and by what is published."""
        there = set(await asyncio.to_thread(self.place.names, self.run_id))
        shard_of = {topic.slug: shard for shard in shards for topic in shard.order.topics}
        for topic in self.batch.topics:
            shard, known = shard_of[topic.slug], self.results.get(topic.slug)
            published = known is not None and known.status == "published"
            if published and topic.slug not in there:
                self.published.pop(topic.slug, None)
                self._unpublished(topic, "failed", ShardFailed(self._not_shared(shard)))
            elif not published and topic.slug in there:
                await asyncio.to_thread(self._find, topic)
            elif known is None or (known.status == "not_started" and shard.problem):
                self._blame(topic, shard)
            elif known.status == "not_started":
                self.progress.add(known)
        ledger = self.session.ledger
        for slug, report in self.results.items():
            spent = ledger.items[slug]
            self.results[slug] = report.model_copy(
                update={"calls": spent.calls, "usage": spent.usage, "cost_usd": spent.cost_usd}
            )

    def _blame(self, topic: Topic, shard: Shard) -> None:
        """A topic that no try came to says what was in the way."""
        stopped = self.session.stopped
        if stopped:
            self._unpublished(topic, "not_started", CallsStopped(f"not asked: {stopped}"))
        elif shard.latest.end == "cancelled":
            self._unpublished(topic, "not_started", ShardFailed(f"not started: {shard.problem}"))
        else:
            why = shard.problem or f"shard {shard.order.number} has not told what became of it"
            again = "what was answered is kept; run the same again to go on"
            self._unpublished(topic, "failed", ShardFailed(f"{why}; {again}"))

    def _not_shared(self, shard: Shard) -> str:
        return (
            f"published by shard {shard.order.number} ({shard.latest.name}) where this process"
            f" cannot see it, not in {self.place.path(self.run_id)}; output must be S3 or a folder"
            " that all workers share"
        )

    def _find(self, topic: Topic) -> None:
        """A report that is there counts as published, whatever its shard came to tell of it."""
        folder = f"{self.run_id}/{topic.slug}"
        try:
            manifest, files = published_already(self.place, folder)
        except StorageError as error:
            self._unpublished(topic, "failed", error)
            return
        self.published[topic.slug] = tuple(files)
        report = ReportResult(
            topic=topic.title,
            slug=topic.slug,
            status="published",
            score=manifest.score,
            iterations=manifest.iterations,
            stop_reason=manifest.stop_reason,
            directory=self.place.path(folder),
        )
        self.results[topic.slug] = report
        self.progress.add(report)

    def _unpublished(self, topic: Topic, status: Any, error: ReportsError) -> None:
        report = self.unpublished(topic, status, error.report())
        self.results[topic.slug] = report
        self.progress.add(report)

    def result(self) -> BatchResult:
        """The batch as it stands, with what its shards warn of."""
        result = super().result()
        warned = dict.fromkeys(w for record in self.records for w in record.warnings)
        return result.model_copy(update={"warnings": [*result.warnings, *warned]})

    def pacing(self) -> list[PaceRecord]:
        """How each endpoint was used by all shards together."""
        return merged_pacing(self.records, self.plan.options.concurrency)

    async def close(self) -> BatchResult:
        """Remove what the shards were told and have told, then end as any batch does."""
        try:
            await asyncio.to_thread(self.desk.clear)
        except StorageError as error:
            self.log.warning("what the shards have told could not be removed: %s", error)
        return await super().close()
