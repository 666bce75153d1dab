"""The frame of a batch: what every batch has around its reports, split or not.

Here: its directory with the list of topics and the pages, its artifacts, the signals it heeds. Not
here: the reports themselves (`finishing`, `shards.gathering`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Self

from prefect import get_run_logger

from prefect_llm_reports.tasks.contract.errors import StorageError
from prefect_llm_reports.tasks.contract.reports import BatchResult
from prefect_llm_reports.tasks.contract.settings import Settings
from prefect_llm_reports.tasks.llm.line import Line
from prefect_llm_reports.tasks.reports.accounts import Accounts
from prefect_llm_reports.tasks.reports.artifacts import Links, show_outcome
from prefect_llm_reports.tasks.reports.checking import CheckedBatch
from prefect_llm_reports.tasks.reports.progress_bar import ProgressBar
from prefect_llm_reports.tasks.reports.publishing import publish_run, publish_topics
from prefect_llm_reports.tasks.reports.roster import Roster
from prefect_llm_reports.tasks.reports.summaries import Summaries
from prefect_llm_reports.tasks.reports.throttle import Throttle
from prefect_llm_reports.tasks.results.manifests import new_run_id, sweep
from prefect_llm_reports.tasks.runtime.context import flow_run_here
from prefect_llm_reports.tasks.runtime.progress import Progress, progress_of_caller
from prefect_llm_reports.tasks.runtime.signals import Interruption
from prefect_llm_reports.tasks.text.figures import outcome_text


class Frame:
    """The frame of one batch.

    Args:
        batch: What to do.
        settings: The environment.
        run_id: The run's directory.
        accounts: What the run uses and pays.

    Attributes:
        roster: What has become of each topic.
        summaries: The summaries shown in the UI.
    """

    def __init__(
        self, batch: CheckedBatch, settings: Settings, run_id: str, accounts: Accounts
    ) -> None:
        plan, caller = batch.plan, progress_of_caller.get()
        self._batch = batch
        self._accounts = accounts
        self._progress = caller or Progress()
        self._interruption = Interruption(accounts.stop, caller.on_interrupt if caller else None)
        self._links = Links(plan.options.pages_url or settings.pages_url)
        self._bar = ProgressBar(self._progress, plan.options.calls_a_topic(plan.max_iterations))
        self._list = Throttle(least_s=1.0)
        self._log = get_run_logger()
        self.roster = Roster(batch, run_id, accounts, self._progress)
        self.summaries = Summaries(len(batch.topics), self._links)

    @classmethod
    async def begun(cls, batch: CheckedBatch, settings: Settings, accounts: Accounts) -> Self:
        """Choose the run's directory, and write the list of topics there before any call."""
        place = batch.output
        run_id = await asyncio.to_thread(new_run_id, flow_run_here(), place)
        frame = cls(batch, settings, run_id, accounts)
        frame._log.info(
            "%d topics, model %s, into %s", len(batch.topics), batch.plan.model, place.path(run_id)
        )
        for warning in batch.warnings:
            frame._log.warning(warning)
        await asyncio.to_thread(publish_topics, place, frame.roster.result())
        await asyncio.to_thread(sweep, place)
        return frame

    @asynccontextmanager
    async def shown(self, lines: Sequence[Line] = ()) -> AsyncGenerator[None]:
        """Show the progress of the batch, and heed signals.

        Args:
            lines: The endpoints that this process calls.
        """
        self._progress.begin(self._accounts.ledger, len(self._batch.topics), lines)
        async with self._bar.moving():
            with self._interruption.heeded():
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

    async def close(self) -> BatchResult:
        """Write the run's pages, batch.json last, show the outcome, and return it."""
        batch, result = self._batch, self.roster.result()
        try:
            templates = batch.plan.options.templates
            await asyncio.to_thread(publish_run, batch.output, result, self.roster.files, templates)
        except StorageError as error:
            self._accounts.stop(error)
            self._log.error("the run's pages could not be written: %s", error)
            result = self.roster.result()
        self._log.info("%s: %s", result.status, outcome_text(result))
        await asyncio.gather(
            self._bar.move(),
            self.summaries.show_together(result),
            show_outcome(result, self._links),
        )
        await self._interruption.end()
        return result
