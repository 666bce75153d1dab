"""Each kind of flow run from a terminal: how it is started, the lines of its items and its result.

Not here: progress and interruption (`terminal`), the answer of branches as text (`answers`).
"""

from __future__ import annotations

import logging
import threading
from importlib import import_module
from typing import Any, cast

from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape

from prefect_llm_reports.flows.cli.interruption import ending
from prefect_llm_reports.flows.cli.server import reach_server
from prefect_llm_reports.flows.cli.terminal import (
    DONE,
    Result,
    Terminal,
    named,
    stopped_by,
    with_step,
)
from prefect_llm_reports.tasks.contract.branch_results import (
    BranchBatchResult,
    BranchesResult,
    InquiryResult,
)
from prefect_llm_reports.tasks.contract.money import cost_text
from prefect_llm_reports.tasks.contract.reports import BatchResult, ReportResult
from prefect_llm_reports.tasks.llm.client import import_client
from prefect_llm_reports.tasks.runtime.logs import as_text
from prefect_llm_reports.tasks.runtime.progress import ItemResult
from prefect_llm_reports.tasks.text.figures import below_threshold, counted, published_text


def run_batch(request: dict[str, Any]) -> tuple[BatchResult, int]:
    """Run the flow `report_batch` with these parameters; see `_run`."""
    return _run(_Reports, "report_batch", request)


def run_branches(request: dict[str, Any]) -> tuple[BranchesResult, int]:
    """Run the flow `parallel_branches` with these parameters; see `_run`."""
    return _run(_Branches, "parallel_branches", request)


def run_branch_batch(request: dict[str, Any]) -> tuple[BranchBatchResult, int]:
    """Run the flow `branch_batch` with these parameters; see `_run`."""
    return _run(_Inquiries, "branch_batch", request)


def _run(
    terminal: type[Terminal[Result]], flow: str, request: dict[str, Any]
) -> tuple[Result, int]:
    """Run a flow in this process once a Prefect API answers, with progress on stderr.

    Args:
        terminal: Shows the progress and the result.
        flow: The flow's name in `prefect_llm_reports.flows`.
        request: The flow's parameters.

    Returns:
        The result, and the number of the signal that interrupted the run, or 0.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    _show_warnings(console)
    # While the server is awaited. No daemon: one that is ended while it loads a compiled module
    # brings the whole process down.
    threading.Thread(target=import_client, name="imports", daemon=False).start()
    reach_server(console)
    run_flow = getattr(import_module("prefect_llm_reports.flows"), flow)
    return ending.run(terminal(console).run(run_flow(**request)))


def _show_warnings(console: Console) -> None:
    """Show warnings of the tasks; the run's log in the UI has the other lines."""
    handler = RichHandler(
        logging.WARNING, console, show_time=False, show_path=False, show_level=True
    )
    handler.addFilter(as_text)
    logging.getLogger("prefect_llm_reports").addHandler(handler)


class _Reports(Terminal[BatchResult]):
    item = "topic"

    def _show(self, item: ItemResult) -> None:
        report = cast("ReportResult", item)
        at = self._at(report.topic)
        if report.status == "published":
            stop = (report.stop_reason or "").replace("_", " ")
            low = below_threshold([report]) > 0
            mark, stop = ("[yellow]![/]", f"below the threshold ({stop})") if low else (DONE, stop)
            score = "no score" if report.score is None else f"score {report.score:g}"
            self._say(
                f"{mark} {at}: {stop}, {score} after {counted(report.iterations, 'critique')},"
                f" {cost_text(report.cost_usd)}"
            )
        elif report.status == "held_back" and report.error:
            self._say(f"[yellow]·[/] {at}: {escape(report.error.message)}")
        elif report.status == "failed" and report.error:
            self.failed.append(f"{named(report.topic)}: {with_step(report.error)}")
            self._say(f"[red]✗[/] {at}: {with_step(report.error)}")

    def _say_unfinished(self, result: BatchResult) -> None:
        """Show the topics that were not begun or not finished, those with one reason in a line.

        What stopped the run is said elsewhere.
        """
        reasons: dict[str, list[ReportResult]] = {}
        for report in result.reports:
            if report.status == "not_started" and report.error:
                reason = report.error.message.partition(" [request ")[0]
                why = "" if stopped_by(result) in reason else f": {escape(reason)}"
                reasons.setdefault(why, []).append(report)
        for why, reports in reasons.items():
            several = f"{len(reports):,} topics without a report"
            what = several if len(reports) > 1 else self._at(reports[0].topic)
            self._say(f"[yellow]·[/] {what}{why}")

    def _close(self, result: BatchResult) -> None:
        self._say_failed(result)
        self._say_unfinished(result)
        self._say_problems(result)
        self._say(f"{published_text(result)} {self._figures(result)}")
        self._say_page(result)
        if result.status != "complete":
            self._say("Run the same command again to continue; paid answers are used again.")


class _Inquiries(Terminal[BranchBatchResult]):
    item = "input"

    def _show(self, item: ItemResult) -> None:
        found = cast("InquiryResult", item)
        mark = {"complete": DONE, "partial": "[yellow]![/]"}.get(found.status, "[red]✗[/]")
        reasons = [with_step(found.error)] if found.error else []
        reasons += [f"{escape(name)}: {with_step(why)}" for name, why in found.errors.items()]
        said = f": {'; '.join(reasons)}" if reasons else ""
        if found.status == "failed":
            self.failed.append(f"{named(found.query)}{said}")
        self._say(f"{mark} {self._at(found.query)}: {found.answered} answered{said}")

    def _close(self, result: BranchBatchResult) -> None:
        self._say_failed(result)
        self._say_problems(result)
        done = sum(item.status == "complete" for item in result.inquiries)
        count = f"{done} of {counted(len(result.inquiries), 'input')} complete"
        self._say(f"{count} {self._figures(result)}")
        self._say_page(result)
        if done < len(result.inquiries):
            self._say("Run the same command again to continue; paid answers are used again.")


class _Branches(Terminal[BranchesResult]):
    item = "input"

    def _show(self, item: ItemResult) -> None:
        """Do nothing: the whole input is shown at the end."""

    def _close(self, result: BranchesResult) -> None:
        for warning in result.warnings:
            self._say(f"[yellow]warning:[/] {escape(warning)}")
        for output in result.outputs:
            if output.status == "answered":
                continue
            mark = "[red]✗[/]" if output.status == "failed" else "[yellow]·[/]"
            why = f": {with_step(output.error)}" if output.error else ""
            self._say(f"{mark} {escape(output.name)}: {output.status.replace('_', ' ')}{why}")
        if result.error:
            self._say(f"[red]not merged:[/] {escape(result.error.message)}")
        self._say(f"{result.status} {self._figures(result)}")
