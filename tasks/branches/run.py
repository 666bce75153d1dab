"""One run of a program of branches: sessions and store are open, and inputs are answered.

Here: the parts that one input and a batch of inputs share. Not here: a batch's results and its
files (`branches.batch`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from typing import Self

from prefect import get_run_logger, task
from prefect.transactions import CommitMode, atransaction

from prefect_llm_reports.tasks.answers.store import AnswerStore
from prefect_llm_reports.tasks.branches.artifacts import show_program
from prefect_llm_reports.tasks.branches.asking import Answered, Work
from prefect_llm_reports.tasks.branches.checking import CheckedProgram
from prefect_llm_reports.tasks.branches.outcomes import outcome
from prefect_llm_reports.tasks.branches.questions import Inquiry
from prefect_llm_reports.tasks.branches.steps import Answering
from prefect_llm_reports.tasks.calls.answering import NotKept, ask_model, connected, read_store
from prefect_llm_reports.tasks.calls.policies import LOCAL_STEP
from prefect_llm_reports.tasks.calls.surroundings import ready_for_calls
from prefect_llm_reports.tasks.contract.branch_results import (
    BranchesResult,
    InquiryResult,
    InquiryStatus,
)
from prefect_llm_reports.tasks.contract.errors import ReportsError
from prefect_llm_reports.tasks.contract.records import ErrorReport
from prefect_llm_reports.tasks.contract.settings import Settings
from prefect_llm_reports.tasks.llm.session import Session
from prefect_llm_reports.tasks.runtime.context import flow_run_here, patience_here, run_context
from prefect_llm_reports.tasks.runtime.progress import progress_of_caller
from prefect_llm_reports.tasks.runtime.signals import Interruption
from prefect_llm_reports.tasks.runtime.trace_export import spans_sent
from prefect_llm_reports.tasks.runtime.traces import trace_here, traced_run, traced_topic

logger = logging.getLogger(__name__)


class BranchRun:
    """One run of a branch flow.

    Args:
        checked: The program, its inputs, and where to ask.
        settings: The environment.

    Attributes:
        session: Access to the run's own endpoint; it has the accounts of all endpoints.
    """

    def __init__(self, checked: CheckedProgram, settings: Settings) -> None:
        self.checked = checked
        self.program = checked.asker.program
        self.store = AnswerStore(location=checked.store)
        self._settings = settings
        self._sessions: dict[str | None, Session] = {}
        for name, endpoints in checked.endpoints.items():
            self._sessions[name] = Session(
                endpoints,
                self.program.options,
                backoff_s=settings.backoff_s,
                patience_s=patience_here(),
                beside=self._sessions.get(None),
            )
        self.session = self._sessions[None]
        self.progress = progress_of_caller.get()
        self.interruption = Interruption(
            self.stop, self.progress.on_interrupt if self.progress else None, self.halt
        )
        self.log = get_run_logger()

    @property
    def stopped(self) -> ReportsError | None:
        """The error that stopped the run; None: none did."""
        return next((s.stopped for s in self._sessions.values() if s.stopped), None)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about the request and about the store."""
        return (*self.checked.warnings, *self.store.warnings)

    def stop(self, error: ReportsError) -> None:
        """Make no further call at any endpoint."""
        for session in self._sessions.values():
            session.stop(error)

    def halt(self) -> None:
        """Give up the calls under way."""
        for session in self._sessions.values():
            session.halt()

    @asynccontextmanager
    async def open(
        self, conclude: Callable[[], Awaitable[None]] | None = None
    ) -> AsyncGenerator[Self]:
        """Open store and sessions for the tasks, and heed signals.

        Args:
            conclude: Awaited when all is answered, while signals are still heeded.
        """
        options = self.program.options
        _, runner = run_context()
        runner.window = max(2, options.concurrency * 5 // (4 * len(self.program.nodes)) + 2)
        for warning in self.checked.warnings:
            self.log.warning(warning)
            logger.warning("%s", warning)  # on the terminal before any call
        await show_program(self.program)
        with self.interruption.heeded():
            async with AsyncExitStack() as opened:
                await opened.enter_async_context(
                    self.store.opened(
                        days=options.store_days,
                        max_mb=options.store_mb,
                        refresh=options.refresh,
                        lease_s=self._settings.lease_s,
                    )
                )
                for session in self._sessions.values():
                    await opened.enter_async_context(session)
                await opened.enter_async_context(spans_sent(options.trace, options.experiment))
                queries = [inquiry.query for inquiry in self.checked.inquiries]
                run = flow_run_here()
                name = f"{run.name} {run.id.hex[-8:]}"
                opened.enter_context(traced_run("branches", name, queries))
                opened.enter_context(ready_for_calls(self.store))
                opened.callback(_running.reset, _running.set(self))
                if self.progress:
                    self.progress.begin(
                        self.session.ledger,
                        len(self.checked.inquiries),
                        self.session.lines,
                        calls_an_item=len(self.program.nodes),
                    )
                yield self
            if conclude:
                await conclude()

    async def answered(self, inquiry: Inquiry) -> tuple[BranchesResult, Answered]:
        """Answer one input: from the store if it has every answer, else by calls."""
        with traced_topic(inquiry.slug, inquiry.query):
            result, done = await self._answered(inquiry)
        if run := trace_here():
            cost = None if result.cost_usd is None else float(result.cost_usd)
            run.settle(inquiry.slug, {"status": result.status, "cost_usd": cost}, result.merged)
        return result, done

    def inquiry_result(
        self,
        inquiry: Inquiry,
        status: InquiryStatus,
        error: ErrorReport | None = None,
        outcome: BranchesResult | None = None,
        directory: str | None = None,
    ) -> InquiryResult:
        """One input's line in the result of a batch, with what its calls have cost so far."""
        spent = self.session.ledger.items[inquiry.slug]
        return InquiryResult(
            query=inquiry.title[:200],
            slug=inquiry.slug,
            status=status,
            directory=directory,
            answered=outcome.answered if outcome else 0,
            errors=outcome.errors if outcome else {},
            usage=spent.usage,
            cost_usd=spent.cost_usd,
            error=error,
        )

    async def _answered(self, inquiry: Inquiry) -> tuple[BranchesResult, Answered]:
        began, asker, ledger = time.monotonic(), self.checked.asker, self.session.ledger
        try:
            done = await Work(asker, inquiry, Answering(self._sessions, read_store)).done()
            ledger.reused(inquiry.slug, len(done.steps))
        except NotKept:
            with connected():
                done = await Work(asker, inquiry, Answering(self._sessions, ask_model)).done()
        result = outcome(
            self.program,
            inquiry,
            done,
            spent=ledger.items[inquiry.slug],
            stopped=self.stopped,
            duration_s=round(time.monotonic() - began, 3),
            warnings=self.warnings,
        )
        return result, done


_running: ContextVar[BranchRun] = ContextVar("branch_run")


@task(task_run_name="answer · {inquiry.short}", **LOCAL_STEP)
async def answer_inquiry(inquiry: Inquiry) -> tuple[BranchesResult, Answered]:
    """Ask all branches about one input of a batch, and merge their answers."""
    async with atransaction(commit_mode=CommitMode.EAGER):
        return await _running.get().answered(inquiry)
