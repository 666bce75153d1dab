"""One try at one shard of a batch, wherever it runs: reports into the batch's own directory.

Pages, topics.csv and artifacts are the batch's; a shard keeps a record of its work.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Self

from prefect import get_run_logger
from prefect.futures import PrefectFuture

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.reports import BatchResult
from prefect_llm_reports.tasks.contract.settings import Settings
from prefect_llm_reports.tasks.reports.accounts import OwnAccounts
from prefect_llm_reports.tasks.reports.checking import CheckedBatch
from prefect_llm_reports.tasks.reports.finishing import Finishing
from prefect_llm_reports.tasks.reports.roster import Roster
from prefect_llm_reports.tasks.reports.tracing import traced
from prefect_llm_reports.tasks.runtime.progress import Progress
from prefect_llm_reports.tasks.runtime.signals import Interruption
from prefect_llm_reports.tasks.shards.desk import Desk
from prefect_llm_reports.tasks.shards.orders import ShardOrder
from prefect_llm_reports.tasks.shards.recording import Recording
from prefect_llm_reports.tasks.storage.places import open_place
from prefect_llm_reports.tasks.text.figures import outcome_text


def read_order(output: str, run_id: str, number: int) -> ShardOrder:
    """Read the order of a shard.

    Args:
        output: Where the batch's reports go.
        run_id: The batch's run.
        number: Which shard.

    Raises:
        BadInput: There is no order: the batch has ended, or keeps its files elsewhere.
    """
    place = open_place(output)
    order = Desk(place, run_id).order(number)
    if order is None:
        raise BadInput(
            f"shard {number} of run {run_id}: no order in {place.path(run_id)}; the batch has"
            " ended, or its output is a folder that this machine does not share; run report-batch"
            " again, with an output that all workers share"
        )
    return order


class ShardRun:
    """One try at a shard.

    Args:
        roster: The shard's topics.
        finishing: Finishes the topics as they are refined.
        interruption: The signals that the try heeds.
    """

    def __init__(self, roster: Roster, finishing: Finishing, interruption: Interruption) -> None:
        self._roster = roster
        self._finishing = finishing
        self._interruption = interruption
        self._log = get_run_logger()

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, batch: CheckedBatch, settings: Settings, order: ShardOrder, run_id: str
    ) -> AsyncGenerator[Self]:
        """Open store and session for the tasks, and keep a record while they work.

        Args:
            batch: The shard's topics, checked where it runs.
            settings: The environment.
            order: The shard's order.
            run_id: The batch's run.

        Raises:
            BadInput: The shard would ask another endpoint than the batch.
        """
        own = _ordered(batch, order)
        accounts = OwnAccounts(own, settings, order.caps)
        roster = Roster(own, run_id, accounts, Progress())
        finishing = Finishing(roster, accounts, order.caps.concurrency)
        interruption = Interruption(accounts.stop, None, accounts.halt)
        recording = Recording(order, roster, accounts, interruption, settings.lease_s)
        run = cls(roster, finishing, interruption)
        days, refresh = _usable_answers(order)
        run._log.info("shard %d of %d: %d topics", order.number, order.count, len(order.topics))
        finishing.hold_back_refining()
        try:
            async with (
                accounts.opened(days=days, refresh=refresh),
                traced(order.plan.options, run_id, own.topics, roster.result),
            ):
                with interruption.heeded():
                    async with recording.kept():
                        yield run
        finally:
            recording.end()

    async def finish_all(self, refining: Sequence[PrefectFuture[Any]]) -> None:
        """Finish every topic by itself, as soon as it is refined."""
        await self._finishing.finish_all(refining)

    async def close(self) -> BatchResult:
        """Return the results of the shard's topics."""
        result = self._roster.result()
        self._log.info("%s: %s", result.status, outcome_text(result))
        await self._interruption.end()
        return result


def _ordered(batch: CheckedBatch, order: ShardOrder) -> CheckedBatch:
    """The batch as the order wants it: its plan, and its part of each endpoint's limits."""
    if batch.plan.endpoint != order.plan.endpoint:
        raise BadInput(
            f"endpoint {batch.plan.endpoint} of this worker is not the batch's,"
            f" {order.plan.endpoint}; set the same OPENAI_BASE_URL for all workers, or name a"
            " saved endpoint"
        )
    found = batch.library.marks(batch.topics) if batch.library else {}
    if found != order.sources:
        raise BadInput(*_other_sources(found, order.sources))
    lines = [order.line(endpoint) for endpoint in batch.endpoints]
    return replace(batch, plan=order.plan, endpoints=lines)


def _other_sources(found: Mapping[str, str], wanted: Mapping[str, str]) -> Iterator[str]:
    """The sources that are not here as they are for the batch, by their locations."""
    for location in sorted(found.keys() | wanted.keys()):
        here, there = found.get(location), wanted.get(location)
        if here != there:
            said = "not there" if not here else "there, and not with the batch"
            said = "another version than the batch's" if here and there else said
            yield (
                f"source {location}: on this worker it is {said}; give all workers the same files,"
                " in a folder that they share or in S3"
            )


def _usable_answers(order: ShardOrder) -> tuple[float | None, bool]:
    """Age in days up to which answers are used, and whether all of them are asked for anew."""
    options = order.plan.options
    if options.refresh and order.again:  # answers that this batch has paid for are new enough
        return (datetime.now(UTC) - order.started).total_seconds() / 86_400, False
    return options.store_days, options.refresh
