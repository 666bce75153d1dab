"""Reports in the Prefect UI: an artifact for each, or one with the summaries of a large batch."""

from __future__ import annotations

from prefect_llm_reports.tasks.contract.reports import BatchResult, ReportResult
from prefect_llm_reports.tasks.reports.artifacts import Links
from prefect_llm_reports.tasks.runtime.artifacts import MOST_SHOWN, show_markdown
from prefect_llm_reports.tasks.text.cleaning import clean_markdown
from prefect_llm_reports.tasks.text.markdown import escaped

SUMMARIES_KEY = "report-batch-summaries"
MOST_ALONE = 20
"""Topics up to which each summary is an artifact of its own. A larger batch would wait for the
server, and nobody would look through the artifacts."""
MOST_SUMMARIES = 100
"""Summaries that one run shows; the pages of a larger batch have the others."""


class Summaries:
    """The summaries of one run.

    Args:
        topics: Topics of the batch.
        links: Where the reports are opened.
    """

    def __init__(self, topics: int, links: Links) -> None:
        self._topics = topics
        self._links = links
        self._together: dict[str, str] = {}

    @property
    def full(self) -> bool:
        """Whether no further summary is shown."""
        return len(self._together) == MOST_SUMMARIES

    async def show(self, report: ReportResult, summary: str, text: str) -> None:
        """Show a report; the last version of its artifact has an unchanged one.

        Args:
            report: The report's result.
            summary: Its executive summary.
            text: The whole report; batches of many topics show summaries only.
        """
        if self.full:
            return
        score = "no score" if report.score is None else f"score {report.score:g}"
        paragraphs = [escaped(part) for part in summary.split("\n\n")]
        heading = f"# {escaped(report.topic)}"
        parts = [heading, f"{score} · {self._links.report(report)}", *paragraphs]
        if self._topics > MOST_ALONE:
            self._together[report.slug] = "\n\n".join(parts)
        elif report.changes is None or report.changes.state != "unchanged":
            parts += ["---", clean_markdown(text[:MOST_SHOWN], title=report.topic)]
            about = f"Report with its summary: {escaped(report.topic[:200])}"
            await show_markdown(f"report-{report.slug}", "\n\n".join(parts), about)

    async def show_together(self, result: BatchResult) -> None:
        """Show the summaries of a large batch in one artifact, in input order."""
        together = [self._together[r.slug] for r in result.reports if r.slug in self._together]
        if not together:
            return
        more = sum(report.status == "published" for report in result.reports) - len(together)
        said = f"Executive summaries of {len(together)} reports"
        said += f"; {more} more are on the run's page." if more else "."
        await show_markdown(SUMMARIES_KEY, "\n\n".join(together), said)
