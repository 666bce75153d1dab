"""One run of a batch that is split: shards sent out, followed, tried again, and put together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Self

from prefect import Task

from prefect_llm_reports.tasks.contract.errors import BadInput, StorageError
from prefect_llm_reports.tasks.contract.settings import Settings
from prefect_llm_reports.tasks.reports.checking import CheckedBatch
from prefect_llm_reports.tasks.runtime.context import runner_here
from prefect_llm_reports.tasks.runtime.runner import EventLoopTaskRunner
from prefect_llm_reports.tasks.shards.deployments import DeploymentWorkers, check_deployment
from prefect_llm_reports.tasks.shards.desk import spent_usd
from prefect_llm_reports.tasks.shards.gathering import GatheredRun, Shard
from prefect_llm_reports.tasks.shards.orders import ShardOrder, most_shards, orders
from prefect_llm_reports.tasks.shards.task_runners import RunnerWorkers, offered
from prefect_llm_reports.tasks.shards.workers import Try, Workers

MOST_TRIES = 3
"""Tries at one shard, in all."""

STOP_S = 18.0
"""Seconds that shards may take to end once the batch has been stopped."""


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


class ShardedRun(GatheredRun):
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
        self._over = False

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Self]:
        """Write the list of topics, and make sure that no shard outlives the batch."""
        await self.begin()
        try:
            async with self.shown():
                yield self
        finally:
            if not self._over:
                with suppress(StorageError):
                    self.desk.withdraw(order.number for order in self._orders)

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
        await self.take_stock(now=True)
        shards = [Shard(order) for order in self._orders]
        await self._all_over(shards, workers)
        if rest := self._rest():
            last = Shard(rest)
            await self._all_over([last], workers)
            shards.append(last)
        await self.conclude(shards)
        self._over = True

    async def _all_over(self, shards: Sequence[Shard], workers: Workers) -> None:
        """Begin shards, and see them to their end."""
        for shard in shards:
            if self.session.stopped:
                break
            await self._send(shard, workers)
        ends_at: float | None = None
        while under_way := [shard for shard in shards if shard.tries and not shard.over]:
            await workers.look([shard.latest for shard in under_way])
            ended = [shard for shard in under_way if shard.latest.end]
            await self.take_stock(now=bool(ended))
            for shard in under_way:
                await self._judge(shard, workers)
            now = time.monotonic()
            if self.session.stopped and ends_at is None:
                ends_at = now + STOP_S
                await self._stop(shards, workers)
            elif ends_at is not None and now > ends_at:
                break
        await self.take_stock(now=True)

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

    async def _send(self, shard: Shard, workers: Workers) -> None:
        """Begin a try; where that cannot be done, the try has ended at once."""
        number = shard.order.number
        own = [record for record in self.records if record.number == number]
        left = shard.order.budget_usd
        if left is not None:
            left = max(Decimal(0), left - spent_usd(own, number))
        order = shard.order.model_copy(update={"budget_usd": left, "again": bool(own)})
        try:
            await asyncio.to_thread(self.desk.give, order)
            one = await workers.begin(number, order.digest)
        except StorageError as error:
            self.session.stop(error)
            one = Try(number, "no run", end="failed", said=str(error))
        except Exception as error:
            self.log.warning("shard %d was not begun: %s", number, error)
            one = Try(number, "no run", end="crashed", said=f"{type(error).__name__}: {error}")
        shard.tries.append(one)
        shard.heard = (0, time.monotonic())

    async def _judge(self, shard: Shard, workers: Workers) -> None:
        """Decide what becomes of a shard whose try has ended, or is not heard of any more."""
        one = shard.latest
        if one.end is None and workers.shared:
            await self._listen(shard, workers)
        if one.end is None:  # once it is stopped its worker takes seconds to notice its end
            done = any(record.ended and record.flow_run == one.flow_run for record in self.records)
            shard.over = bool(done and self.session.stopped)
            return
        said = f"shard {one.number} ({one.name}) {one.end}"
        if one.end != "completed":
            shard.problem = f"{said}: {one.said}" if one.said else said
            self.log.warning("%s", shard.problem)
        elif not any(record.ended and record.number == one.number for record in self.records):
            shard.problem = (
                f"{said}, yet its record is not in {self.place.path(self.run_id)}; output must be"
                " S3 or a folder that all workers share"
            )
        if one.end == "crashed" and len(shard.tries) < MOST_TRIES and not self.session.stopped:
            shard.problem = ""
            await self._send(shard, workers)
        else:
            shard.over = True

    async def _listen(self, shard: Shard, workers: Workers) -> None:
        """Give up a try that has been silent for too long; its locks have expired by then."""
        one, now = shard.latest, time.monotonic()
        beat = max((r.beat for r in self.records if r.flow_run == one.flow_run), default=0)
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

    async def _stop(self, shards: Sequence[Shard], workers: Workers) -> None:
        """Have no shard make a new call."""
        self.log.info("the batch stops: %s", self.session.stopped)
        try:
            numbers = [shard.order.number for shard in shards]
            await asyncio.to_thread(self.desk.withdraw, numbers)
        except StorageError as error:
            self.log.warning("orders could not be withdrawn: %s", error)
        try:
            under_way = [s.latest for s in shards if s.tries and not s.over and not s.latest.end]
            await workers.end(under_way)
        except Exception as error:
            self.log.warning("shards could not be cancelled: %s", error)
