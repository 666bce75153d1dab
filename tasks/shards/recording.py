"""The record that a try at a shard keeps while it works, for the batch to read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from prefect import get_run_logger

from prefect_llm_reports.tasks.contract.errors import Interrupted, StorageError
from prefect_llm_reports.tasks.contract.records import BATCH
from prefect_llm_reports.tasks.reports.accounts import OwnAccounts
from prefect_llm_reports.tasks.reports.roster import Roster
from prefect_llm_reports.tasks.reports.throttle import Throttle
from prefect_llm_reports.tasks.runtime.context import flow_run_here
from prefect_llm_reports.tasks.runtime.signals import Interruption
from prefect_llm_reports.tasks.shards.desk import Desk, ShardRecord, Spent
from prefect_llm_reports.tasks.shards.orders import ShardOrder

BEAT_S, BEAT_ON_NETWORK_S = 1.0, 4.0
"""Seconds between two looks at the order, each followed by a record when one is due."""
GRACE_S = 12
"""Seconds that calls under way may take to end when the order is withdrawn."""


class Recording:
    """Keeps the record of one try at a shard.

    Args:
        order: The shard's order; when the batch withdraws it, the try ends.
        roster: The state of the shard's topics.
        accounts: The try's calls, tokens and costs.
        interruption: Ends the try.
        lease_s: The batch hears of the try at least twice in this time.
    """

    def __init__(
        self,
        order: ShardOrder,
        roster: Roster,
        accounts: OwnAccounts,
        interruption: Interruption,
        lease_s: float,
    ) -> None:
        self._order = order
        self._roster = roster
        self._accounts = accounts
        self._interruption = interruption
        self._place = roster.batch.output
        self._desk = Desk(self._place, roster.run_id)
        self._due = Throttle(most_s=lease_s / 2)
        self._flow_run = flow_run_here().id.hex
        self._beat = 0
        self._log = get_run_logger()

    @asynccontextmanager
    async def kept(self) -> AsyncGenerator[None]:
        """Write records meanwhile, and end the try when the batch withdraws its order."""
        keeper = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    async def _keep(self) -> None:
        pause_s = BEAT_ON_NETWORK_S if self._place.on_network else BEAT_S
        try:
            while await asyncio.to_thread(self._desk.stands, self._order):
                if self._due.due:
                    with self._due.measured():
                        await asyncio.to_thread(self._put)
                await asyncio.sleep(pause_s)
            said = "the batch was stopped; run the same command again to go on"
            self._interruption.withdraw(Interrupted(said), GRACE_S)
            await asyncio.to_thread(self._put)
        except StorageError as error:
            self._accounts.stop(error)

    def end(self) -> None:
        """Write the last record, unless the batch is over and reads no record any more."""
        try:
            if self._place.read(f"{self._roster.run_id}/{BATCH}") is None:
                self._put(ended=True)
        except StorageError as error:
            self._log.warning("the shard's last record could not be written: %s", error)

    def _put(self, *, ended: bool = False) -> None:
        self._beat += 1
        accounts, roster = self._accounts, self._roster
        spent = [*accounts.ledger.items.items()]
        record = ShardRecord(
            number=self._order.number,
            flow_run=self._flow_run,
            beat=self._beat,
            ended=ended,
            spent={slug: Spent.of(spending) for slug, spending in spent},
            reports=[*roster.results.values()],
            files={slug: [*files] for slug, files in [*roster.files.items()]},
            stopped=accounts.stopped.report() if accounts.stopped else None,
            pacing=accounts.pacing(),
            warnings=[*roster.warnings, *accounts.warnings],
        )
        self._desk.put(record)
