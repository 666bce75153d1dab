"""A batch's access to its endpoints: it decides what follows each request.

The session makes requests until there is an accepted answer or the task around it has to know of
a failure. The task repeats what may succeed (`calls.policies`); everything else that repeats a
request is the one loop here. Not here: single requests (`llm.line`).
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
    EndpointUnavailable,
    FatalCallError,
    NotAnEndpoint,
    ReportsError,
    RetryLater,
)
from prefect_llm_reports.tasks.contract.options import CallOptions
from prefect_llm_reports.tasks.llm.answer_forms import Invalid
from prefect_llm_reports.tasks.llm.budget import Budget
from prefect_llm_reports.tasks.llm.call import Call
from prefect_llm_reports.tasks.llm.endpoint import Endpoint
from prefect_llm_reports.tasks.llm.ledger import Ledger
from prefect_llm_reports.tasks.llm.line import Line
from prefect_llm_reports.tasks.llm.pacing import PaceStopped
from prefect_llm_reports.tasks.llm.refusals import Unsupported
from prefect_llm_reports.tasks.llm.replies import Reply

MAX_ATTEMPTS = 3
"""Failed attempts at one endpoint after which a call fails."""

MAX_REASKS = 2
"""Times that the model is asked again with the reason why its answer is unusable."""

SHOWN_AGAIN = 20_000
"""Characters of an unusable answer that the model is shown again."""

AGAIN = "The answers so far are kept; run the same command again"
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
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for endpoint in self._endpoints:
            line = Line(endpoint, self._options, self.budget, self.ledger)
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
        """Make no further call; requests under way may finish. The first reason is kept."""
        if self.stopped is None:
            self.stopped = error
            for line in self.lines:
                line.stop()

    def worst_usd(self, ask: Ask) -> Decimal | None:
        """The most that one request can cost at any endpoint; None: a price is unknown."""
        worst = [line.worst_usd(ask) for line in self.lines]
        known = [usd for usd in worst if usd is not None]
        return max(known) if len(known) == len(worst) else None

    @asynccontextmanager
    async def until_kept(self, ask: Ask) -> AsyncGenerator[None]:
        """Pursue a question until its answer is kept: its history and its turn end with this.

        Requests under way and answers not yet kept are together never more than the concurrency,
        so a crash cannot cost more than that.
        """
        call = Call(ask, ask.max_output_tokens)
        token = _call.set(call)
        try:
            yield
        finally:
            _call.reset(token)
            await call.turn.aclose()

    async def answer(self, ask: Ask) -> Answer:
        """Ask until there is an accepted answer or an attempt has failed.

        Within `until_kept`, the attempts of one question count together.

        Raises:
            EndpointUnavailable: Another attempt may succeed; ask again.
            CallError: It will not; the class says how far that reaches.
        """
        call = _call.get()
        if call is None or call.ask.key != ask.key:
            async with self.until_kept(ask):
                return await self.answer(ask)
        try:
            answer = await self._answer(call)
        except CallError as error:
            error.step = ask.step
            error.attempts = call.requests
            error.request_id = error.request_id or call.request_id
            raise
        self.ledger.answered(ask.item)
        return answer

    async def _answer(self, call: Call) -> Answer:
        """Send requests, one a round; what came of one decides on the next."""
        while True:
            line = self._serving(call.ask)
            try:
                reply = await line.attempt(call)
                answer = self._accepted(call, line, reply)
            except PaceStopped:
                if line.closed_for(call.ask):
                    call.go_elsewhere()
            except CallError as error:
                self._go_on(call, line, error)
            else:
                if answer is not None:
                    line.health.settled()
                    return answer
                call.begin_anew()

    def _serving(self, ask: Ask) -> Line:
        """The first endpoint that can serve.

        Raises:
            CallError: The batch is stopped, or no endpoint can serve.
        """
        if self.stopped:
            raise CallsStopped(f"not asked: {self.stopped}")
        closed: FatalCallError | None = None
        for line in self.lines:
            closed = line.closed_for(ask)
            if closed is None:
                return line
        assert closed is not None
        self.stop(closed)
        raise closed

    def _accepted(self, call: Call, line: Line, reply: Reply) -> Answer | None:
        """The answer in the form that is kept; None: the call is changed, ask again.

        Raises:
            CallError: Asking again would not help.
        """
        ask = call.ask
        if reply.truncated:
            if call.output_tokens > ask.max_output_tokens:
                raise AnswerTruncated(
                    f"the answer was cut at {call.output_tokens} tokens, after one at"
                    f" {ask.max_output_tokens}; raise max_output_tokens or ask for less"
                )
            call.output_tokens *= 2
            return None
        try:
            text = ask.accept(reply.text)
        except Invalid as problem:
            if call.reasks == MAX_REASKS:
                raise AnswerUnusable(
                    f"still not usable after asking {MAX_REASKS + 1} times: {problem} {AGAIN},"
                    " or choose another model for this step"
                ) from None
            call.reasks += 1
            call.talk = (
                Message(role="assistant", content=reply.text[:SHOWN_AGAIN]),
                Message(role="user", content=REASK.format(problem=problem)),
            )
            return None
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

    def _go_on(self, call: Call, line: Line, error: CallError) -> None:
        """Return to have the loop ask again: without a parameter, or at another endpoint.

        Raises:
            CallError: The failure concerns the task; the class says how far it reaches.
        """
        if isinstance(error, Unsupported):
            if line.dialect.learn(error, call.left_out):
                return
            error = error.rejected
        error = self._judged(call, line, error)
        if not isinstance(error, FatalCallError):
            raise error from None
        line.close(call.ask, error)
        logger.error("%s: %s", call.ask.label, error)
        call.go_elsewhere()

    def _judged(self, call: Call, line: Line, error: CallError) -> CallError:
        """The failure in the light of the call's and the endpoint's history."""
        if isinstance(error, NotAnEndpoint) and error.status == 200 and not call.suspicious:
            call.suspicious = True
            error = EndpointUnavailable(error.message, status=200, request_id=error.request_id)
        if isinstance(error, AnswerRefused | AnswerTruncated | AnswerUnusable | CallRejected):
            line.health.settled()
            return error
        if not isinstance(error, EndpointUnavailable | CallTimedOut):
            return error
        seen = error.message
        if isinstance(error, EndpointUnavailable):
            call.failures += 1
            if (asked := error.retry_after or 0) > self._options.deadline_s:
                return _later(error, asked)
            if self._may_repeat(call, asked):
                return error
            error = AttemptsExhausted(
                f"{seen}. {AGAIN}", status=error.status, request_id=error.request_id
            )
        return line.health.gave_up(seen) or error

    def _may_repeat(self, call: Call, asked: float) -> bool:
        """Whether there is time for another attempt; if so, say when it may be sent.

        Args:
            call: The call.
            asked: Seconds that the endpoint asks to wait; its pace makes every caller wait.
        """
        now = asyncio.get_running_loop().time()
        left = (call.ends or now + self._options.deadline_s) - now
        wait = random.uniform(0, self._backoff_s * 2 ** (call.failures - 1))  # noqa: S311
        if call.failures == MAX_ATTEMPTS or max(wait, asked) >= left:
            return False
        call.again = True
        call.not_before = now + wait
        return True


def _later(error: EndpointUnavailable, seconds: float) -> RetryLater:
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return RetryLater(
        f"{error.message}; it asks to wait {seconds:.0f} s, longer than a call may take:"
        f" resume after {at:%Y-%m-%d %H:%M:%S} UTC with the same command",
        status=error.status,
        retry_after=seconds,
    )


_session: ContextVar[Session] = ContextVar("llm_session")
_call: ContextVar[Call | None] = ContextVar("llm_call", default=None)


@contextmanager
def use_session(session: Session) -> Generator[None]:
    """Have the tasks that are started within use this session."""
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
