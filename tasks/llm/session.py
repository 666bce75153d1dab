"""The boundary to the model: one question in, one accepted answer out.

A `Session` is one batch's access to its endpoints. It makes one attempt each time it is asked and
decides what a failure means; the Prefect task around it repeats what may succeed, and the session
keeps count across those repeats.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import TracebackType
from typing import Self

from prefect_llm_reports.tasks.contract.calls import Answer, Ask, Message
from prefect_llm_reports.tasks.contract.errors import (
    AnswerRefused,
    AnswerTruncated,
    AnswerUnusable,
    AttemptsExhausted,
    CallError,
    CallRejected,
    CallsStopped,
    CallTimedOut,
    EndpointDown,
    EndpointUnavailable,
    FatalCallError,
    ModelNotFound,
    NotAnEndpoint,
    ReportsError,
    RetryLater,
)
from prefect_llm_reports.tasks.contract.options import CallOptions
from prefect_llm_reports.tasks.llm.answer_forms import Invalid
from prefect_llm_reports.tasks.llm.budget import Budget
from prefect_llm_reports.tasks.llm.endpoint import Endpoint
from prefect_llm_reports.tasks.llm.ledger import Ledger
from prefect_llm_reports.tasks.llm.line import Call, Line, LineClosed
from prefect_llm_reports.tasks.llm.replies import Unsupported

MAX_ATTEMPTS = 3
MAX_REASKS = 2
FAILURES_IN_A_ROW = 5
AGAIN = "What was answered is kept; run the same command again"
REASK = """Your answer cannot be used: {problem}

Answer again, completely and in the required form, and return nothing else."""

logger = logging.getLogger(__name__)


class Session:
    """A batch's access to its endpoints; used as an async context manager on one event loop.

    Args:
        endpoints: Where to ask, in order: the next is used when one can no longer serve.
        options: The batch's options: concurrency, deadline, budget, rate limits, prices.
        backoff_s: Longest wait before a second attempt; the third may wait twice as long.
        beside: Another session of the same run, to share its accounts and budget.

    Attributes:
        stopped: Why no further call is made; None: calls are made.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        options: CallOptions,
        *,
        backoff_s: float = 1.0,
        beside: Session | None = None,
    ) -> None:
        self.ledger = beside.ledger if beside else Ledger()
        self.budget = beside.budget if beside else Budget(options.budget_usd)
        self.stopped: ReportsError | None = None
        self.lines: list[Line] = []
        self._endpoints = endpoints
        self._options = options
        self._backoff_s = backoff_s
        self._calls: dict[str, Call] = {}
        self._turns: dict[str, AsyncExitStack] = {}
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for endpoint in self._endpoints:
            line = Line(endpoint, self._options, self.budget, self.ledger, lambda: self.stopped)
            self.lines.append(await line.open(self._resources))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._resources.aclose()

    def stop(self, error: ReportsError) -> None:
        """Make no further call; what is under way may finish. The first reason is kept."""
        if self.stopped is None:
            self.stopped = error
            for line in self.lines:
                line.pace.stop()

    def worst_usd(self, ask: Ask) -> Decimal | None:
        """The most one request for this can cost at any endpoint; None: a price is unknown."""
        worst = [line.worst_usd(ask) for line in self.lines]
        known = [usd for usd in worst if usd is not None]
        return max(known) if len(known) == len(worst) else None

    @asynccontextmanager
    async def until_kept(self, ask: Ask) -> AsyncGenerator[None]:
        """Let the answer to this hold its turn until the end of the context, when it is kept.

        Calls under way and answers not yet kept are together never more than the concurrency, so
        that a crash cannot cost more than that.
        """
        async with self._turns.setdefault(ask.key, AsyncExitStack()):
            try:
                yield
            finally:
                self._turns.pop(ask.key, None)

    async def answer(self, ask: Ask) -> Answer:
        """Make one attempt at an answer.

        Raises:
            EndpointUnavailable: Another attempt may succeed; ask again.
            CallError: It will not; the class says how far that reaches.
        """
        call = self._calls.setdefault(ask.key, Call(ask, ask.max_output_tokens))
        over = True
        try:
            answer = await self._answer(call)
            self.ledger.answered(ask.item)
            return answer
        except CallError as error:
            over = error.reach != "retry"
            error.step = ask.step
            error.attempts = call.requests
            error.request_id = error.request_id or call.request_id
            raise
        finally:
            if over:
                self._calls.pop(ask.key, None)
            kept = self._turns.get(ask.key)
            if kept is None:
                await call.turn.aclose()
            else:
                kept.push_async_callback(call.turn.pop_all().aclose)

    async def _answer(self, call: Call) -> Answer:
        """Ask the first endpoint that can serve; go on to the next when it no longer can."""
        while True:
            if self.stopped:
                raise CallsStopped(f"not asked: {self.stopped}")
            line = next((line for line in self.lines if not line.closed_for(call.ask)), None)
            if line is None:
                closed = self.lines[-1].closed_for(call.ask)
                assert closed is not None
                self.stop(closed)
                raise closed
            try:
                answer = await self._pursue(call, line)
            except LineClosed:
                call.go_elsewhere()
            except CallError as error:
                judged = self._judge(call, line, error)
                if judged.reach == "retry":
                    if call.repeats == MAX_ATTEMPTS - 1:  # the task is not repeated any more
                        continue
                    call.repeats += 1
                if not isinstance(judged, FatalCallError):
                    raise judged from None
                only = line.model_for(call.ask) if isinstance(judged, ModelNotFound) else None
                line.closed.setdefault(only, judged)
                logger.error("%s: %s", call.ask.label, judged)
                call.go_elsewhere()
            else:
                line.failed_in_a_row = 0
                return answer

    async def _pursue(self, call: Call, line: Line) -> Answer:
        """Ask, and ask again while it is the answer itself that falls short."""
        ask = call.ask
        while True:
            try:
                reply = await line.attempt(call)
            except Unsupported as error:
                line.adapt(call, error)
                continue
            if reply.truncated:
                if call.output_tokens > ask.max_output_tokens:
                    raise AnswerTruncated(
                        f"the answer was cut at {call.output_tokens} tokens, after one at"
                        f" {ask.max_output_tokens}; raise max_output_tokens or ask for less"
                    )
                call.output_tokens *= 2
                call.begin_anew()
                continue
            try:
                text = ask.accept(reply.text)
            except Invalid as problem:
                if call.reasks == MAX_REASKS:
                    raise AnswerUnusable(
                        f"still not usable after asking {MAX_REASKS + 1} times: {problem} {AGAIN},"
                        " or choose another model for this step"
                    ) from None
                call.reasks += 1
                call.talk = [
                    Message(role="assistant", content=reply.text[:20_000]),
                    Message(role="user", content=REASK.format(problem=problem)),
                ]
                call.begin_anew()
                continue
            return Answer(
                text=text,
                model=reply.model,
                endpoint=line.endpoint.base_url,
                created=reply.created,
                usage=call.usage,
                cost_usd=call.usd,
                request_id=reply.request_id,
                attempts=call.requests,
            )

    def _judge(self, call: Call, line: Line, error: CallError) -> CallError:
        """Decide how far a failed attempt reaches, now that the call's history counts."""
        if isinstance(error, NotAnEndpoint) and error.status == 200 and not call.suspicious:
            call.suspicious = True
            error = EndpointUnavailable(error.message, status=200, request_id=error.request_id)
        if isinstance(error, EndpointUnavailable):
            call.failures += 1
            if (asked := error.retry_after or 0) > self._options.deadline_s:
                return _later(error, asked)
            now = asyncio.get_running_loop().time()
            left = (call.ends or now + self._options.deadline_s) - now
            wait = random.uniform(0, self._backoff_s * 2 ** (call.failures - 1))  # noqa: S311
            if call.failures < MAX_ATTEMPTS and max(wait, asked) < left:
                call.again = True
                call.not_before = now + wait  # what it asks to wait, everybody waits
                return error
            seen, status, request_id = error.message, error.status, error.request_id
            error = AttemptsExhausted(f"{seen}. {AGAIN}", status=status, request_id=request_id)
        elif isinstance(error, CallTimedOut):
            seen = error.message
        else:
            if isinstance(error, AnswerRefused | AnswerTruncated | AnswerUnusable | CallRejected):
                line.failed_in_a_row = 0
            return error
        line.failed_in_a_row += 1
        if not line.reached:
            return EndpointDown(
                f"first contact failed: {seen}; check the base URL and that the endpoint is"
                " running, then run the same command again"
            )
        if line.failed_in_a_row >= FAILURES_IN_A_ROW:
            return EndpointDown(
                f"{line.failed_in_a_row} calls in a row failed, the last: {seen}; what was answered"
                " is kept: run the same command again when the endpoint is well"
            )
        return error


def _later(error: EndpointUnavailable, seconds: float) -> RetryLater:
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return RetryLater(
        f"{error.message}; it asks to wait {seconds:.0f} s, longer than a call may take:"
        f" resume after {at:%Y-%m-%d %H:%M:%S} UTC with the same command",
        status=error.status,
        retry_after=seconds,
    )


_session: ContextVar[Session] = ContextVar("llm_session")


@contextmanager
def use_session(session: Session) -> Generator[None]:
    """Make a session the one that the tasks started within use."""
    token = _session.set(session)
    try:
        yield
    finally:
        _session.reset(token)


def current_session() -> Session:
    """The session of the running batch.

    Raises:
        LookupError: Called outside of a batch.
    """
    return _session.get()
