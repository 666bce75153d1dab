"""A flow run from a terminal: live progress, interruption, closing lines.

Not here: the run itself.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable
from typing import Any, Generic, TypeVar, cast

from rich.console import Console
from rich.live import Live
from rich.logging import RichHandler
from rich.markup import escape
from rich.text import Text

from prefect_llm_reports.flows.cli.server import reach_server
from prefect_llm_reports.tasks.contract.branch_results import (
    BranchBatchResult,
    BranchesResult,
    InquiryResult,
)
from prefect_llm_reports.tasks.contract.money import cost_text
from prefect_llm_reports.tasks.contract.reports import BatchResult, ReportResult
from prefect_llm_reports.tasks.llm.client import import_client
from prefect_llm_reports.tasks.runtime.progress import ItemResult, Progress, progress_of_caller
from prefect_llm_reports.tasks.runtime.signals import GRACE_S
from prefect_llm_reports.tasks.text.figures import calls_text

Result = TypeVar("Result")


def run_batch(request: dict[str, Any]) -> tuple[BatchResult, int]:
    """Run a batch of reports in this process, with progress on stderr.

    Args:
        request: Parameters of the flow `report_batch`.

    Returns:
        The result, and the number of the signal that interrupted the run, or 0.
    """
    console = _console()
    from prefect_llm_reports.flows.reports import report_batch

    return asyncio.run(_Reports(console).run(cast("Any", report_batch)(**request)))


def run_branches(request: dict[str, Any]) -> tuple[BranchesResult, int]:
    """Ask branches about one input in this process, with progress on stderr.

    Args:
        request: Parameters of the flow `parallel_branches`.

    Returns:
        The result, and the number of the signal that interrupted the run, or 0.
    """
    console = _console()
    from prefect_llm_reports.flows.branches import parallel_branches

    return asyncio.run(_Branches(console).run(cast("Any", parallel_branches)(**request)))


def run_branch_batch(request: dict[str, Any]) -> tuple[BranchBatchResult, int]:
    """Ask branches about many inputs in this process, with progress on stderr.

    Args:
        request: Parameters of the flow `branch_batch`.

    Returns:
        The result, and the number of the signal that interrupted the run, or 0.
    """
    console = _console()
    from prefect_llm_reports.flows.branches import branch_batch

    return asyncio.run(_Inquiries(console).run(cast("Any", branch_batch)(**request)))


def _console() -> Console:
    """Wait until a Prefect API answers; returns the terminal."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    _show_warnings(console)
    threading.Thread(target=import_client, name="imports").start()  # while the server is awaited
    reach_server(console)
    return console


def _show_warnings(console: Console) -> None:
    """Show warnings of the tasks; the run's log in the UI has the other lines."""
    handler = RichHandler(
        logging.WARNING, console, show_time=False, show_path=False, show_level=True
    )
    logging.getLogger("prefect_llm_reports").addHandler(handler)


class _Terminal(ABC, Generic[Result]):
    """Shows the progress of one flow run.

    Attributes:
        items: The word for the items of the run.
        interrupted: Number of the signal that interrupted the run, or 0.
    """

    items = ""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.progress = Progress(on_report=self._show, on_interrupt=self._interrupt)
        self.began = time.monotonic()
        self.interrupted = 0

    async def run(self, flow: Awaitable[Result]) -> tuple[Result, int]:
        """Run the flow until it ends or is interrupted."""
        token = progress_of_caller.set(self.progress)
        try:
            running = asyncio.ensure_future(flow)
            if self.console.is_terminal:
                with Live(get_renderable=self._line, console=self.console, refresh_per_second=4):
                    result = await running
            else:
                result = await running
        except asyncio.CancelledError:
            if not self.interrupted:
                raise
            sys.exit(128 + self.interrupted)
        finally:
            progress_of_caller.reset(token)
        self._close(result)
        return result, self.interrupted

    def _interrupt(self, number: int) -> None:
        self.interrupted = number
        name = signal.Signals(number).name
        self._say(f"[yellow]{name}: no new calls; waiting up to {GRACE_S} s for those under way[/]")

    def _say(self, markup: str) -> None:
        self.console.print(markup, soft_wrap=True)

    def _line(self) -> Text:
        progress, ledger = self.progress, self.progress.ledger
        elapsed = time.monotonic() - self.began
        if ledger is None:
            return Text(f"preparing … {elapsed:.0f} s")
        spent, pace = ledger.total, progress.lines[0].pace if progress.lines else None
        at_once = f"{pace.in_flight} under way (of {pace.limit.allowed} allowed)" if pace else ""
        under_way = f", {at_once}" if at_once else ""
        if waits_for := next(filter(None, (line.waits_for for line in progress.lines)), ""):
            under_way += f", {escape(waits_for)}"
        tokens = spent.usage.input_tokens + spent.usage.output_tokens
        bar = "━" * round(20 * len(progress.done) / max(1, progress.total))
        return Text.from_markup(
            f"[green]{bar:<20}[/] {len(progress.done)}/{progress.total} {self.items} · calls"
            f" {spent.made} made, {spent.cached} cached{under_way} · {tokens:,} tokens ·"
            f" {cost_text(spent.cost_usd)} · {elapsed:.0f} s"
        )

    def _at(self, name: str) -> str:
        at = f"[{len(self.progress.done)}/{self.progress.total}] {' '.join(name.split())}"
        return escape(at if len(at) <= 100 else f"{at[:99]}…")

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

    @abstractmethod
    def _show(self, item: ItemResult) -> None:
        """Show the result of one item."""

    @abstractmethod
    def _close(self, result: Result) -> None:
        """Show the result of the run."""


class _Reports(_Terminal[BatchResult]):
    items = "topics"

    def _show(self, item: ItemResult) -> None:
        report = cast("ReportResult", item)
        at = self._at(report.topic)
        if report.status == "published":
            stop = (report.stop_reason or "").replace("_", " ")
            self._say(
                f"[green]✓[/] {at}: {stop}, score {report.score:g} after {report.iterations}"
                f" critiques, {cost_text(report.cost_usd)}"
            )
        elif report.error:
            mark = "[red]✗[/]" if report.status == "failed" else "[yellow]·[/]"
            self._say(f"{mark} {at}: {escape(report.error.message)}")

    def _close(self, result: BatchResult) -> None:
        published = sum(report.status == "published" for report in result.reports)
        self._say_problems(result)
        count = f"{published} of {len(result.reports)} reports published"
        self._say(f"{count} {self._figures(result)}")
        self._say(escape(f"{result.run_directory}/index.html"))
        if published < len(result.reports):
            self._say("Run the same command again to continue; paid answers are used again.")


class _Inquiries(_Terminal[BranchBatchResult]):
    items = "inputs"

    def _show(self, item: ItemResult) -> None:
        found = cast("InquiryResult", item)
        mark = {"complete": "[green]✓[/]", "partial": "[yellow]✓[/]"}.get(found.status, "[red]✗[/]")
        said = f": {escape(found.error.message)}" if found.error else ""
        self._say(f"{mark} {self._at(found.query)}: {found.answered} answered{said}")

    def _close(self, result: BranchBatchResult) -> None:
        self._say_problems(result)
        done = sum(item.status == "complete" for item in result.inquiries)
        count = f"{done} of {len(result.inquiries)} inputs complete"
        self._say(f"{count} {self._figures(result)}")
        self._say(escape(f"{result.run_directory}/index.html"))
        if done < len(result.inquiries):
            self._say("Run the same command again to continue; paid answers are used again.")


class _Branches(_Terminal[BranchesResult]):
    items = "inputs"

    def _show(self, item: ItemResult) -> None:
        """Do nothing: the whole input is shown at the end."""

    def _close(self, result: BranchesResult) -> None:
        for warning in result.warnings:
            self._say(f"[yellow]warning:[/] {escape(warning)}")
        for output in result.outputs:
            mark = "[green]✓[/]" if output.status == "answered" else "[yellow]·[/]"
            said = output.status.replace("_", " ")
            if output.status == "failed":
                mark = "[red]✗[/]"
            if output.error:
                said += f": {output.error.message}"
            self._say(f"{mark} {escape(output.name)}: {escape(said)}")
        if result.error:
            self._say(f"[red]not merged:[/] {escape(result.error.message)}")
        if result.winner:
            self._say(f"chosen: {escape(result.winner)}")
        self._say(f"{result.status} {self._figures(result)}")
