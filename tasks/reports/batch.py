"""One run of a batch in one process: how it begins, waits for a decision, and ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Self

from prefect import unmapped
from prefect.futures import PrefectFuture

from prefect_llm_reports.tasks.calls.answering import ask_model
from prefect_llm_reports.tasks.contract.errors import HeldBack, StorageError
from prefect_llm_reports.tasks.contract.reports import BatchResult, Refined, Topic
from prefect_llm_reports.tasks.contract.settings import Settings
from prefect_llm_reports.tasks.reports.approval import ask_person, held_back
from prefect_llm_reports.tasks.reports.checking import CheckedBatch
from prefect_llm_reports.tasks.reports.publishing import publish_run, publish_topics
from prefect_llm_reports.tasks.reports.questions import summary_ask
from prefect_llm_reports.tasks.reports.refining import refine_report
from prefect_llm_reports.tasks.reports.run import ReportRun
from prefect_llm_reports.tasks.reports.steps import generate_summary
from prefect_llm_reports.tasks.results.manifests import new_run_id, sweep
from prefect_llm_reports.tasks.runtime.context import flow_run_here, of_a_deployment
from prefect_llm_reports.tasks.runtime.progress import progress_of_caller
from prefect_llm_reports.tasks.runtime.runner import as_is, ended
from prefect_llm_reports.tasks.runtime.states import counts


class BatchRun(ReportRun):
    """One run of the flow over all topics of a batch.

    Args:
        batch: What to do.
        settings: The environment's part of how.
    """

    def __init__(self, batch: CheckedBatch, settings: Settings) -> None:
        super().__init__(batch, settings, followed=progress_of_caller.get())
        self._list_again_at = 0.0

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Self]:
        """Write the list of topics before any call, then open store and session for the tasks."""
        await self.begin()
        options = self.plan.options
        async with self.asking(days=options.store_days, refresh=options.refresh), self.shown():
            yield self

    async def begin(self) -> None:
        """Choose the run's directory, and write the list of topics there."""
        self.run_id = await asyncio.to_thread(new_run_id, flow_run_here(), self.place)
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

    @asynccontextmanager
    async def shown(self) -> AsyncGenerator[None]:
        """Show how far the batch has come, and heed signals."""
        self.progress.begin(self.session, total=len(self.batch.topics))
        async with self.artifacts.moving():
            with self.interruption.heeded():
                yield

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
            refining = refine_report.map(self.batch.topics, unmapped(as_is(self.plan)))
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
        self.reviewed.add(topic.slug)
        return refined, summary.text

    async def note(self) -> None:
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
        await self.interruption.end()
        return result
