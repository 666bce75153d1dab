"""Reports on their way: from refined reports to result directories, and what became of each topic.

What a batch and a part of one have in common; how each of them begins and ends is in
`batch_runs` and `shard_runs`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Literal

from prefect import get_run_logger
from prefect.futures import PrefectFuture

from prefect_llm_reports.tasks.answers.store import AnswerStore, use_store
from prefect_llm_reports.tasks.calls.answering import ask_model, step_record
from prefect_llm_reports.tasks.contract.errors import ReportsError
from prefect_llm_reports.tasks.contract.options import ReportOptions
from prefect_llm_reports.tasks.contract.records import OFFLINE, ErrorReport, FileEntry
from prefect_llm_reports.tasks.contract.reports import (
    BatchResult,
    PaceRecord,
    Refined,
    ReportResult,
    Topic,
)
from prefect_llm_reports.tasks.contract.settings import Settings
from prefect_llm_reports.tasks.llm.session import Session, use_session
from prefect_llm_reports.tasks.reports.artifacts import RunArtifacts
from prefect_llm_reports.tasks.reports.checking import CheckedBatch
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
from prefect_llm_reports.tasks.reports.steps import generate_summary
from prefect_llm_reports.tasks.results.earlier import EarlierReports
from prefect_llm_reports.tasks.runtime.context import outside_of_tasks, run_context
from prefect_llm_reports.tasks.runtime.logs import decisions_only
from prefect_llm_reports.tasks.runtime.memory import forget_results, rarer_collections
from prefect_llm_reports.tasks.runtime.progress import Progress
from prefect_llm_reports.tasks.runtime.runner import BackPressure, as_is, ended, forget, under_way
from prefect_llm_reports.tasks.runtime.signals import Interruption


class ReportRun:
    """One run that makes reports, and what has become of its topics so far.

    Args:
        batch: What to do.
        settings: The environment's part of how.
        caps: Options whose limits hold for this run; None: the plan's own.
        followed: Whoever follows the run; None: nobody does.
        summaries: Show summaries in the UI.
    """

    def __init__(
        self,
        batch: CheckedBatch,
        settings: Settings,
        *,
        caps: ReportOptions | None = None,
        followed: Progress | None = None,
        summaries: bool = True,
    ) -> None:
        self.batch = batch
        self.settings = settings
        self.plan = batch.plan
        self.run_id = ""
        self.place = batch.output
        self.store = AnswerStore(location=batch.store)
        self.caps = caps or batch.plan.options
        self.session = Session(batch.endpoints, self.caps, backoff_s=settings.backoff_s)
        self.progress = followed or Progress()
        self.interruption = Interruption(
            self.session.stop, followed.on_interrupt if followed else None
        )
        self.artifacts = RunArtifacts(
            self.progress,
            batch.plan.options.calls_a_topic(batch.plan.max_iterations),
            batch.plan.options.pages_url or settings.pages_url,
            summaries=summaries,
        )
        self.earlier: EarlierReports | None = None
        self.held: dict[str, Exception] = {}
        self.reviewed: set[str] = set()  # topics whose summary was read, and counted, before
        self.results: dict[str, ReportResult] = {}
        self.published: dict[str, tuple[FileEntry, ...]] = {}
        self.warnings: list[str] = []
        self.log = get_run_logger()
        self._window = under_way(len(batch.topics), self.caps.concurrency)
        self._finishing = BackPressure(self._window)
        self._started = datetime.now(UTC)
        self._clock = time.monotonic()

    @asynccontextmanager
    async def asking(
        self, *, days: float | None = None, refresh: bool = False
    ) -> AsyncGenerator[None]:
        """Open store and session for the tasks of this run.

        Args:
            days: Answers older than this are passed over; None: of any age.
            refresh: Answers that were kept before this are passed over.
        """
        options = self.plan.options
        _, runner = run_context()
        runner.window = self._window
        runner.waits.append(self._finishing.room)
        slugs = {topic.slug for topic in self.batch.topics}
        self.earlier = EarlierReports(self.place, self.run_id, slugs)
        opened = self.store.opened(
            days=days,
            max_mb=options.store_mb,
            refresh=refresh,
            lease_s=self.settings.lease_s,
        )
        async with opened, self.session:
            with (
                outside_of_tasks(),
                rarer_collections(),
                decisions_only(),
                use_store(self.store),
                use_session(self.session),
            ):
                yield

    async def finish_all(self, refining: Sequence[PrefectFuture[Any]]) -> None:
        """See all topics through, each by itself."""
        await asyncio.gather(*map(self.finish, self.batch.topics, refining))

    async def finish(self, topic: Topic, refining: PrefectFuture[Any]) -> None:
        """See one topic through to its result directory; a failure stays with the topic."""
        try:
            refined = await ended(refining)
            if topic.slug in self.held:
                raise self.held[topic.slug]
            with self._finishing.taken():
                report = await self._publish(refined)
        except Exception as error:  # whatever it is, it ends this report only
            report = self.failure(topic, error)
        await self.settle(topic, report)
        forget(refining)
        forget_results()

    def failure(self, topic: Topic, error: Exception) -> ReportResult:
        """What an error makes of a topic; one that is fatal stops the run."""
        if isinstance(error, ReportsError):
            if error.reach == "fatal":
                self.session.stop(error)
            status = "not_started" if error.reach == "not_started" else "failed"
            return self.unpublished(topic, status, error.report())
        self.log.error("%s: unexpected %s", topic.slug, type(error).__name__, exc_info=error)
        said = f"unexpected {type(error).__name__}; the log of the flow run has the traceback"
        return self.unpublished(topic, "failed", ErrorReport(kind="unexpected", message=said))

    async def settle(self, topic: Topic, report: ReportResult) -> None:
        """Take note of what has become of a topic."""
        await self.session.budget.release(topic.slug)
        self.results[topic.slug] = report
        self.progress.add(report)
        await self.note()

    async def _publish(self, refined: Refined) -> ReportResult:
        """Summarize, format and write a report; no task runs when its summary is there already."""
        topic, offline = refined.topic, self.plan.model == OFFLINE
        ask = summary_ask(self.plan, topic, refined.winner.text)
        formatted: tuple[Any, Any] | None = None
        summary = await self.store.kept(ask)
        if summary:
            if topic.slug not in self.reviewed:
                self.session.ledger.reused(topic.slug)
            steps = (*refined.steps, step_record(ask, summary, 0, cached=True))
        else:
            markdown = format_as_markdown.submit(  # pyright: ignore[reportUnknownMemberType]
                as_is(refined), offline=offline
            )
            summary, cached = await ask_model(generate_summary, ask)
            html = format_as_html.submit(  # pyright: ignore[reportUnknownMemberType]
                as_is(refined),
                summary.text,
                offline=offline,
                templates=self.plan.options.templates,
            )
            steps = (*refined.steps, step_record(ask, summary, 0, cached=cached))
            formatted = markdown, html
        formatting = begin_formats(
            self.plan.options.formats, refined, summary.text, offline=offline
        )
        documents, warnings = await made_formats(topic.slug, formatting)
        self.warnings.extend(warnings)
        publication = Publication(
            refined,
            summary.text,
            steps,
            self.plan,
            self.run_id,
            earlier=await self.earlier.find(topic.slug) if self.earlier else None,
            documents=documents,
            warnings=warnings,
        )
        written: Published
        if formatted:
            writing: Any = publish_report.submit(  # pyright: ignore[reportUnknownMemberType]
                as_is(publication), as_is(self.place), *formatted
            )
            written = await ended(writing)
        else:
            written = await write_report(publication, self.place)
        self.published[topic.slug] = written.files
        spent = self.session.ledger.items[topic.slug]
        published = ReportResult(
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
        await self.artifacts.show_summary(published, summary.text)
        return published

    def unpublished(
        self, topic: Topic, status: Literal["failed", "not_started"], error: ErrorReport | None
    ) -> ReportResult:
        """The result of a topic without a report."""
        spent = self.session.ledger.items[topic.slug]
        return ReportResult(
            topic=topic.title,
            slug=topic.slug,
            status=status,
            calls=spent.calls,
            usage=spent.usage,
            cost_usd=spent.cost_usd,
            error=error,
        )

    async def note(self) -> None:
        """Write down how far the run has come."""

    def result(self) -> BatchResult:
        """The batch as it stands; a topic without a result is not started."""
        total = self.session.ledger.total
        reports = [
            self.results.get(t.slug) or self.unpublished(t, "not_started", None)
            for t in self.batch.topics
        ]
        if self.session.stopped or any(r.status == "not_started" for r in reports):
            status = "stopped"
        else:
            status = "partial" if any(r.status == "failed" for r in reports) else "complete"
        return BatchResult(
            run_id=self.run_id,
            status=status,
            run_directory=self.place.path(self.run_id),
            offline=self.plan.model == OFFLINE,
            started=self._started,
            duration_s=round(time.monotonic() - self._clock, 3),
            calls=total.calls,
            usage=total.usage,
            cost_usd=total.cost_usd,
            reports=reports,
            error=self.session.stopped.report() if self.session.stopped else None,
            pacing=self.pacing(),
            warnings=[*self.batch.warnings, *self.warnings, *self.store.warnings],
        )

    def pacing(self) -> list[PaceRecord]:
        """How each endpoint was used."""
        return [line.pacing() for line in self.session.lines]
