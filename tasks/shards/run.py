"""One try at one shard of a batch, wherever it runs: reports into the batch's own directory.

Pages, topics.csv and artifacts are the batch's; a shard tells what it has done in a record.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Self

from prefect_llm_reports.tasks.contract.errors import BadInput, Interrupted, StorageError
from prefect_llm_reports.tasks.contract.records import BATCH
from prefect_llm_reports.tasks.contract.reports import BatchResult
from prefect_llm_reports.tasks.contract.settings import Settings
from prefect_llm_reports.tasks.reports.checking import CheckedBatch
from prefect_llm_reports.tasks.reports.run import ReportRun
from prefect_llm_reports.tasks.runtime.context import flow_run_here
from prefect_llm_reports.tasks.runtime.states import counts
from prefect_llm_reports.tasks.shards.desk import Desk, ShardRecord, Spent
from prefect_llm_reports.tasks.shards.orders import ShardOrder
from prefect_llm_reports.tasks.storage.places import open_place

BEAT_S, BEAT_ON_NETWORK_S = 1.0, 4.0
"""Seconds between two records of a shard, at least."""

GRACE_S = 12
"""Seconds that calls under way may take to end when the order is withdrawn."""


def read_order(output: str, run_id: str, number: int) -> ShardOrder:
    """The order of a shard.

    Args:
        output: Where the batch's reports go.
        run_id: The batch's run.
        number: Which shard.

    Raises:
        BadInput: There is none: the batch has ended, or keeps its files elsewhere.
    """
    place = open_place(output)
    order = Desk(place, run_id).order(number)
    if order is None:
        raise BadInput(
            f"shard {number} of run {run_id}: no order in {place.path(run_id)}; the batch has"
            " ended, or its output is a folder that this machine does not share"
        )
    return order


class ShardRun(ReportRun):
    """One try at a shard.

    Args:
        batch: The shard's topics, checked where it runs.
        settings: The environment's part of how.
        order: What the batch asks for.
        run_id: The batch's run.

    Raises:
        BadInput: The shard would ask another endpoint than the batch.
    """

    def __init__(
        self, batch: CheckedBatch, settings: Settings, order: ShardOrder, run_id: str
    ) -> None:
        if batch.plan.endpoint != order.plan.endpoint:
            raise BadInput(
                f"endpoint {batch.plan.endpoint} of this worker is not the batch's,"
                f" {order.plan.endpoint}; set the same OPENAI_BASE_URL for all workers, or name a"
                " saved endpoint"
            )
        lines = [order.line(endpoint) for endpoint in batch.endpoints]
        own = replace(batch, plan=order.plan, endpoints=lines)
        super().__init__(own, settings, caps=order.caps, summaries=False)
        self.run_id = run_id
        self.order = order
        self._desk = Desk(self.place, run_id)
        self._flow_run = flow_run_here().id.hex
        self._beat = 0

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Self]:
        """Open store and session for the tasks, and keep a record while they work."""
        options, order = self.plan.options, self.order
        days, refresh = options.store_days, options.refresh
        if refresh and order.again:  # what this batch has paid for is new enough
            days = (datetime.now(UTC) - order.started).total_seconds() / 86_400
            refresh = False
        self.log.info("shard %d of %d: %d topics", order.number, order.count, len(order.topics))
        try:
            async with self.asking(days=days, refresh=refresh):
                with self.interruption.heeded():
                    keeper = asyncio.create_task(self._keep_record())
                    try:
                        yield self
                    finally:
                        keeper.cancel()
                        await asyncio.gather(keeper, return_exceptions=True)
        finally:
            self._put(ended=True)

    async def close(self) -> BatchResult:
        """Tell what has become of the shard."""
        result = self.result()
        self.log.info("%s: %s", result.status, counts(result))
        await self.interruption.end()
        return result

    async def _keep_record(self) -> None:
        """Write records, at most a fiftieth of the time, until the order is withdrawn."""
        pause_s = BEAT_ON_NETWORK_S if self.place.on_network else BEAT_S
        write_at = 0.0
        try:
            while await asyncio.to_thread(self._desk.stands, self.order):
                began = time.monotonic()
                if began >= write_at:
                    await asyncio.to_thread(self._put)
                    took = time.monotonic() - began
                    write_at = began + min(50 * took, self.settings.lease_s / 2)
                await asyncio.sleep(pause_s)
            said = "the batch was stopped; run the same again to go on"
            self.interruption.withdraw(Interrupted(said), GRACE_S)
            await asyncio.to_thread(self._put)
        except StorageError as error:
            self.session.stop(error)

    def _put(self, *, ended: bool = False) -> None:
        """Write what has been done so far; a batch that is over takes no record."""
        self._beat += 1
        record = ShardRecord(
            number=self.order.number,
            flow_run=self._flow_run,
            beat=self._beat,
            ended=ended,
            spent={slug: Spent.of(spent) for slug, spent in [*self.session.ledger.items.items()]},
            reports=[*self.results.values()],
            files={slug: [*files] for slug, files in [*self.published.items()]},
            stopped=self.session.stopped.report() if self.session.stopped else None,
            pacing=self.pacing(),
            warnings=[*self.warnings, *self.store.warnings],
        )
        try:
            if not ended or self.place.read(f"{self.run_id}/{BATCH}") is None:
                self._desk.put(record)
        except StorageError as error:
            if not ended:
                raise
            self.log.warning("the shard's last record could not be written: %s", error)
