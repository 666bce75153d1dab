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

PROGRESS_KEY = "report-batch-progress"
PROGRAM_KEY = "report-batch-program"
PACE_S = 2.0
"""Seconds between two moves of the bar, at least."""
MOST_OF_A_TOPIC = 0.95
"""Share of a topic that calls alone can finish; the rest is its publication."""


class ProgressBar:
    """The progress bar of one run.

    Args:
        progress: The run's progress.
        calls_a_topic: Calls that a topic takes at most; an unfinished topic counts by its calls.
    """

    def __init__(self, progress: Progress, calls_a_topic: int) -> None:
        self._progress = progress
        self._calls_a_topic = calls_a_topic
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
            await move_progress(self._bar, self._percent(), self._said())

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

    def _percent(self) -> float:
        progress = self._progress
        if not progress.total:
            return 0.0
        done = len(progress.done)
        answered = 0.0
        if progress.ledger and done < progress.total:
            finished = {item.slug for item in progress.done}
            for slug, spent in progress.ledger.items.items():
                if slug not in finished:
                    share = (spent.made + spent.cached) / self._calls_a_topic
                    answered += min(share, MOST_OF_A_TOPIC)
        return round(100 * (done + answered) / progress.total, 1)

    def _said(self) -> str:
        progress = self._progress
        said = f"{len(progress.done)} of {progress.total} topics done"
        if progress.ledger:
            spent = progress.ledger.total
            said += f"; {spent.made} calls made, {spent.cached} cached; {cost_text(spent.cost_usd)}"
        return said
