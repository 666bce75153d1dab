"""One run of a batch in one process: the flow's access to its parts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

from prefect.futures import PrefectFuture

from prefect_llm_reports.tasks.contract.reports import BatchResult
from prefect_llm_reports.tasks.contract.settings import Settings
from prefect_llm_reports.tasks.reports.accounts import OwnAccounts
from prefect_llm_reports.tasks.reports.checking import CheckedBatch
from prefect_llm_reports.tasks.reports.finishing import Finishing
from prefect_llm_reports.tasks.reports.frame import Frame


class BatchRun:
    """One run over all topics of a batch.

    Args:
        frame: Directory, artifacts and signals of the run.
        finishing: Finishes the topics as they are refined.
    """

    def __init__(self, frame: Frame, finishing: Finishing) -> None:
        self._frame = frame
        self._finishing = finishing

    @classmethod
    @asynccontextmanager
    async def opened(cls, batch: CheckedBatch, settings: Settings) -> AsyncGenerator[Self]:
        """Begin a run, open session and store for its tasks, and write its pages at the end.

        Args:
            batch: The checked request.
            settings: The environment.
        """
        options = batch.plan.options
        accounts = OwnAccounts(batch, settings, options)
        frame = await Frame.begun(batch, accounts)
        finishing = Finishing(
            frame.roster,
            accounts,
            options.concurrency,
            summaries=frame.summaries,
            settled=frame.keep_list,
        )
        finishing.hold_back_refining()
        with frame.heeded():
            async with (
                accounts.opened(days=options.store_days, refresh=options.refresh),
                frame.shown(accounts.session.lines),
            ):
                yield cls(frame, finishing)
            await frame.conclude()

    async def approved(
        self, refining: Sequence[PrefectFuture[Any]]
    ) -> Sequence[PrefectFuture[Any]]:
        """Hold the finished reports until a person has decided on them."""
        return await self._finishing.reviewed(refining)

    async def finish_all(self, refining: Sequence[PrefectFuture[Any]]) -> None:
        """Finish every topic by itself, as soon as it is refined."""
        await self._finishing.finish_all(refining)

    async def close(self) -> BatchResult:
        """Return the result, or end by the signal that came."""
        return await self._frame.close()
