"""One run of a program of branches: sessions and store opened, inputs answered, results written."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal, Self

from prefect import get_run_logger, task
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.transactions import CommitMode, atransaction

from prefect_llm_reports.tasks.answers.store import AnswerStore, use_store
from prefect_llm_reports.tasks.branches.artifacts import show_program
from prefect_llm_reports.tasks.branches.asking import Answered, Work
from prefect_llm_reports.tasks.branches.checking import CheckedProgram
from prefect_llm_reports.tasks.branches.pages import branch_files, branch_run_page
from prefect_llm_reports.tasks.branches.questions import Inquiry
from prefect_llm_reports.tasks.calls.answering import NotKept, ask_model, read_store
from prefect_llm_reports.tasks.calls.policies import LOCAL_STEP
from prefect_llm_reports.tasks.contract.branch_results import (
    BranchBatchResult,
    BranchesResult,
    BranchOutput,
    InquiryResult,
)
from prefect_llm_reports.tasks.contract.errors import ReportsError, StorageError
from prefect_llm_reports.tasks.contract.records import (
    BATCH,
    MANIFEST,
    OFFLINE,
    Calls,
    ErrorReport,
    canonical_json,
)
from prefect_llm_reports.tasks.contract.settings import Settings
from prefect_llm_reports.tasks.llm.answer_forms import Form
from prefect_llm_reports.tasks.llm.session import Session
from prefect_llm_reports.tasks.results.index import publish_index
from prefect_llm_reports.tasks.results.manifests import new_run_id, pretty_json
from prefect_llm_reports.tasks.runtime.context import outside_of_tasks, run_context
from prefect_llm_reports.tasks.runtime.logs import decisions_only
from prefect_llm_reports.tasks.runtime.memory import forget_results, rarer_collections
from prefect_llm_reports.tasks.runtime.progress import progress_of_caller
from prefect_llm_reports.tasks.runtime.runner import ended, forget
from prefect_llm_reports.tasks.runtime.signals import Interruption
from prefect_llm_reports.tasks.storage.places import Place


class BranchRun:
    """One run of a branch flow.

    Args:
        checked: The program, its inputs, and where to ask.
        settings: The environment's part of how.
    """

    def __init__(self, checked: CheckedProgram, settings: Settings) -> None:
        self.checked = checked
        self.program = checked.asker.program
        self.settings = settings
        self.store = AnswerStore(location=checked.store)
        self.sessions: dict[str | None, Session] = {}
        for name, endpoints in checked.endpoints.items():
            self.sessions[name] = Session(
                endpoints,
                self.program.options,
                backoff_s=settings.backoff_s,
                beside=self.sessions.get(None),
            )
        self.session = self.sessions[None]
        self.followed = progress_of_caller.get()
        self.interruption = Interruption(
            self.stop, self.followed.on_interrupt if self.followed else None
        )
        self.run_id = ""
        self.results: dict[str, InquiryResult] = {}
        self.log = get_run_logger()
        self._started = datetime.now(UTC)
        self._clock = time.monotonic()

    def stop(self, error: ReportsError) -> None:
        """Make no further call at any endpoint."""
        for session in self.sessions.values():
            session.stop(error)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Self]:
        """Open store and sessions for the tasks."""
        options = self.program.options
        run, runner = run_context()
        runner.window = max(2, options.concurrency * 5 // (4 * len(self.program.nodes)) + 2)
        if self.checked.output:
            self.run_id = await asyncio.to_thread(new_run_id, run, self.checked.output)
        for warning in self.checked.warnings:
            self.log.warning(warning)
        await show_program(self.program)
        async with AsyncExitStack() as opened:
            await opened.enter_async_context(
                self.store.opened(
                    days=options.store_days,
                    max_mb=options.store_mb,
                    refresh=options.refresh,
                    lease_s=self.settings.lease_s,
                )
            )
            for session in self.sessions.values():
                await opened.enter_async_context(session)
            opened.enter_context(outside_of_tasks())
            opened.enter_context(rarer_collections())
            opened.enter_context(decisions_only())
            opened.enter_context(use_store(self.store))
            opened.callback(_running.reset, _running.set(self))
            if self.followed:
                self.followed.begin(self.session, total=len(self.checked.inquiries))
            with self.interruption.heeded():
                yield self

    async def answered(self, inquiry: Inquiry) -> tuple[BranchesResult, Answered]:
        """One input's branches and their merge; answers that are kept are read, others asked."""
        began, asker = time.monotonic(), self.checked.asker
        try:
            done = await Work(asker, inquiry, self.sessions, read_store).done()
            self.session.ledger.reused(inquiry.slug, len(done.steps))
        except NotKept:
            done = await Work(asker, inquiry, self.sessions, ask_model).done()
        spent = self.session.ledger.items[inquiry.slug]
        stopped = next((s.stopped for s in self.sessions.values() if s.stopped), None)
        merged = done.merged
        if merged.error and stopped:
            status = "stopped"
        elif merged.error:
            status = "failed"
        elif self.program.merge != "any" and any(o.status != "answered" for o in done.outputs):
            status = "partial"
        else:
            status = "complete"
        query: Any = inquiry.query
        result = BranchesResult(
            status=status,
            query=query,
            merge=self.program.merge,
            outputs=[self._typed(output) for output in done.outputs],
            merged=self._typed_merge(merged.value, merged.winner),
            winner=merged.winner,
            ranking=merged.ranking,
            tally=merged.tally,
            usage=spent.usage,
            cost_usd=spent.cost_usd,
            calls=Calls(made=spent.made, cached=spent.cached, retried=spent.retried),
            duration_s=round(time.monotonic() - began, 3),
            error=stopped.report() if status == "stopped" and stopped else merged.error,
            warnings=(*self.checked.warnings, *self.store.warnings),
        )
        return result, done

    def _typed(self, output: BranchOutput) -> BranchOutput:
        if output.status != "answered":
            return output
        form = next(node.form for node in self.program.nodes if node.name == output.name)
        return output.model_copy(update={"output": _value(form, output.output)})

    def _typed_merge(self, value: Any, winner: str | None) -> Any:
        """The merge as Python values, where a form says how."""
        forms = {node.name: node.form for node in self.program.results}
        if value is None:
            return None
        if winner:
            return _value(forms[winner], value)
        if self.program.merge == "all":
            return [_value(form, v) for form, v in zip(forms.values(), value, strict=True)]
        if self.program.merge == "synthesize":
            return _value(self.program.synthesis, value)
        return value

    async def finish(self, inquiry: Inquiry, answering: PrefectFuture[Any]) -> None:
        """Take note of one input of a batch, and list what there is."""
        place = self.checked.output
        assert place is not None
        outputs: list[BranchOutput] = []
        directory: str | None = None
        error: ErrorReport | None = None
        status: Literal["complete", "partial", "failed", "stopped"] = "failed"
        try:
            answered: tuple[BranchesResult, Answered] = await ended(answering)
            result, done = answered
            outputs, error = result.outputs, result.error
            if any(output.status == "answered" for output in outputs):
                directory = await publish_inquiry(self, inquiry, result, done)
            status = result.status
        except ReportsError as failed:
            if failed.reach == "fatal":
                self.stop(failed)
            error = failed.report()
        except Exception as failed:  # whatever it is, it ends this input only
            self.log.exception("%s: unexpected %s", inquiry.slug, type(failed).__name__)
            said = f"unexpected {type(failed).__name__}; the log of the flow run has the traceback"
            error = ErrorReport(kind="unexpected", message=said)
        forget(answering)
        forget_results()
        spent = self.session.ledger.items[inquiry.slug]
        found = InquiryResult(
            query=inquiry.text[:200],
            slug=inquiry.slug,
            status=status,
            directory=directory,
            answered=sum(output.status == "answered" for output in outputs),
            usage=spent.usage,
            cost_usd=spent.cost_usd,
            error=error,
        )
        self.results[inquiry.slug] = found
        if self.followed:
            self.followed.add(found)

    def result(self) -> BranchBatchResult:
        """The batch as it stands; an input without a result counts as stopped."""
        assert self.checked.output is not None
        stopped = next((s.stopped for s in self.sessions.values() if s.stopped), None)
        found = [
            self.results.get(i.slug)
            or InquiryResult(query=i.text[:200], slug=i.slug, status="stopped", answered=0)
            for i in self.checked.inquiries
        ]
        if any(item.status == "stopped" for item in found):
            status = "stopped"
        else:
            done = all(item.status == "complete" for item in found)
            status = "complete" if done else "partial"
        total = self.session.ledger.total
        return BranchBatchResult(
            run_id=self.run_id,
            status=status,
            run_directory=self.checked.output.path(self.run_id),
            offline=self.program.model == OFFLINE,
            started=self._started,
            duration_s=round(time.monotonic() - self._clock, 3),
            calls=total.calls,
            usage=total.usage,
            cost_usd=total.cost_usd,
            merge=self.program.merge,
            branches=tuple(node.name for node in self.program.nodes),
            inquiries=found,
            error=stopped.report() if stopped else None,
            warnings=(*self.checked.warnings, *self.store.warnings),
        )

    async def close(self) -> BranchBatchResult:
        """Write the run's page and batch.json, and return what has become of the batch."""
        place = self.checked.output
        assert place is not None
        result = self.result()
        try:
            await asyncio.to_thread(_publish_run, place, result)
        except StorageError as error:
            self.stop(error)
            self.log.error("the run's pages could not be written: %s", error)
            result = self.result()
        await self.interruption.end()
        return result


def _value(form: Form, output: Any) -> Any:
    return form.value(canonical_json(output)) if form.model else output


def _publish_run(place: Place, result: BranchBatchResult) -> None:
    place.write(f"{result.run_id}/index.html", branch_run_page(result).encode())
    place.write(f"{result.run_id}/{BATCH}", pretty_json(result))
    publish_index(place, result.run_id)


_running: ContextVar[BranchRun] = ContextVar("branch_run")


@task(task_run_name="{inquiry.slug}", **LOCAL_STEP)
async def answer_inquiry(inquiry: Inquiry) -> tuple[BranchesResult, Answered]:
    """Put one input of a batch to all branches, and merge their answers."""
    async with atransaction(commit_mode=CommitMode.EAGER):
        return await _running.get().answered(inquiry)


async def publish_inquiry(
    run: BranchRun, inquiry: Inquiry, result: BranchesResult, done: Answered
) -> str:
    """Write one input's result directory, whole or not at all, and return its full name."""
    place = run.checked.output
    assert place is not None
    files = branch_files(
        result,
        inquiry=inquiry,
        program=run.program,
        steps=done.steps,
        created=datetime.now(UTC),
        flow_run_id=flow_run.get_id(),
    )
    folder = f"{run.run_id}/{inquiry.slug}"
    await asyncio.to_thread(place.publish, folder, files, MANIFEST)
    return place.path(folder)
