"""Finishing: from a refined report to its result directory, topic by topic.

Here: what happens to one topic after its refinement, and what an error makes of it. Not here: how
a run begins and ends (`batch`, `shards.run`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from prefect import get_run_logger
from prefect.futures import PrefectFuture

from prefect_llm_reports.tasks.calls.answering import ask_model, step_record
from prefect_llm_reports.tasks.contract.calls import Answer, Ask
from prefect_llm_reports.tasks.contract.errors import ReportsError
from prefect_llm_reports.tasks.contract.records import OFFLINE, ErrorReport, FileEntry
from prefect_llm_reports.tasks.contract.reports import Refined, ReportResult, Topic
from prefect_llm_reports.tasks.reports.accounts import OwnAccounts
from prefect_llm_reports.tasks.reports.formatting import (
    begin_formats,
    format_as_html,
    format_as_markdown,
    made_formats,
)
from prefect_llm_reports.tasks.reports.publishing import (
    Publication,
    Published,
    publish_report,
    write_report,
)
from prefect_llm_reports.tasks.reports.questions import summary_ask
from prefect_llm_reports.tasks.reports.reviewing import Review
from prefect_llm_reports.tasks.reports.roster import Roster
from prefect_llm_reports.tasks.reports.steps import generate_summary
from prefect_llm_reports.tasks.reports.summaries import Summaries
from prefect_llm_reports.tasks.results.earlier import EarlierReports
from prefect_llm_reports.tasks.runtime.context import run_context
from prefect_llm_reports.tasks.runtime.memory import forget_results
from prefect_llm_reports.tasks.runtime.runner import BackPressure, as_is, ended, forget, under_way


class Finishing:
    """Finishes the topics of a run as they are refined.

    Args:
        roster: The topics, and where their results go.
        accounts: Session and store of this process.
        concurrency: Calls that may be under way at once.
        summaries: Shows the summaries in the UI; None: they are not shown.
        settled: Awaited after each topic that is settled.
    """

    def __init__(
        self,
        roster: Roster,
        accounts: OwnAccounts,
        concurrency: int,
        *,
        summaries: Summaries | None = None,
        settled: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        batch = roster.batch
        self._roster = roster
        self._accounts = accounts
        self._summaries = summaries
        self._settled = settled
        self._topics = batch.topics
        self._place = batch.output
        self._review = Review(batch.topics, batch.plan, accounts)
        self._earlier = EarlierReports(
            batch.output, roster.run_id, {topic.slug for topic in batch.topics}
        )
        self._window = under_way(len(batch.topics), concurrency)
        self._under_way = BackPressure(self._window)
        self._log = get_run_logger()

    def hold_back_refining(self) -> None:
        """Let the flow's task runner refine topics no faster than they are finished."""
        _, runner = run_context()
        runner.window = self._window
        runner.waits.append(self._under_way.room)

    async def reviewed(
        self, refining: Sequence[PrefectFuture[Any]]
    ) -> Sequence[PrefectFuture[Any]]:
        """Wait for a person's decision on the refined reports, and keep to it."""
        return await self._review.decided(refining)

    async def finish_all(self, refining: Sequence[PrefectFuture[Any]]) -> None:
        """Finish every topic by itself."""
        await asyncio.gather(*map(self._finish, self._topics, refining))

    async def _finish(self, topic: Topic, refining: PrefectFuture[Any]) -> None:
        """Publish one topic's report; a failure stays with the topic."""
        files: tuple[FileEntry, ...] = ()
        try:
            refined = await ended(refining)
            if topic.slug in self._review.held:
                raise self._review.held[topic.slug]
            with self._under_way.taken():
                report, files = await self._publish(refined)
        except Exception as error:  # whatever it is, it ends this report only
            report = self._failure(topic, error)
        await self._accounts.session.budget.release(topic.slug)
        self._roster.settle(report, files)
        if self._settled:
            await self._settled()
        forget(refining)
        forget_results()

    def _failure(self, topic: Topic, error: Exception) -> ReportResult:
        """Make the result of a topic that an error ended; a fatal error stops the run."""
        if isinstance(error, ReportsError):
            if error.reach == "fatal":
                self._accounts.stop(error)
            status = "not_started" if error.reach == "not_started" else "failed"
            return self._roster.unpublished(topic, status, error.report())
        self._log.error("%s: unexpected %s", topic.slug, type(error).__name__, exc_info=error)
        return self._roster.unpublished(topic, "failed", ErrorReport.unexpected(error))

    async def _publish(self, refined: Refined) -> tuple[ReportResult, tuple[FileEntry, ...]]:
        """Summarize, format and write a report; with a kept summary no task runs for them."""
        topic, plan = refined.topic, self._review.plan
        offline = plan.model == OFFLINE
        ask = summary_ask(plan, topic, refined.winner.text)
        formatted: tuple[Any, Any] | None = None
        summary, cached = await self._accounts.store.kept(ask), True
        if summary is None:
            summary, cached, formatted = await self._summarized(refined, ask)
        elif topic.slug not in self._review.read:
            self._accounts.ledger.reused(topic.slug)
        formatting = begin_formats(plan.options.formats, refined, summary.text, offline=offline)
        documents, warnings = await made_formats(topic.slug, formatting)
        self._roster.warnings.extend(warnings)
        publication = Publication(
            refined,
            summary.text,
            (*refined.steps, step_record(ask, summary, 0, cached=cached)),
            plan,
            self._roster.run_id,
            earlier=await self._earlier.find(topic.slug),
            documents=documents,
            warnings=warnings,
        )
        written: Published
        if formatted:
            writing: Any = publish_report.submit(  # pyright: ignore[reportUnknownMemberType]
                as_is(publication), as_is(self._place), *formatted
            )
            written = await ended(writing)
        else:
            written = await write_report(publication, self._place)
        report = self._published(refined, written)
        if self._summaries:
            await self._summaries.show(report, summary.text)
        return report, written.files

    async def _summarized(
        self, refined: Refined, ask: Ask
    ) -> tuple[Answer, bool, tuple[PrefectFuture[Any], PrefectFuture[Any]]]:
        """Ask for the summary, and format the report meanwhile.

        Returns:
            The summary, whether the store had it, and the formatted Markdown and HTML.
        """
        plan = self._review.plan
        offline = plan.model == OFFLINE
        markdown: Any = format_as_markdown.submit(  # pyright: ignore[reportUnknownMemberType]
            as_is(refined), offline=offline
        )
        summary, cached = await ask_model(generate_summary, ask)
        html: Any = format_as_html.submit(  # pyright: ignore[reportUnknownMemberType]
            as_is(refined), summary.text, offline=offline, templates=plan.options.templates
        )
        return summary, cached, (markdown, html)

    def _published(self, refined: Refined, written: Published) -> ReportResult:
        topic = refined.topic
        spent = self._accounts.ledger.items[topic.slug]
        return ReportResult(
            topic=topic.title,
            slug=topic.slug,
            status="published",
            score=refined.winner.score,
            iterations=refined.iterations,
            stop_reason=refined.stop_reason,
            directory=written.directory,
            changes=written.changes,
            calls=spent.calls,
            usage=spent.usage,
            cost_usd=spent.cost_usd,
        )
