"""Finishing: from a refined report to its result directory, topic by topic.

Here: the steps of one topic after its refinement, and its result after an error. Not here: how a
run begins and ends (`batch`, `shards.run`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from prefect import get_run_logger
from prefect.futures import PrefectFuture

from prefect_llm_reports.tasks.calls.answering import ask_model, step_record
from prefect_llm_reports.tasks.citations.summaries import remarked, remarks_on
from prefect_llm_reports.tasks.contract.calls import Answer, Ask
from prefect_llm_reports.tasks.contract.errors import (
    CallsStopped,
    HeldBack,
    Interrupted,
    NothingToQuote,
    ReportsError,
)
from prefect_llm_reports.tasks.contract.provenance import Provenance
from prefect_llm_reports.tasks.contract.records import OFFLINE, ErrorReport, FileEntry
from prefect_llm_reports.tasks.contract.reports import Refined, ReportResult, Topic
from prefect_llm_reports.tasks.pages.provenance import provenance_of
from prefect_llm_reports.tasks.reports.accounts import OwnAccounts
from prefect_llm_reports.tasks.reports.formatting import (
    begin_formats,
    format_as_html,
    format_as_markdown,
    made_formats,
)
from prefect_llm_reports.tasks.reports.grounding import grounds_for
from prefect_llm_reports.tasks.reports.publishing import (
    Publication,
    Published,
    publish_report,
    write_report,
)
from prefect_llm_reports.tasks.reports.questions import draft_ask, own_summary_ask
from prefect_llm_reports.tasks.reports.reviewing import Review
from prefect_llm_reports.tasks.reports.roster import Roster, Unpublished
from prefect_llm_reports.tasks.reports.steps import generate_summary
from prefect_llm_reports.tasks.reports.summaries import Summaries
from prefect_llm_reports.tasks.reports.tracing import trace_outcome
from prefect_llm_reports.tasks.results.earlier import EarlierReports
from prefect_llm_reports.tasks.runtime.context import run_context
from prefect_llm_reports.tasks.runtime.memory import forget_results
from prefect_llm_reports.tasks.runtime.runner import BackPressure, as_is, ended, forget, under_way
from prefect_llm_reports.tasks.runtime.traces import traced_topic
from prefect_llm_reports.tasks.text.foreign import shown
from prefect_llm_reports.tasks.text.wrappers import unwrapped

MOST_SAID = 400
"""Characters of what is said about wrappers of a report."""
MOST_MISSES = 100
"""Topics in a row without a kept draft, after which a stopped run looks for no further ones."""


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
        self._misses = 0
        self._refusal: CallsStopped | None = None

    def hold_back_refining(self) -> None:
        """Let the flow's task runner refine topics no faster than they are finished."""
        _, runner = run_context()
        runner.window = self._window
        runner.waits.append(self._under_way.room)
        runner.refusals.append(self._not_begun)

    async def _not_begun(self, parameters: dict[str, Any]) -> ReportsError | None:
        """Why no task run is made for a topic: the run is stopped, and no draft of it is kept.

        A task run takes milliseconds, and thousands of topics may be left. After enough topics in
        a row without a kept draft, the store is not asked about the others.
        """
        stopped, topic = self._accounts.stopped, parameters["topic"]
        if stopped is None:
            return None
        if not isinstance(stopped, Interrupted) and self._misses < MOST_MISSES:
            if await self._begun(topic):
                self._misses = 0
                return None
            self._misses += 1
        if self._refusal is None:
            self._refusal = CallsStopped(f"not asked: {stopped}")
        return self._refusal

    async def _begun(self, topic: Topic) -> bool:
        """Whether the store has the first draft of a topic."""
        try:
            grounds = await grounds_for(topic)
        except NothingToQuote:
            return False
        draft = draft_ask(self._roster.batch.plan, topic, grounds=grounds)
        return await self._accounts.store.kept(draft) is not None

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
            with self._under_way.taken(), traced_topic(topic.slug, topic.title):
                report, files = await self._publish(refined)
        except Exception as error:  # any error ends this report only
            report = self._failure(topic, error)
        await self._accounts.session.budget.release(topic.slug)
        self._roster.settle(report, files)
        trace_outcome(report, self._roster.batch.plan.options.pages_url)
        if self._settled:
            await self._settled()
        forget(refining)
        forget_results()

    def _failure(self, topic: Topic, error: Exception) -> ReportResult:
        """Make the result of a topic that an error ended; a fatal error stops the run."""
        if isinstance(error, ReportsError):
            if error.reach == "fatal":
                self._accounts.stop(error)
            status: Unpublished = "not_started" if error.reach == "not_started" else "failed"
            if isinstance(error, HeldBack):
                status = "held_back"
            if status == "failed":
                report = error.report()
                step = f"{report.step}: " if report.step else ""
                self._log.warning("%s: failed: %s%s", topic.short, step, report.message)
            return self._roster.unpublished(topic, status, error.report())
        self._log.error("%s: unexpected %s", topic.slug, type(error).__name__, exc_info=error)
        return self._roster.unpublished(topic, "failed", ErrorReport.unexpected(error))

    async def _publish(self, refined: Refined) -> tuple[ReportResult, tuple[FileEntry, ...]]:
        """Summarize, format and write a report; with a kept summary no task runs for them."""
        topic, plan = refined.topic, self._review.plan
        offline = plan.model == OFFLINE
        ask = own_summary_ask(plan, refined)
        formatted: tuple[Any, Any] | None = None
        summary, cached = await self._accounts.store.kept(ask), True
        if summary is None:
            summary, cached, formatted = await self._summarized(refined, ask)
        elif topic.slug not in self._review.read:
            self._accounts.ledger.reused(topic.slug)
        if removed := unwrapped(refined.winner.text).removed:
            self._log.info(
                "%s: left out of the published report: %s",
                topic.slug,
                shown("; ".join(removed), MOST_SAID),
            )
        provenance = self._provenance(refined, ask)
        said, doubts = _checked_summary(refined, summary.text)
        formatting = begin_formats(
            plan.options.formats, refined, said, offline=offline, provenance=provenance
        )
        documents, warnings = await made_formats(topic.slug, formatting)
        warnings += doubts
        self._roster.warnings.extend(warnings)
        publication = Publication(
            refined,
            said,
            (*refined.steps, step_record(ask, summary, 0, cached=cached)),
            plan,
            self._roster.run_id,
            earlier=await self._earlier.find(topic.slug),
            documents=documents,
            warnings=warnings,
            provenance=provenance,
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
            await self._summaries.show(report, said, refined.text)
        return report, written.files

    async def _summarized(
        self, refined: Refined, ask: Ask
    ) -> tuple[Answer, bool, tuple[PrefectFuture[Any], PrefectFuture[Any]]]:
        """Ask for the summary, and format the report meanwhile.

        Returns:
            The summary, whether the store had it, and the formatted Markdown and HTML.
        """
        plan, provenance = self._review.plan, self._provenance(refined, ask)
        offline = plan.model == OFFLINE
        markdown: Any = format_as_markdown.submit(  # pyright: ignore[reportUnknownMemberType]
            as_is(refined), offline=offline, provenance=as_is(provenance)
        )
        summary, cached = await ask_model(generate_summary, ask)
        html: Any = format_as_html.submit(  # pyright: ignore[reportUnknownMemberType]
            as_is(refined),
            _checked_summary(refined, summary.text)[0],
            offline=offline,
            templates=plan.options.templates,
            provenance=as_is(provenance),
        )
        return summary, cached, (markdown, html)

    def _provenance(self, refined: Refined, ask: Ask) -> Provenance:
        """Who made a report, with the model of its summary, and who let it be published."""
        return provenance_of(
            refined,
            offline=self._review.plan.model == OFFLINE,
            models=[ask.model],
            approval=self._review.approvals.get(refined.topic.slug),
        )

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
            evidence=refined.winner.evidence,
            directory=written.directory,
            changes=written.changes,
            calls=spent.calls,
            usage=spent.usage,
            cost_usd=spent.cost_usd,
        )


def _checked_summary(refined: Refined, summary: str) -> tuple[str, tuple[str, ...]]:
    """A summary as it is published, and warnings about its numbers if the report has sources."""
    if refined.evidence is None:
        return summary, ()
    topic = refined.topic
    remarks = remarks_on(
        summary, refined.winner.text, refined.evidence.claims, f"{topic.title}\n{topic.guidance}"
    )
    return remarked(summary, remarks), tuple(f"{topic.slug}: summary: {one}" for one in remarks)
