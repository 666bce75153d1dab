"""One run of a batch: from refined reports to result directories, and what became of each topic."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any, Literal, Self

from prefect import get_run_logger, unmapped
from prefect.futures import PrefectFuture

from tasks.answering import ask_model, step_record
from tasks.approval import ask_person, held_back
from tasks.asking import summary_ask
from tasks.checking import CheckedBatch
from tasks.completions import AnswerStore, use_store
from tasks.earlier import EarlierReports
from tasks.errors import HeldBack, ReportsError, StorageError
from tasks.formatting import begin_formats, format_as_html, format_as_markdown, made_formats
from tasks.interruption import Interruption
from tasks.llm import Session, use_session
from tasks.memory import forget_results, rarer_collections
from tasks.outcomes import counts
from tasks.progress import Progress, progress_of_caller
from tasks.publishing import (
    Publication,
    Published,
    publish_report,
    publish_run,
    publish_topics,
    sweep,
)
from tasks.refining import refine_report
from tasks.run_artifacts import RunArtifacts
from tasks.run_log import decisions_only
from tasks.runner import as_is, ended, forget
from tasks.runs import new_run_id, of_a_deployment, run_context
from tasks.schemas import (
    OFFLINE,
    BatchResult,
    ErrorReport,
    FileEntry,
    PaceRecord,
    Refined,
    ReportResult,
    Topic,
)
from tasks.settings import Settings
from tasks.writing import generate_summary


class ReportRun:
    """One run of the flow, and what has become of its topics so far.

    Args:
        batch: What to do.
        settings: The environment's part of how.
    """

    def __init__(self, batch: CheckedBatch, settings: Settings) -> None:
        self.batch = batch
        self.settings = settings
        self.plan = batch.plan
        self.run_id = ""
        self.place = batch.output
        self.store = AnswerStore(location=batch.store)
        self.session = Session(batch.endpoints, batch.plan.options, backoff_s=settings.backoff_s)
        followed = progress_of_caller.get()
        self.progress = followed or Progress()
        self.interruption = Interruption(
            self.session.stop, followed.on_interrupt if followed else None
        )
        self.artifacts = RunArtifacts(
            self.progress,
            batch.plan.options.calls_a_topic(batch.plan.max_iterations),
            batch.plan.options.pages_url or settings.pages_url,
        )
        self.earlier: EarlierReports | None = None
        self.held: dict[str, Exception] = {}
        self.results: dict[str, ReportResult] = {}
        self.published: dict[str, tuple[FileEntry, ...]] = {}
        self.warnings: list[str] = []
        self.log = get_run_logger()
        self._started = datetime.now(UTC)
        self._clock = time.monotonic()
        self._list_again_at = 0.0

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Self]:
        """Open store and session for the tasks, and write the list of topics before any call."""
        options = self.plan.options
        flow_run, runner = run_context()
        runner.window = options.concurrency * 5 // 4 + 2  # some are formatted while others ask
        self.run_id = await asyncio.to_thread(new_run_id, flow_run, self.place)
        slugs = {topic.slug for topic in self.batch.topics}
        self.earlier = EarlierReports(self.place, self.run_id, slugs)
        self.log.info(
            "%d topics, model %s, into %s",
            len(self.batch.topics),
            self.plan.model,
            self.place.path(self.run_id),
        )
        for warning in self.batch.warnings:
            self.log.warning(warning)
        await asyncio.to_thread(publish_topics, self.place, self.result())
        await asyncio.to_thread(sweep, self.place)
        opened = self.store.opened(
            days=options.store_days,
            max_mb=options.store_mb,
            refresh=options.refresh,
            lease_s=self.settings.lease_s,
        )
        async with opened, self.session:
            with (
                rarer_collections(),
                decisions_only(),
                use_store(self.store),
                use_session(self.session),
            ):
                self.progress.begin(self.session, total=len(self.batch.topics))
                async with self.artifacts.moving():
                    with self.interruption.heeded():
                        yield self

    async def approved(
        self, refining: Sequence[PrefectFuture[Any]]
    ) -> Sequence[PrefectFuture[Any]]:
        """Hold the finished reports until a person has decided on them."""
        for turn in count(1):
            found = await asyncio.gather(*map(self._finished, self.batch.topics, refining))
            finished = [report for report in found if report]
            if self.session.stopped:
                said = "the batch stopped before anybody could decide on it; run the same again"
                self.held |= {r.topic.slug: HeldBack(said) for r, _ in finished}
            if not finished or self.session.stopped:
                break
            self.log.info("%d finished reports wait for a decision", len(finished))
            decision = await ask_person(
                finished,
                turn=turn,
                quality_threshold=self.plan.quality_threshold,
                max_iterations=self.plan.max_iterations,
                days=self.plan.options.approval_days,
                deployed=of_a_deployment(),
            )
            self.log.info("decided: %s", decision.decision)
            if decision.decision != "refine":
                self.held |= held_back(decision, finished)
                break
            self.plan = self.plan.model_copy(
                update=decision.model_dump(include={"quality_threshold", "max_iterations"})
            )
            refining = refine_report.map(self.batch.topics, unmapped(self.plan))
        return refining

    async def _finished(
        self, topic: Topic, refining: PrefectFuture[Any]
    ) -> tuple[Refined, str] | None:
        """A refined report with its summary; None for one that failed, and why is kept."""
        try:
            refined: Refined = await ended(refining)
            ask = summary_ask(self.plan, topic, refined.winner.text)
            summary, _ = await ask_model(generate_summary, ask)
        except Exception as error:
            self.held[topic.slug] = error
            return None
        self.held.pop(topic.slug, None)
        return refined, summary.text

    async def finish(self, topic: Topic, refining: PrefectFuture[Any]) -> None:
        """See one topic through to its result directory; a failure stays with the topic."""
        try:
            refined = await ended(refining)
            if topic.slug in self.held:
                raise self.held[topic.slug]
            report = await self._publish(refined)
        except ReportsError as error:
            if error.reach == "fatal":
                self.session.stop(error)
            status = "not_started" if error.reach == "not_started" else "failed"
            report = self._unpublished(topic, status, error.report())
        except Exception as error:  # whatever it is, it ends this report only
            self.log.exception("%s: unexpected %s", topic.slug, type(error).__name__)
            said = f"unexpected {type(error).__name__}; the log of the flow run has the traceback"
            report = self._unpublished(
                topic, "failed", ErrorReport(kind="unexpected", message=said)
            )
        await self.session.budget.release(topic.slug)
        self.results[topic.slug] = report
        self.progress.add(report)
        forget(refining)
        forget_results()
        await self._list_topics()

    async def _publish(self, refined: Refined) -> ReportResult:
        """Summarize, format and write a report; one task run when its summary is there already."""
        topic, offline = refined.topic, self.plan.model == OFFLINE
        ask = summary_ask(self.plan, topic, refined.winner.text)
        markdown: Any = None
        html: Any = None
        summary = await self.store.kept(ask)
        if summary:
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
            earlier=self.earlier,
            documents=documents,
            warnings=warnings,
        )
        writing: Any = publish_report.submit(  # pyright: ignore[reportUnknownMemberType]
            as_is(publication),
            as_is(self.place),
            markdown,
            html,
        )
        written: Published = await ended(writing)
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

    def _unpublished(
        self, topic: Topic, status: Literal["failed", "not_started"], error: ErrorReport | None
    ) -> ReportResult:
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

    async def _list_topics(self) -> None:
        """Bring topics.csv up to date, at most a fiftieth of the time."""
        began = time.monotonic()
        if began >= self._list_again_at:
            self._list_again_at = float("inf")
            try:
                await asyncio.to_thread(publish_topics, self.place, self.result())
            except StorageError as error:
                self.session.stop(error)
            now = time.monotonic()
            self._list_again_at = now + max(1.0, 50 * (now - began))

    def result(self) -> BatchResult:
        """The batch as it stands; a topic without a result is not started."""
        total, store = self.session.ledger.total, self.store
        reports = [
            self.results.get(t.slug) or self._unpublished(t, "not_started", None)
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
            pacing=[
                PaceRecord(
                    endpoint=line.host,
                    concurrency=self.plan.options.concurrency,
                    peak=line.pace.peak,
                    allowed=line.pace.allowed,
                    lowest=line.pace.lowest,
                    refusals=line.pace.refusals,
                    paused_s=round(line.pace.paused_s, 3),
                )
                for line in self.session.lines
            ],
            warnings=[*self.batch.warnings, *self.warnings, *store.warnings],
        )

    async def close(self) -> BatchResult:
        """Write the run's pages, batch.json last, and return what has become of the batch."""
        result = self.result()
        try:
            templates = self.plan.options.templates
            await asyncio.to_thread(publish_run, self.place, result, self.published, templates)
        except StorageError as error:
            self.session.stop(error)
            self.log.error("the run's pages could not be written: %s", error)
            result = self.result()
        self.log.info("%s: %s", result.status, counts(result))
        await self.artifacts.show_result(result)
        self.interruption.end()
        return result
