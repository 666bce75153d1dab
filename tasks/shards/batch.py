"""One run of a batch that is split: the flow's access to its parts.

Here: whether and how a batch is split, and the order of events. Not here: sending and watching
shards (`following`), their results (`gathering`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Self

from prefect import Task, get_run_logger

from prefect_llm_reports.tasks.contract.errors import BadInput, StorageError
from prefect_llm_reports.tasks.contract.reports import BatchResult
from prefect_llm_reports.tasks.contract.settings import Settings
from prefect_llm_reports.tasks.reports.checking import CheckedBatch
from prefect_llm_reports.tasks.reports.frame import Frame
from prefect_llm_reports.tasks.runtime.context import runner_here
from prefect_llm_reports.tasks.runtime.runner import EventLoopTaskRunner
from prefect_llm_reports.tasks.shards.accounts import ShardAccounts
from prefect_llm_reports.tasks.shards.deployments import DeploymentWorkers, check_deployment
from prefect_llm_reports.tasks.shards.desk import Desk
from prefect_llm_reports.tasks.shards.following import Following
from prefect_llm_reports.tasks.shards.gathering import Gathering
from prefect_llm_reports.tasks.shards.orders import ShardOrder, most_shards, orders
from prefect_llm_reports.tasks.shards.task_runners import RunnerWorkers, offered
from prefect_llm_reports.tasks.shards.workers import Shard, Workers


async def shards_of(batch: CheckedBatch) -> int:
    """How many shards a batch is split into; 0: it is not split.

    Raises:
        BadInput: There is no deployment that runs shards, or the batch waits for a decision.
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


class SplitRun:
    """One run of a batch whose shards make the reports.

    Args:
        batch: The checked request.
        settings: The environment.
        frame: Directory, artifacts and signals of the run.
        accounts: Adds up the spending of the shards.
        shard_orders: The order of each shard.
    """

    def __init__(
        self,
        batch: CheckedBatch,
        settings: Settings,
        frame: Frame,
        accounts: ShardAccounts,
        shard_orders: list[ShardOrder],
    ) -> None:
        self._batch = batch
        self._frame = frame
        self._accounts = accounts
        self._orders = shard_orders
        self._run_id = frame.roster.run_id
        self._desk = Desk(batch.output, self._run_id)
        self._gathering = Gathering(frame, self._desk, accounts)
        self._silent_s = 2 * settings.lease_s
        self._over = False
        self._log = get_run_logger()

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, batch: CheckedBatch, settings: Settings, count: int, endpoint: str | None
    ) -> AsyncGenerator[Self]:
        """Begin a run, and make sure that no shard outlives it.

        Args:
            batch: The checked request.
            settings: The environment.
            count: How many shards the batch is split into.
            endpoint: Name of the saved endpoint; None: the environment's.
        """
        options = batch.plan.options
        dealt = orders(batch, count, endpoint=endpoint, started=datetime.now(UTC))
        accounts = ShardAccounts(options.concurrency)
        frame = await Frame.begun(batch, accounts)
        if count < options.shards:
            frame.roster.warnings.append(
                f"{count} shards instead of {options.shards}: each needs a topic and a part of"
                " every limit"
            )
        run = cls(batch, settings, frame, accounts, dealt)
        with frame.heeded():
            try:
                async with frame.shown():
                    yield run
            finally:
                if not run._over:
                    with suppress(StorageError):
                        run._desk.withdraw(order.number for order in dealt)
            await run._conclude()

    async def gather(self, step: Task[..., Any]) -> None:
        """Run every shard to its end, and merge their results.

        Args:
            step: The task that runs one shard, where a task runner does.
        """
        runner, output = runner_here(), self._batch.location
        if isinstance(runner, EventLoopTaskRunner):
            name = self._batch.plan.options.shard_deployment
            await self._follow(DeploymentWorkers(name, output, self._run_id))
        else:
            workers = RunnerWorkers(step, runner, output, self._run_id)
            try:
                await self._follow(workers)
            finally:
                await asyncio.to_thread(workers.close)

    async def _follow(self, workers: Workers) -> None:
        following = Following(
            workers, self._desk, self._gathering, self._accounts, silent_s=self._silent_s
        )
        await self._gathering.take_stock(now=True)
        shards = [Shard(order) for order in self._orders]
        await following.run(shards)
        if rest := self._rest():
            last = Shard(rest)
            await following.run([last])
            shards.append(last)
        await self._gathering.conclude(shards)
        self._over = True

    def _rest(self) -> ShardOrder | None:
        """The topics that shards had no money for, with the money that other shards left over."""
        whole, results = self._batch.plan.options.budget_usd, self._frame.roster.results
        rest = [
            topic
            for topic in self._batch.topics
            if (report := results.get(topic.slug))
            and report.error
            and report.error.kind == "budget_exhausted"
        ]
        if whole is None or not rest or len(self._orders) == 1 or self._accounts.stopped:
            return None
        return self._orders[0].model_copy(
            update={
                "number": len(self._orders) + 1,
                "count": 1,
                "topics": rest,
                "budget_usd": whole - self._accounts.ledger.total.usd,
                "again": True,
            }
        )

    async def _conclude(self) -> None:
        """Remove orders and records, then write the batch's pages and result."""
        try:
            await asyncio.to_thread(self._desk.clear)
        except StorageError as error:
            self._log.warning("orders and records of the shards could not be removed: %s", error)
        await self._frame.conclude()

    async def close(self) -> BatchResult:
        """Return the result, or end by the signal that came."""
        return await self._frame.close()
