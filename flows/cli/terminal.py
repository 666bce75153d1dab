"""One flow run followed on a terminal: live progress, interruption, lines that all runs share.

Not here: the lines of each kind of run (`flow_runs`), the run itself.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable
from pathlib import Path
from typing import Generic, TypeVar, cast

from prefect.settings import PREFECT_DEFAULT_RESULT_STORAGE_BLOCK, temporary_settings
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from prefect_llm_reports.flows.cli.interruption import ending
from prefect_llm_reports.flows.cli.progress_line import BAR, progress_line
from prefect_llm_reports.flows.cli.server import server_is_away
from prefect_llm_reports.tasks.contract.branch_results import (
    BranchBatchResult,
    BranchesResult,
)
from prefect_llm_reports.tasks.contract.money import cost_text
from prefect_llm_reports.tasks.contract.records import ErrorReport, shortened
from prefect_llm_reports.tasks.contract.reports import BatchResult
from prefect_llm_reports.tasks.inputs.problems import first
from prefect_llm_reports.tasks.runtime.progress import ItemResult, Progress, progress_of_caller
from prefect_llm_reports.tasks.runtime.signals import GRACE_S
from prefect_llm_reports.tasks.text.figures import (
    calls_text,
    counted,
)
from prefect_llm_reports.tasks.text.foreign import printable

Result = TypeVar("Result")
LOOK_S = 5.0
"""Seconds between two looks whether a server is there, once the result is written."""

DONE = "[green]✓[/]"

logger = logging.getLogger(__name__)


class Terminal(ABC, Generic[Result]):
    """Shows the progress of one flow run.

    Attributes:
        item: The word for an item of the run.
        interrupted: Number of the signal that interrupted the run, or 0.
        server_away: The Prefect server did not take the end of the run.
        failed: A line for each item that failed, with the reason.
    """

    item = ""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.progress = Progress(on_report=self._show, on_interrupt=self._interrupt)
        self.began = time.monotonic()
        self.interrupted = 0
        self.server_away = False
        self.failed: list[str] = []

    async def run(self, flow: Awaitable[Result]) -> tuple[Result, int]:
        """Run the flow until it ends or is interrupted."""
        token = progress_of_caller.set(self.progress)
        try:
            # Nothing of ours is kept there, and a block that is gone would end the run.
            with temporary_settings(restore_defaults={PREFECT_DEFAULT_RESULT_STORAGE_BLOCK}):
                running = asyncio.ensure_future(flow)
            if self.console.is_terminal:
                line = self._shown_line
                with Live(get_renderable=line, console=self.console, refresh_per_second=4):
                    result = await self._result(running)
            else:
                result = await self._result(running)
        finally:
            progress_of_caller.reset(token)
        self._close(result)
        if self.server_away:
            self._say(
                "[yellow]The Prefect server went away: its UI lacks the run's end and what it last"
                " did. The files above are complete.[/]"
            )
        return result, self.interrupted

    async def _result(self, running: asyncio.Future[Result]) -> Result:
        """Wait for the result; not for a Prefect server that went away after it was written."""
        try:
            while not (await asyncio.wait({running}, timeout=LOOK_S))[0]:
                if self.progress.result is None:
                    continue
                if not await asyncio.to_thread(server_is_away):
                    continue
                running.cancel()
                await asyncio.wait({running}, timeout=LOOK_S)
                break
            return running.result()
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if self.progress.result is None or (current and current.cancelling()):
                running.cancel()
                raise
        except Exception as error:  # any error: the files are written
            if self.progress.result is None:
                raise
            logger.debug("Prefect failed after the result was written", exc_info=error)
        self.server_away = ending.abrupt = True
        return cast("Result", self.progress.result)

    def _interrupt(self, number: int) -> None:
        if not ending.requested(number):
            return
        self.interrupted = number
        name = signal.Signals(number).name
        self._say(
            f"[yellow]{name}: no new calls; waiting up to {GRACE_S} s for those under way"
            " (press Ctrl-C again to end at once)[/]"
        )

    def _say(self, markup: str) -> None:
        self.console.print(printable(markup, keep="\n"), soft_wrap=True)

    def _shown_line(self) -> Text:
        try:
            return self._line()
        except Exception as error:  # any error: the run goes on without progress
            return Text(f"progress cannot be shown ({type(error).__name__})")

    def _line(self) -> Text:
        elapsed = time.monotonic() - self.began
        bar, said = progress_line(self.progress, self.item, elapsed, self.console.width)
        return Text.assemble((f"{bar:<{BAR}} ", "green"), said, no_wrap=True)

    def _at(self, name: str) -> str:
        return escape(f"[{len(self.progress.done)}/{self.progress.total}] ") + named(name)

    def _say_failed(self, result: BatchResult | BranchBatchResult) -> None:
        """Show once more, at the end, what failed and why: the first lines may be gone.

        What stopped the run is said of the whole run.
        """
        cause = escape(stopped_by(result))
        failed = [line for line in self.failed if cause not in line]
        if self.progress.total > 1 and failed:
            self._say(f"[red]{counted(len(failed), self.item)} failed:[/]")
            for line in first(failed):
                self._say(f"  {line}")

    def _figures(self, result: BatchResult | BranchBatchResult | BranchesResult) -> str:
        usage = result.usage
        return (
            f"in {result.duration_s:.1f} s: {calls_text(result.calls)};"
            f" {usage.input_tokens:,} tokens in, {usage.output_tokens:,} out;"
            f" {cost_text(result.cost_usd)}"
        )

    def _say_problems(self, result: BatchResult | BranchBatchResult) -> None:
        for warning in result.warnings:
            self._say(f"[yellow]warning:[/] {escape(warning)}")
        if result.error:
            self._say(f"[red]stopped:[/] {escape(result.error.message)}")

    def _say_page(self, result: BatchResult | BranchBatchResult) -> None:
        """Name the run's page, unless its folder is away."""
        page = f"{result.run_directory}/index.html"
        if "://" in page or Path(page).exists():
            self._say(escape(page))

    @abstractmethod
    def _show(self, item: ItemResult) -> None:
        """Show the result of one item."""

    @abstractmethod
    def _close(self, result: Result) -> None:
        """Show the result of the run."""


def stopped_by(result: BatchResult | BranchBatchResult) -> str:
    """The error that stopped a run, without the request; a text that is in no other: nothing did.

    Args:
        result: The run's result.
    """
    return result.error.message.partition(" [request ")[0] if result.error else "\0"


def named(item: str) -> str:
    """A topic or an input, fit for a line of the terminal.

    Args:
        item: Its text.
    """
    return escape(shortened(item, 90))


def with_step(error: ErrorReport) -> str:
    """An error's message, after the step in which it happened.

    Args:
        error: The error.
    """
    return escape(f"{error.step}: {error.message}" if error.step else error.message)
