"""The progress bar of a batch in the Prefect UI, and the picture of its flow beside it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from uuid import UUID

from prefect_llm_reports.tasks.contract.money import cost_text
from prefect_llm_reports.tasks.reports.drawing import draw_reports
from prefect_llm_reports.tasks.reports.throttle import SHARE
from prefect_llm_reports.tasks.runtime.artifacts import begin_progress, move_progress, show_picture
from prefect_llm_reports.tasks.runtime.progress import Progress
from prefect_llm_reports.tasks.text.figures import counted

PROGRESS_KEY = "report-batch-progress"
PROGRAM_KEY = "report-batch-program"
PACE_S = 2.0
"""Seconds between two moves of the bar, at least."""


class ProgressBar:
    """The progress bar of one run.

    Args:
        progress: The run's progress.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bar: UUID | None = None

    @asynccontextmanager
    async def moving(self) -> AsyncGenerator[None]:
        """Move the bar while the batch runs; that takes a fiftieth of the time at most."""
        begun = asyncio.create_task(self._begin())
        mover = asyncio.create_task(self._keep_moving())
        try:
            yield
        finally:
            mover.cancel()
            with suppress(asyncio.CancelledError):
                await mover
            await begun

    async def move(self) -> None:
        """Move the bar to where the batch is now."""
        if self._bar is not None:
            await move_progress(self._bar, round(100 * self._progress.share, 1), self._said())

    async def _begin(self) -> None:
        _, self._bar = await asyncio.gather(
            show_picture(
                PROGRAM_KEY,
                draw_reports(),
                "The report flow: draft, critique, revise, summary, result directory",
                "What this flow does with each topic.",
            ),
            begin_progress(PROGRESS_KEY, self._said()),
        )

    async def _keep_moving(self) -> None:
        wait = PACE_S
        while True:
            await asyncio.sleep(wait)
            began = time.monotonic()
            await self.move()
            wait = max(PACE_S, SHARE * (time.monotonic() - began))

    def _said(self) -> str:
        progress = self._progress
        said = f"{len(progress.done)} of {counted(progress.total, 'topic')} done"
        if progress.ledger:
            spent = progress.ledger.total
            said += f"; {counted(spent.made, 'call')} made, {spent.cached} cached;"
            said += f" {cost_text(spent.cost_usd)}"
        return said
