"""A batch run from a terminal: the Prefect server, live progress, interruption, closing lines."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
import urllib.error
import urllib.request
from typing import Any

from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import get_current_settings
from rich.console import Console
from rich.live import Live
from rich.logging import RichHandler
from rich.markup import escape
from rich.text import Text

from flows.batch import report_batch
from tasks.environment import PREFECT_DEFAULTS
from tasks.errors import ServerUnreachable
from tasks.interruption import GRACE_S
from tasks.progress import Progress, progress_of_caller
from tasks.schemas import BatchResult, ReportResult


def run_batch(request: dict[str, Any]) -> tuple[BatchResult, int]:
    """Run a batch in this process, shown on stderr.

    Args:
        request: Parameters of the flow `report_batch`.

    Returns:
        The result, and the number of the signal that interrupted the run, or 0.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    _show_warnings(console)
    _reach_server(console)
    return asyncio.run(_Terminal(console).run(request))


def _show_warnings(console: Console) -> None:
    """Show what the tasks warn of; everything else is in the run's log in the UI."""
    handler = RichHandler(
        logging.WARNING, console, show_time=False, show_path=False, show_level=True
    )
    logging.getLogger("tasks").addHandler(handler)


def _reach_server(console: Console) -> None:
    """Make sure that a Prefect API answers before anything else is done.

    Raises:
        ServerUnreachable: The configured API does not answer.
    """
    url = get_current_settings().api.url
    if url is None:
        doing = (
            "Starting the embedded Prefect server (the first start on a machine makes its"
            " database and takes up to a minute) …"
        )
        if not console.is_terminal:
            console.print(doing)
        with console.status(doing):
            timeout = PREFECT_DEFAULTS["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"]
            SubprocessASGIServer().start(int(timeout))
        return
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=5):  # noqa: S310
            pass
    except urllib.error.HTTPError as answered:
        answered.close()  # whoever answers, even with 401, is there
    except (OSError, ValueError) as error:
        raise ServerUnreachable(
            f"the Prefect API at {url} does not answer ({getattr(error, 'reason', error)}); start"
            " one with `prefect server start`, or unset PREFECT_API_URL (`prefect config unset"
            " PREFECT_API_URL`) to use the embedded server"
        ) from None


class _Terminal:
    def __init__(self, console: Console) -> None:
        self.console = console
        self.progress = Progress(on_report=self._show, on_interrupt=self._interrupt)
        self.began = time.monotonic()
        self.interrupted = 0

    async def run(self, request: dict[str, Any]) -> tuple[BatchResult, int]:
        token = progress_of_caller.set(self.progress)
        try:
            flow: Any = report_batch(**request)
            running: asyncio.Task[BatchResult] = asyncio.ensure_future(flow)
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
        progress, session = self.progress, self.progress.session
        elapsed = time.monotonic() - self.began
        if session is None:
            return Text(f"preparing … {elapsed:.0f} s")
        spent, pace = session.ledger.total, session.lines[0].pace if session.lines else None
        under_way = f", {pace.in_flight} under way (of {pace.allowed} allowed)" if pace else ""
        tokens = spent.usage.input_tokens + spent.usage.output_tokens
        bar = "━" * round(20 * len(progress.done) / max(1, progress.total))
        return Text.from_markup(
            f"[green]{bar:<20}[/] {len(progress.done)}/{progress.total} topics · calls"
            f" {spent.made} made, {spent.cached} cached{under_way} · {tokens:,} tokens ·"
            f" {_cost(spent.cost_usd)} · {elapsed:.0f} s"
        )

    def _show(self, report: ReportResult) -> None:
        at = f"[{len(self.progress.done)}/{self.progress.total}] {report.topic}"
        at = escape(at if len(at) <= 100 else f"{at[:99]}…")
        if report.status == "published":
            stop = (report.stop_reason or "").replace("_", " ")
            self._say(
                f"[green]✓[/] {at}: {stop}, score {report.score:g} after {report.iterations}"
                f" critiques, {_cost(report.cost_usd)}"
            )
        elif report.error:
            mark = "[red]✗[/]" if report.status == "failed" else "[yellow]·[/]"
            self._say(f"{mark} {at}: {escape(report.error.message)}")

    def _close(self, result: BatchResult) -> None:
        published = sum(report.status == "published" for report in result.reports)
        calls, usage = result.calls, result.usage
        for warning in result.warnings:
            self._say(f"[yellow]warning:[/] {escape(warning)}")
        if result.error:
            self._say(f"[red]stopped:[/] {escape(result.error.message)}")
        self._say(
            f"{published} of {len(result.reports)} reports published in {result.duration_s:.1f} s:"
            f" {calls.made} calls made, {calls.cached} cached, {calls.retried} retried;"
            f" {usage.input_tokens:,} tokens in, {usage.output_tokens:,} out;"
            f" {_cost(result.cost_usd)}"
        )
        self._say(escape(f"{result.run_directory}/index.html"))
        if published < len(result.reports):
            self._say("Run the same command again to go on; paid answers are used again.")


def _cost(usd: Any) -> str:
    return "cost unknown" if usd is None else f"${usd:.4f}"
