"""The frame of a batch: the parts around its reports, the same whether it is split or not.

Here: its directory with the list of topics and the pages, its artifacts, the signals it heeds. Not
here: the reports themselves (`finishing`, `shards.gathering`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Self

from prefect import get_run_logger

from prefect_llm_reports.tasks.contract.errors import StorageError
from prefect_llm_reports.tasks.contract.records import OFFLINE
from prefect_llm_reports.tasks.contract.reports import BatchResult
from prefect_llm_reports.tasks.llm.line import Line
from prefect_llm_reports.tasks.reports.accounts import Accounts
from prefect_llm_reports.tasks.reports.artifacts import Links, show_outcome
from prefect_llm_reports.tasks.reports.checking import CheckedBatch
from prefect_llm_reports.tasks.reports.progress_bar import ProgressBar
from prefect_llm_reports.tasks.reports.publishing import (
    publish_request,
    publish_run,
    publish_topics,
)
from prefect_llm_reports.tasks.reports.roster import Roster
from prefect_llm_reports.tasks.reports.summaries import Summaries
from prefect_llm_reports.tasks.reports.throttle import Throttle
from prefect_llm_reports.tasks.reports.tracing import traced
from prefect_llm_reports.tasks.results.killed import at_work
from prefect_llm_reports.tasks.results.manifests import new_run_id, sweep
from prefect_llm_reports.tasks.runtime.context import flow_run_here
from prefect_llm_reports.tasks.runtime.progress import Progress, progress_of_caller
from prefect_llm_reports.tasks.runtime.signals import Interruption
from prefect_llm_reports.tasks.text.figures import counted, outcome_text

logger = logging.getLogger(__name__)


class Frame:
    """The frame of one batch.

    Args:
        batch: The checked request.
        run_id: The run's directory.
        accounts: The run's calls, tokens and costs.

    Attributes:
        roster: The state of each topic.
        summaries: The summaries shown in the UI.
    """

    def __init__(self, batch: CheckedBatch, run_id: str, accounts: Accounts) -> None:
        plan, caller = batch.plan, progress_of_caller.get()
        self._batch = batch
        self._accounts = accounts
        self._progress = caller or Progress()
        self._interruption = Interruption(
            accounts.stop, caller.on_interrupt if caller else None, accounts.halt
        )
        self._result: BatchResult | None = None
        self._links = Links(plan.options.pages_url)
        self._bar = ProgressBar(self._progress)
        self._list = Throttle(least_s=1.0)
        self._log = get_run_logger()
        self.roster = Roster(batch, run_id, accounts, self._progress)
        self.summaries = Summaries(len(batch.topics), self._links)

    @classmethod
    async def begun(cls, batch: CheckedBatch, accounts: Accounts) -> Self:
        """Choose the run's directory, and write the list of topics there before any call."""
        place = batch.output
        run_id = await asyncio.to_thread(new_run_id, flow_run_here(), place)
        frame = cls(batch, run_id, accounts)
        frame._log.info(
            "%d topics, model %s, into %s", len(batch.topics), batch.plan.model, place.path(run_id)
        )
        for warning in batch.warnings:
            frame._log.warning(warning)
            logger.warning("%s", warning)  # on the terminal before any call
        await asyncio.to_thread(publish_request, batch, run_id)
        await asyncio.to_thread(publish_topics, place, frame.roster.result())
        await asyncio.to_thread(sweep, place)
        return frame

    @asynccontextmanager
    async def shown(self, lines: Sequence[Line] = ()) -> AsyncGenerator[None]:
        """Show the progress of the batch.

        Args:
            lines: The endpoints that this process calls.
        """
        batch, roster = self._batch, self.roster
        options, rounds = batch.plan.options, batch.plan.max_iterations
        grounded = batch.library is not None and batch.plan.model != OFFLINE
        calls = options.calls_a_topic(rounds, grounded=grounded)
        self._progress.begin(self._accounts.ledger, len(batch.topics), lines, calls_an_item=calls)
        async with (
            traced(batch.plan.options, roster.run_id, batch.topics, roster.result),
            self._bar.moving(),
        ):
            yield

    @contextmanager
    def heeded(self) -> Generator[None]:
        """Heed signals, and be known as a run at work, until batch.json is written."""
        with at_work(self._batch.output, self.roster.run_id), self._interruption.heeded():
            yield

    async def keep_list(self) -> None:
        """Bring topics.csv up to date; that takes a fiftieth of the time at most."""
        if not self._list.due:
            return
        with self._list.measured():
            try:
                await asyncio.to_thread(publish_topics, self._batch.output, self.roster.result())
            except StorageError as error:
                self._accounts.stop(error)

    async def conclude(self) -> None:
        """Write the run's pages, batch.json last, and show the outcome."""
        self._interruption.let_conclude()
        batch, result = self._batch, self.roster.result()
        try:
            templates = batch.plan.options.templates
            await asyncio.to_thread(publish_run, batch.output, result, self.roster.files, templates)
        except StorageError as error:
            self._accounts.stop(error)
            self.roster.unwritten = True
            self._log.error("the run's pages could not be written: %s", error)
            result = self.roster.result()
        self._progress.result = result
        for reason, count in _not_begun(result).items():
            self._log.warning("%s not begun: %s", counted(count, "topic"), reason)
        self._log.info("%s: %s", result.status, outcome_text(result))
        await asyncio.gather(
            self._bar.move(),
            self.summaries.show_together(result),
            show_outcome(result, self._links),
        )
        self._result = result

    async def close(self) -> BatchResult:
        """Return the result of a run that is concluded, or end by the signal that came."""
        assert self._result is not None
        await self._interruption.end()
        return self._result


def _not_begun(result: BatchResult) -> Counter[str]:
    """How many topics were not begun, by the reason."""
    errors = (report.error for report in result.reports if report.status == "not_started")
    return Counter(error.message.partition(" [request ")[0] for error in errors if error)
