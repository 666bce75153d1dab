"""Artifacts of a batch of reports at its end: its topics and its outcome.

Not here: the bar that moves meanwhile (`progress_bar`), the summaries (`summaries`).
"""

from __future__ import annotations

import asyncio
import shlex
from typing import Any

from prefect_llm_reports.tasks.contract.money import cost_cell
from prefect_llm_reports.tasks.contract.reports import BatchResult, ReportResult
from prefect_llm_reports.tasks.runtime.artifacts import show_markdown, show_table
from prefect_llm_reports.tasks.text.cells import cell
from prefect_llm_reports.tasks.text.figures import outcome_text
from prefect_llm_reports.tasks.text.markdown import escaped, one_line

TOPICS_KEY = "report-batch-topics"
RESULT_KEY = "report-batch-result"
MOST_ROWS = 300
"""Topics in the table; those without a report come first, and topics.csv has all. The UI would take
ten seconds to show a thousand rows."""
MOST_FAILURES = 20
MOST_LINKS = 100
"""Reports that the outcome links to; the run's page lists all."""


class Links:
    """Where people open the pages of a run.

    Args:
        pages_url: Address at which the output folder is served; None: it is not served.
    """

    def __init__(self, pages_url: str | None) -> None:
        self._pages_url = pages_url.rstrip("/") if pages_url else None

    def page(self, report: ReportResult) -> str | None:
        """The address of a report's page; None: it has none."""
        if self._pages_url is None or report.directory is None:
            return None
        run_id = report.directory.rstrip("/").split("/")[-2]
        return f"{self._pages_url}/{run_id}/{report.slug}/index.html"

    def report(self, report: ReportResult) -> str:
        """A report as Markdown: a link to its page, or the name of its directory."""
        at = self.page(report)
        return f"[open]({at})" if at else _code(report.directory or "")

    def run(self, result: BatchResult) -> str:
        """A run as Markdown: a link to its page, or the command that shows its pages."""
        if self._pages_url is None:
            command = f"llm-reports view {shlex.quote(result.run_directory)}"
            return f"Read the pages where they are: {_code(command)}"
        return f"[Open the run's page]({self._pages_url}/{result.run_id}/index.html)"

    def cell(self, report: ReportResult) -> str:
        """A report in a table: the address of its page, or the name of its directory."""
        return self.page(report) or cell(report.directory or "")


async def show_outcome(result: BatchResult, links: Links) -> None:
    """Show the outcome of a batch: a table of its topics, and the whole in a few lines."""
    order = {"failed": 0, "not_started": 1, "held_back": 2, "published": 3}
    reports, said = result.reports, outcome_text(result)
    about = said
    if len(reports) > MOST_ROWS:
        about += f"; {MOST_ROWS} of {len(reports)} topics"
        reports = sorted(reports, key=lambda report: order[report.status])[:MOST_ROWS]
    await asyncio.gather(
        show_table(TOPICS_KEY, [_row(report, links) for report in reports], about),
        show_markdown(RESULT_KEY, _outcome(result, links), said),
    )


def _outcome(result: BatchResult, links: Links) -> str:
    parts = [f"**{result.status}**: {outcome_text(result)}", links.run(result)]
    if result.error:
        parts.append(f"Stopped: {escaped(result.error.message)}")
    parts.append(_failures(result))
    parts.append(_links(result, links))
    parts += [f"Warning: {escaped(warning)}" for warning in result.warnings[:MOST_FAILURES]]
    return "\n\n".join(filter(None, parts))


def _failures(result: BatchResult) -> str:
    lines = [
        f"- {escaped(report.topic)}: {escaped(report.error.message)}"
        for report in result.reports
        if report.error
    ]
    if len(lines) > MOST_FAILURES:
        lines[MOST_FAILURES:] = [f"- and {len(lines) - MOST_FAILURES} more, in the table"]
    return "\n".join(lines)


def _links(result: BatchResult, links: Links) -> str:
    lines = [
        f"- [{escaped(report.topic[:200])}]({address}), score {report.score:g}"
        for report in result.reports
        if (address := links.page(report))
    ]
    if len(lines) > MOST_LINKS:
        lines[MOST_LINKS:] = [f"- and {len(lines) - MOST_LINKS} more, on the run's page"]
    return "\n".join(lines)


def _row(report: ReportResult, links: Links) -> dict[str, Any]:
    """A topic in the table."""
    usage, calls, found = report.usage, report.calls, report.evidence
    return {
        "Topic": cell(report.topic[:200]),
        "Status": report.status.replace("_", " "),
        "Score": "" if report.score is None else f"{report.score:g}",
        "Report": links.cell(report),
        "Error": cell(report.error.message[:500]) if report.error else "",
        "Iterations": report.iterations,
        "Stop reason": (report.stop_reason or "").replace("_", " "),
        "Calls": calls.made,
        "Cached": calls.cached,
        "Tokens": usage.input_tokens + usage.output_tokens,
        "USD": cost_cell(report.cost_usd),
        **({"Coverage": f"{found.coverage:.0%}", "Doubtful": found.doubtful} if found else {}),
    }


def _code(path: str) -> str:
    return f"`{one_line(path).replace('`', '')}`" if path else ""
