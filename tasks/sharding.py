"""One run of a batch that is split: shards sent out, followed, tried again, and put together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Self

from prefect import Task

from tasks.batch_runs import BatchRun
from tasks.checking import CheckedBatch
from tasks.dispatching import (
    DeploymentWorkers,
    RunnerWorkers,
    Try,
    Workers,
    check_deployment,
    offered,
)
from tasks.errors import (
    BadInput,
    CallsStopped,
    ReportsError,
    ShardFailed,
    ShardStopped,
    StorageError,
)
from tasks.publishing import published_already
from tasks.run_artifacts import MOST_SUMMARIES
from tasks.runner import EventLoopTaskRunner
from tasks.runs import runner_here
from tasks.schemas import BatchResult, PaceRecord, ReportResult, Topic
from tasks.settings import Settings
from tasks.shards import (
    Desk,
    ShardOrder,
    ShardRecord,
    merged_ledger,
    merged_pacing,
    most_shards,
    orders,
    spent_usd,
)

MOST_TRIES = 3
"""Tries at one shard, in all."""

STOP_S = 18.0
"""Seconds that shards may take to end once the batch has been stopped."""

_RANK = {"not_started": 0, "failed": 1, "published": 2}


@dataclass
class _Shard:
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
        return self.tries[-1]


async def shards_of(batch: CheckedBatch) -> int:
    """How many shards a batch is split into; 0: it is not split.

    Raises:
        BadInput: The deployment that would run them is not there.
    """
    options, runner = batch.plan.options, runner_here()
    here = isinstance(runner, EventLoopTaskRunner)
    if here and most_shards(batch, options.shards) == 1:
        return 0
    if options.approval:
        raise BadInput(
            "approval: a batch that is split cannot wait for a decision; leave out shards, or"
            " approval"
        )
    if here:
        await check_deployment(options.shard_deployment)
        return most_shards(batch, options.shards)
    wanted = options.shards if options.shards > 1 else await asyncio.to_thread(offered, runner)
    return most_shards(batch, wanted)


class ShardedRun(BatchRun):
    """One run of the flow over a batch that others work at.

    Args:
        batch: What to do.
        settings: The environment's part of how.
        count: How many shards it is split into.
        endpoint: Name of the saved endpoint; None: the environment's.
    """

    def __init__(
        self, batch: CheckedBatch, settings: Settings, count: int, endpoint: str | None
    ) -> None:
        super().__init__(batch, settings)
        wanted = batch.plan.options.shards
        if count < wanted:
            self.warnings.append(
                f"{count} shards instead of {wanted}: each needs a topic and a part of every limit"
            )
        self._orders = orders(batch, count, endpoint=endpoint, started=datetime.now(UTC))
        self._records: list[ShardRecord] = []
        self._look_again_at = 0.0
        self._over = False

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Self]:
        """Write the list of topics, and make sure that no shard outlives the batch."""
        await self.begin()
        self._desk = Desk(self.place, self.run_id)
        try:
            async with self.shown():
                yield self
        finally:
            if not self._over:
                with suppress(StorageError):
                    self._desk.withdraw(order.number for order in self._orders)

    async def gather(self, step: Task[..., Any]) -> None:
        """Have every shard run to its end, and put together what they did.

        Args:
            step: The task that runs one shard, where a task runner does.
        """
        runner, output = runner_here(), self.batch.location
        if isinstance(runner, EventLoopTaskRunner):
            name = self.plan.options.shard_deployment
            await self._follow(DeploymentWorkers(name, output, self.run_id))
        else:
            workers = RunnerWorkers(step, runner, output, self.run_id)
            try:
                await self._follow(workers)
            finally:
                await asyncio.to_thread(workers.close)

    async def _follow(self, workers: Workers) -> None:
        await self._take_stock(now=True)
        shards = [_Shard(order) for order in self._orders]
        await self._all_over(shards, workers)
        if rest := self._rest():
            last = _Shard(rest)
            await self._all_over([last], workers)
            shards.append(last)
        await self._conclude(shards)
        self._over = True

    async def _all_over(self, shards: Sequence[_Shard], workers: Workers) -> None:
        """Begin shards, and see them to their end."""
        for shard in shards:
            if self.session.stopped:
                break
            await self._send(shard, workers)
        ends_at: float | None = None
        while under_way := [shard for shard in shards if shard.tries and not shard.over]:
            await workers.look([shard.latest for shard in under_way])
            ended = [shard for shard in under_way if shard.latest.end]
            await self._take_stock(now=bool(ended))
            for shard in under_way:
                await self._judge(shard, workers)
            now = time.monotonic()
            if self.session.stopped and ends_at is None:
                ends_at = now + STOP_S
                await self._stop(shards, workers)
            elif ends_at is not None and now > ends_at:
                break
        await self._take_stock(now=True)

    def _rest(self) -> ShardOrder | None:
        """What the shards had no money for, with the money that they had no use for."""
        whole = self.plan.options.budget_usd
        rest = [
            topic
            for topic in self.batch.topics
            if (report := self.results.get(topic.slug))
            and report.error
            and report.error.kind == "budget_exhausted"
        ]
        if whole is None or not rest or len(self._orders) == 1 or self.session.stopped:
            return None
        left = whole - self.session.ledger.total.usd
        return self._orders[0].model_copy(
            update={
                "number": len(self._orders) + 1,
                "count": 1,
                "topics": rest,
                "budget_usd": left,
                "again": True,
            }
        )

    async def _send(self, shard: _Shard, workers: Workers) -> None:
        """Begin a try; where that cannot be done, the try has ended at once."""
        number = shard.order.number
        own = [record for record in self._records if record.number == number]
        left = shard.order.budget_usd
        if left is not None:
            left = max(Decimal(0), left - spent_usd(own, number))
        order = shard.order.model_copy(update={"budget_usd": left, "again": bool(own)})
        try:
            await asyncio.to_thread(self._desk.give, order)
            one = await workers.begin(number, order.digest)
        except StorageError as error:
            self.session.stop(error)
            one = Try(number, "no run", end="failed", said=str(error))
        except Exception as error:
            self.log.warning("shard %d was not begun: %s", number, error)
            one = Try(number, "no run", end="crashed", said=f"{type(error).__name__}: {error}")
        shard.tries.append(one)
        shard.heard = (0, time.monotonic())

    async def _judge(self, shard: _Shard, workers: Workers) -> None:
        """Decide what becomes of a shard whose try has ended, or is not heard of any more."""
        one = shard.latest
        if one.end is None and workers.shared:
            await self._listen(shard, workers)
        if one.end is None:
            return
        said = f"shard {one.number} ({one.name}) {one.end}"
        if one.end != "completed":
            shard.problem = f"{said}: {one.said}" if one.said else said
            self.log.warning("%s", shard.problem)
        elif not any(record.ended and record.number == one.number for record in self._records):
            shard.problem = (
                f"{said}, yet its record is not in {self.place.path(self.run_id)}; output must be"
                " S3 or a folder that all workers share"
            )
        if one.end == "crashed" and len(shard.tries) < MOST_TRIES and not self.session.stopped:
            shard.problem = ""
            await self._send(shard, workers)
        else:
            shard.over = True

    async def _listen(self, shard: _Shard, workers: Workers) -> None:
        """Give up a try that has been silent for too long; its locks have expired by then."""
        one, now = shard.latest, time.monotonic()
        beat = max((r.beat for r in self._records if r.flow_run == one.flow_run), default=0)
        if beat > shard.heard[0] or not one.running:
            shard.heard = (beat, now)
        silent_s = now - max(shard.heard[1], one.since)
        if one.running and silent_s > 2 * self.settings.lease_s:
            why = f"no sign of life for {silent_s:.0f} s; its worker is taken for dead"
            self.log.warning("shard %d (%s): %s", one.number, one.name, why)
            try:
                await workers.lose(one, why)
            except Exception as error:
                self.log.warning("%s could not be given up: %s", one.name, error)

    async def _stop(self, shards: Sequence[_Shard], workers: Workers) -> None:
        """Have no shard make a new call."""
        self.log.info("the batch stops: %s", self.session.stopped)
        try:
            numbers = [shard.order.number for shard in shards]
            await asyncio.to_thread(self._desk.withdraw, numbers)
        except StorageError as error:
            self.log.warning("orders could not be withdrawn: %s", error)
        try:
            under_way = [s.latest for s in shards if s.tries and not s.over and not s.latest.end]
            await workers.end(under_way)
        except Exception as error:
            self.log.warning("shards could not be cancelled: %s", error)

    async def _take_stock(self, *, now: bool) -> None:
        """Read the records, at most a fiftieth of the time unless it has to be now."""
        began = time.monotonic()
        if not now and began < self._look_again_at:
            return
        try:
            self._records = await asyncio.to_thread(self._desk.records)
        except StorageError as error:
            self.log.warning("the shards' records could not be read: %s", error)
            return
        self.session.ledger = merged_ledger(self._records)
        for record in self._records:
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

    async def _conclude(self, shards: Sequence[_Shard]) -> None:
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

    def _blame(self, topic: Topic, shard: _Shard) -> None:
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

    def _not_shared(self, shard: _Shard) -> str:
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
        warned = dict.fromkeys(w for record in self._records for w in record.warnings)
        return result.model_copy(update={"warnings": [*result.warnings, *warned]})

    def pacing(self) -> list[PaceRecord]:
        """How each endpoint was used by all shards together."""
        return merged_pacing(self._records, self.plan.options.concurrency)

    async def close(self) -> BatchResult:
        """Remove what the shards were told and have told, then end as any batch does."""
        try:
            await asyncio.to_thread(self._desk.clear)
        except StorageError as error:
            self.log.warning("what the shards have told could not be removed: %s", error)
        return await super().close()
