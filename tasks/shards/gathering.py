"""Gathering: the results of a batch's shards become the batch's own roster."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

from prefect import get_run_logger

from prefect_llm_reports.tasks.contract.errors import (
    CallsStopped,
    ReportsError,
    ShardFailed,
    StorageError,
)
from prefect_llm_reports.tasks.contract.reports import ReportResult, Topic
from prefect_llm_reports.tasks.reports.frame import Frame
from prefect_llm_reports.tasks.reports.throttle import Throttle
from prefect_llm_reports.tasks.results.manifests import published_already
from prefect_llm_reports.tasks.shards.accounts import ShardAccounts
from prefect_llm_reports.tasks.shards.desk import Desk, ShardRecord
from prefect_llm_reports.tasks.shards.workers import Shard

_RANK = {"not_started": 0, "failed": 1, "held_back": 2, "published": 3}


class Gathering:
    """Gathers the results of all shards.

    Args:
        frame: Directory and artifacts of the batch.
        desk: The shards' records.
        accounts: Adds up the spending in the records.
    """

    def __init__(self, frame: Frame, desk: Desk, accounts: ShardAccounts) -> None:
        self._frame = frame
        self._roster = frame.roster
        self._place = frame.roster.batch.output
        self._run_id = frame.roster.run_id
        self._desk = desk
        self._accounts = accounts
        self._reading = Throttle()
        self._log = get_run_logger()

    async def take_stock(self, *, now: bool) -> None:
        """Read the records; unless it has to be now, that takes a fiftieth of the time at most."""
        if not now and not self._reading.due:
            return
        try:
            with self._reading.measured():
                self._accounts.add_up(await asyncio.to_thread(self._desk.records))
                for record in self._accounts.records:
                    for report in record.reports:
                        await self._note(report, record)
                await self._frame.keep_list()
        except StorageError as error:
            self._log.warning("the shards' records could not be read: %s", error)

    async def _note(self, report: ReportResult, record: ShardRecord) -> None:
        """Note a topic's result; the best result of all tries counts."""
        roster = self._roster
        known, files = roster.results.get(report.slug), record.files.get(report.slug, ())
        if known and _RANK[known.status] >= _RANK[report.status]:
            return
        settled_before = known is not None and known.status != "not_started"
        if settled_before or report.status == "not_started":
            roster.note(report, files)
        else:
            roster.settle(report, files)
        if report.status == "published" and not self._frame.summaries.full:
            await self._show_summary(report)

    async def _show_summary(self, report: ReportResult) -> None:
        at = f"{self._run_id}/{report.slug}"
        with suppress(StorageError):
            summary, text = [
                (await asyncio.to_thread(self._place.read, f"{at}/{name}") or b"").decode()
                for name in ("summary.txt", "report.md")
            ]
            if summary:
                without_head = text.partition("\n---\n")[2] or text
                await self._frame.summaries.show(report, summary.strip(), without_head)

    async def conclude(self, shards: Sequence[Shard]) -> None:
        """Settle every topic, by the records and by the published reports."""
        roster = self._roster
        there = set(await asyncio.to_thread(self._place.names, self._run_id))
        shard_of = {topic.slug: shard for shard in shards for topic in shard.order.topics}
        for topic in roster.batch.topics:
            shard, known = shard_of[topic.slug], roster.results.get(topic.slug)
            published = known is not None and known.status == "published"
            if published and topic.slug not in there:
                roster.files.pop(topic.slug, None)
                self._settle(topic, "failed", ShardFailed(self._not_shared(shard)))
            elif not published and topic.slug in there:
                await asyncio.to_thread(self._find, topic)
            elif known is None or (known.status == "not_started" and shard.problem):
                self._blame(topic, shard)
            elif known.status == "not_started":
                roster.settle(known)
        for slug, report in roster.results.items():
            spent = self._accounts.ledger.items[slug]
            roster.results[slug] = report.model_copy(
                update={"calls": spent.calls, "usage": spent.usage, "cost_usd": spent.cost_usd}
            )

    def _blame(self, topic: Topic, shard: Shard) -> None:
        """Settle a topic that no try reached, and name the reason."""
        stopped = self._accounts.stopped
        if stopped:
            self._settle(topic, "not_started", CallsStopped(f"not asked: {stopped}"))
        elif shard.latest.end == "cancelled":
            self._settle(topic, "not_started", ShardFailed(f"not started: {shard.problem}"))
        else:
            why = shard.problem or f"shard {shard.order.number} has no record of this topic"
            again = "answers are kept: run the same command again to go on"
            self._settle(topic, "failed", ShardFailed(f"{why}; {again}"))

    def _not_shared(self, shard: Shard) -> str:
        return (
            f"shard {shard.order.number} ({shard.latest.name}) published it where this process"
            f" cannot see it, not in {self._place.path(self._run_id)}; choose as output S3 or a"
            " folder that all workers share, and run the same command again"
        )

    def _find(self, topic: Topic) -> None:
        """Settle a topic as published if its report is there, even against its shard's record."""
        folder = f"{self._run_id}/{topic.slug}"
        try:
            manifest, files = published_already(self._place, folder)
        except StorageError as error:
            self._settle(topic, "failed", error)
            return
        report = ReportResult(
            topic=topic.title,
            slug=topic.slug,
            status="published",
            score=manifest.score,
            iterations=manifest.iterations,
            stop_reason=manifest.stop_reason,
            directory=self._place.path(folder),
        )
        self._roster.settle(report, files)

    def _settle(
        self, topic: Topic, status: Literal["failed", "not_started"], error: ReportsError
    ) -> None:
        self._roster.settle(self._roster.unpublished(topic, status, error.report()))
