"""What a batch of reports shows in the Prefect UI: progress, topics, summaries, its outcome."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

from prefect_llm_reports.tasks.contract.money import cost_text
from prefect_llm_reports.tasks.contract.reports import BatchResult, ReportResult
from prefect_llm_reports.tasks.reports.drawing import draw_reports
from prefect_llm_reports.tasks.runtime.artifacts import (
    begin_progress,
    move_progress,
    show_markdown,
    show_picture,
    show_table,
)
from prefect_llm_reports.tasks.runtime.progress import Progress
from prefect_llm_reports.tasks.runtime.states import counts
from prefect_llm_reports.tasks.text.markdown import escaped, one_line

PROGRESS_KEY = "report-batch-progress"
TOPICS_KEY = "report-batch-topics"
RESULT_KEY = "report-batch-result"
PROGRAM_KEY = "report-batch-program"
MOST_ROWS = 300
"""Topics in the table; those without a report come first, and topics.csv has all. A thousand rows
would take the UI ten seconds to show."""
SUMMARIES_KEY = "report-batch-summaries"
MOST_ALONE = 20
"""Topics up to which each summary is an artifact by itself; of more, all are in one."""
MOST_SUMMARIES = 100
"""Summaries that one run shows; of larger batches the pages are the place to read."""
MOST_FAILURES = 20
MOST_LINKS = 100
"""Reports that are linked from the outcome; all are on the run's page."""
PACE_S = 2.0
"""Seconds between two moves of the progress bar, at least."""


class RunArtifacts:
    """The artifacts of one run.

    Args:
        progress: The batch on its way.
        calls_a_topic: Calls that a topic takes at most; they tell how far an unfinished one is.
        pages_url: Address at which the output folder is served; None: it is not.
        summaries: Show summaries.
    """

    def __init__(
        self,
        progress: Progress,
        calls_a_topic: int,
        pages_url: str | None,
        *,
        summaries: bool = True,
    ) -> None:
        self._progress = progress
        self._calls_a_topic = calls_a_topic
        self._pages_url = pages_url.rstrip("/") if pages_url else None
        self._summaries = summaries
        self._together: dict[str, str] = {}
        self._bar: UUID | None = None

    @asynccontextmanager
    async def moving(self) -> AsyncGenerator[None]:
        """Keep a progress bar moving; it takes at most a fiftieth of the time."""
        begun = asyncio.create_task(self._begin())
        mover = asyncio.create_task(self._keep_moving())
        try:
            yield
        finally:
            mover.cancel()
            with suppress(asyncio.CancelledError):
                await mover
            await begun

    async def _begin(self) -> None:
        """Show the program, and the bar before anything is done."""
        _, self._bar = await asyncio.gather(
            show_picture(
                PROGRAM_KEY,
                draw_reports(),
                "The report flow: draft, critique, revise, summary, result directory",
                "What this flow does with each topic.",
            ),
            begin_progress(PROGRESS_KEY, self._said()),
        )

    async def _move(self) -> None:
        if self._bar is not None:
            await move_progress(self._bar, self._percent(), self._said())

    async def _keep_moving(self) -> None:
        wait = PACE_S
        while True:
            await asyncio.sleep(wait)
            began = time.monotonic()
            await self._move()
            wait = max(PACE_S, 50 * (time.monotonic() - began))

    def _percent(self) -> float:
        progress = self._progress
        if not progress.total:
            return 0.0
        done = len(progress.done)
        answered = 0.0
        if progress.session and done < progress.total:
            finished = {item.slug for item in progress.done}
            for slug, spent in progress.session.ledger.items.items():
                if slug not in finished:
                    share = (spent.made + spent.cached) / self._calls_a_topic
                    answered += min(share, 0.95)
        return round(100 * (done + answered) / progress.total, 1)

    def _said(self) -> str:
        progress = self._progress
        said = f"{len(progress.done)} of {progress.total} topics done"
        if progress.session:
            spent = progress.session.ledger.total
            said += f"; {spent.made} calls made, {spent.cached} cached; {cost_text(spent.cost_usd)}"
        return said

    async def show_summary(self, report: ReportResult, summary: str) -> None:
        """Show a report's summary; one that is as it was is in its artifact's last version.

        An artifact of its own for each of many reports would be of use to nobody, and a batch
        would wait for the server.
        """
        if not self._summaries or len(self._together) == MOST_SUMMARIES:
            return
        score = "no score" if report.score is None else f"score {report.score:g}"
        at = self._address(report)
        where = f"[open]({at})" if at else _code(report.directory or "")
        paragraphs = [escaped(part) for part in summary.split("\n\n")]
        parts = [f"# {escaped(report.topic)}", f"{score} · {where}", *paragraphs]
        if self._progress.total > MOST_ALONE:
            self._together[report.slug] = "\n\n".join(parts)
        elif report.changes is None or report.changes.state != "unchanged":
            await show_markdown(
                f"report-{report.slug}",
                "\n\n".join(parts),
                f"Executive summary: {escaped(report.topic[:200])}",
            )

    async def _show_together(self, result: BatchResult) -> None:
        """Show the summaries of a large batch, in input order."""
        together = [self._together[r.slug] for r in result.reports if r.slug in self._together]
        if together:
            published = sum(report.status == "published" for report in result.reports)
            more = published - len(together)
            said = f"Executive summaries of {len(together)} reports"
            said += f"; {more} more are on the run's page." if more else "."
            await show_markdown(SUMMARIES_KEY, "\n\n".join(together), said)

    async def show_result(self, result: BatchResult) -> None:
        """Show what became of the batch: a table of its topics, and the whole in a few lines."""
        order = {"failed": 0, "not_started": 1, "published": 2}
        reports = result.reports
        if len(reports) > MOST_ROWS:
            reports = sorted(reports, key=lambda r: order[r.status])[:MOST_ROWS]
        said = counts(result)
        if reports != result.reports:
            said += f"; {MOST_ROWS} of {len(result.reports)} topics"
        await asyncio.gather(
            self._move(),
            self._show_together(result),
            show_table(TOPICS_KEY, [self._row(report) for report in reports], said),
            show_markdown(RESULT_KEY, self._outcome(result), counts(result)),
        )

    def _outcome(self, result: BatchResult) -> str:
        """The whole in a few lines, as Markdown."""
        at = f"{self._pages_url}/{result.run_id}" if self._pages_url else None
        parts = [
            f"**{result.status}**: {counts(result)}",
            f"[Open the run's page]({at}/index.html)" if at else _code(result.run_directory),
        ]
        if result.error:
            parts.append(f"Stopped: {escaped(result.error.message)}")
        failures = [r for r in result.reports if r.error]
        if failures:
            lines = [
                f"- {escaped(r.topic)}: {escaped(r.error.message)}"
                for r in failures[:MOST_FAILURES]
                if r.error
            ]
            if len(failures) > MOST_FAILURES:
                lines.append(f"- and {len(failures) - MOST_FAILURES} more, in the table")
            parts.append("\n".join(lines))
        links = [
            f"- [{escaped(report.topic[:200])}]({address}), score {report.score:g}"
            for report in result.reports
            if (address := self._address(report))
        ]
        if len(links) > MOST_LINKS:
            links[MOST_LINKS:] = [f"- and {len(links) - MOST_LINKS} more, on the run's page"]
        parts.append("\n".join(links))
        parts += [f"Warning: {escaped(warning)}" for warning in result.warnings[:MOST_FAILURES]]
        return "\n\n".join(filter(None, parts))

    def _row(self, report: ReportResult) -> dict[str, Any]:
        """A topic as the UI's table shows it: its first UI reads cells as Markdown."""
        usage, calls = report.usage, report.calls
        return {
            "Topic": escaped(report.topic[:200]),
            "Status": report.status.replace("_", " "),
            "Score": "" if report.score is None else f"{report.score:g}",
            "Iterations": report.iterations,
            "Stop reason": (report.stop_reason or "").replace("_", " "),
            "Calls": calls.made,
            "Cached": calls.cached,
            "Tokens": usage.input_tokens + usage.output_tokens,
            "USD": "unknown" if report.cost_usd is None else f"{report.cost_usd:.4f}",
            "Error": escaped(report.error.message[:500]) if report.error else "",
            "Report": self._address(report) or _code(report.directory or ""),
        }

    def _address(self, report: ReportResult) -> str | None:
        """Where a report's page is served."""
        if self._pages_url is None or report.directory is None:
            return None
        run_id = report.directory.rstrip("/").split("/")[-2]
        return f"{self._pages_url}/{run_id}/{report.slug}/index.html"


def _code(path: str) -> str:
    return f"`{one_line(path).replace('`', '')}`" if path else ""
