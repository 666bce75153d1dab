"""Following the shards of a batch: send them out, watch them, try again, stop them.

Not here: where shards run (`workers`), their results (`gathering`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from decimal import Decimal

from prefect import get_run_logger

from prefect_llm_reports.tasks.contract.errors import NoWorker, StorageError
from prefect_llm_reports.tasks.shards.accounts import ShardAccounts, spent_usd
from prefect_llm_reports.tasks.shards.desk import Desk
from prefect_llm_reports.tasks.shards.gathering import Gathering
from prefect_llm_reports.tasks.shards.workers import Shard, Try, Workers
from prefect_llm_reports.tasks.text.foreign import shown

MOST_TRIES = 3
"""Tries at one shard, in all."""
STOP_S = 18.0
"""Seconds that shards may take to end once the batch has been stopped."""

NO_WORKER_S = 3600.0
"""Seconds that shards wait for a worker while none of their batch runs, before the batch stops."""


class Following:
    """Sees shards to their end.

    Args:
        workers: Run the shards.
        desk: Passes orders to the shards.
        gathering: Reads the shards' records.
        accounts: Spending by the records, and why the batch stopped.
        silent_s: Seconds without a record after which a shard that runs is taken for dead.
    """

    def __init__(
        self,
        workers: Workers,
        desk: Desk,
        gathering: Gathering,
        accounts: ShardAccounts,
        *,
        silent_s: float,
    ) -> None:
        self._workers = workers
        self._desk = desk
        self._gathering = gathering
        self._accounts = accounts
        self._silent_s = silent_s
        self._log = get_run_logger()

    async def run(self, shards: Sequence[Shard]) -> None:
        """Begin shards, and see them to their end."""
        for shard in shards:
            if self._accounts.stopped:
                break
            await self._send(shard)
        ends_at: float | None = None
        busy_at = time.monotonic()
        while under_way := [shard for shard in shards if shard.tries and not shard.over]:
            await self._workers.look([shard.latest for shard in under_way])
            ended = [shard for shard in under_way if shard.latest.end]
            await self._gathering.take_stock(now=bool(ended))
            for shard in under_way:
                await self._judge(shard)
            now = time.monotonic()
            if ended or not self._workers.shared or any(s.latest.running for s in under_way):
                busy_at = now
            elif now - busy_at > NO_WORKER_S:
                self._accounts.stop(NoWorker(self._no_worker(len(under_way))))
            if self._accounts.stopped and ends_at is None:
                ends_at = now + STOP_S
                await self._stop(shards)
            elif ends_at is not None and now > ends_at:
                break
        await self._gathering.take_stock(now=True)

    def _no_worker(self, waiting: int) -> str:
        return (
            f"no worker took any of {waiting} shards for {NO_WORKER_S / 60:.0f} min; start a worker"
            " for the work pool of `shard_deployment`, or raise the limit of the pool, and run the"
            " same again"
        )

    async def _send(self, shard: Shard) -> None:
        """Begin a try; a try that cannot begin has ended at once."""
        number, records = shard.order.number, self._accounts.records
        left = shard.order.budget_usd
        if left is not None:
            left = max(Decimal(0), left - spent_usd(records, number))
        again = any(record.number == number for record in records)
        order = shard.order.model_copy(update={"budget_usd": left, "again": again})
        try:
            await asyncio.to_thread(self._desk.give, order)
            one = await self._workers.begin(number, order.digest)
        except StorageError as error:
            self._accounts.stop(error)
            one = Try(number, "no run", end="failed", said=str(error))
        except Exception as error:
            said = f"{type(error).__name__}: {shown(str(error))}"
            self._log.warning("shard %d was not begun: %s", number, said)
            one = Try(number, "no run", end="crashed", said=said)
        shard.tries.append(one)
        shard.heard = (0, time.monotonic())

    async def _judge(self, shard: Shard) -> None:
        """Decide whether a shard whose try has ended or is silent gets another try."""
        one, records = shard.latest, self._accounts.records
        if one.end is None and self._workers.shared:
            await self._listen(shard)
        if one.end is None:  # a worker takes seconds to notice the end of a stopped shard
            done = any(record.ended and record.flow_run == one.flow_run for record in records)
            shard.over = bool(done and self._accounts.stopped)
            return
        said = f"shard {one.number} ({one.name}) {one.end}"
        if one.end != "completed":
            shard.problem = f"{said}: {one.said}" if one.said else said
            self._log.warning("%s", shard.problem)
        elif not any(record.ended and record.number == one.number for record in records):
            shard.problem = (
                f"{said}, but its record is not in {self._desk.run_directory}; choose as output S3"
                " or a folder that all workers share"
            )
        if one.end == "crashed" and len(shard.tries) < MOST_TRIES and not self._accounts.stopped:
            shard.problem = ""
            await self._send(shard)
        else:
            shard.over = True

    async def _listen(self, shard: Shard) -> None:
        """Give up a try that has been silent for too long; its locks have expired by then."""
        one, now = shard.latest, time.monotonic()
        own = [r.beat for r in self._accounts.records if r.flow_run == one.flow_run]
        beat = max(own, default=0)
        if beat > shard.heard[0] or not one.running:
            shard.heard = (beat, now)
        silent_s = now - max(shard.heard[1], one.since)
        if one.running and silent_s > self._silent_s:
            why = f"no sign of life for {silent_s:.0f} s; its worker is taken for dead"
            self._log.warning("shard %d (%s): %s", one.number, one.name, why)
            try:
                await self._workers.lose(one, why)
            except Exception as error:
                self._log.warning("%s could not be given up: %s", one.name, error)

    async def _stop(self, shards: Sequence[Shard]) -> None:
        """Let no shard make a new call."""
        self._log.info("the batch stops: %s", self._accounts.stopped)
        try:
            numbers = [shard.order.number for shard in shards]
            await asyncio.to_thread(self._desk.withdraw, numbers)
        except StorageError as error:
            self._log.warning("orders could not be withdrawn: %s", error)
        try:
            under_way = [s.latest for s in shards if s.tries and not s.over and not s.latest.end]
            await self._workers.end(under_way)
        except Exception as error:
            self._log.warning("shards could not be cancelled: %s", error)
