"""A batch's access to its endpoints: it decides what follows each request.

The session makes requests until there is an accepted answer or the task around it has to know of
a failure. The task repeats what may succeed (`calls.policies`); everything else that repeats a
request is the one loop here. Not here: single requests (`llm.line`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar
from decimal import Decimal
from types import TracebackType
from typing import Self

from prefect_llm_reports.tasks.contract.call_options import CallOptions
from prefect_llm_reports.tasks.contract.calls import Answer, Ask
from prefect_llm_reports.tasks.contract.errors import (
    CallError,
    CallsStopped,
    FatalCallError,
    ReportsError,
)
from prefect_llm_reports.tasks.llm.budget import Budget
from prefect_llm_reports.tasks.llm.call import Call
from prefect_llm_reports.tasks.llm.endpoint import Endpoint
from prefect_llm_reports.tasks.llm.fitting import accepted
from prefect_llm_reports.tasks.llm.ledger import Ledger
from prefect_llm_reports.tasks.llm.line import Line
from prefect_llm_reports.tasks.llm.pacing import PaceStopped
from prefect_llm_reports.tasks.llm.repeats import Repeats
from prefect_llm_reports.tasks.llm.tracing import step_span

logger = logging.getLogger(__name__)


class Session:
    """A batch's access to its endpoints; used as an async context manager on one event loop.

    Args:
        endpoints: Where to ask, in order: the next is used when one can no longer serve.
        options: The batch's options: concurrency, deadline, budget, rate limits, prices.
        backoff_s: Longest wait before a second attempt; the third may wait twice as long.
        patience_s: Seconds to wait for an endpoint that is away; None: as the options say.
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
        patience_s: float | None = None,
        beside: Session | None = None,
    ) -> None:
        self.ledger = beside.ledger if beside else Ledger()
        self.budget = beside.budget if beside else Budget(options.budget_usd)
        self.stopped: ReportsError | None = None
        self.lines: list[Line] = []
        self._endpoints = endpoints
        if patience_s is not None and options.patience_s is None:
            options = options.model_copy(update={"patience_s": patience_s})
        self._options = options
        self._repeats = Repeats(options, backoff_s)
        self._resources = AsyncExitStack()
        self._halted = False
        self._under_way: set[asyncio.Timeout] = set()

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

    def halt(self) -> None:
        """Give up the requests under way; `stop` comes before it."""
        self._halted = True
        now = asyncio.get_running_loop().time()
        for request in self._under_way:
            request.reschedule(now)

    @asynccontextmanager
    async def _until_halted(self) -> AsyncGenerator[None]:
        """Make requests until `halt`.

        Raises:
            CallsStopped: The requests were given up.
        """
        given_up = asyncio.timeout(0 if self._halted else None)
        try:
            async with given_up:
                self._under_way.add(given_up)
                try:
                    yield
                finally:
                    self._under_way.discard(given_up)
        except TimeoutError:
            if not given_up.expired():
                raise
            raise CallsStopped(f"given up: {self.stopped}") from None

    def worst_usd(self, ask: Ask) -> Decimal | None:
        """The most that one request can cost at any endpoint; None: a price is unknown."""
        worst = [line.purse.worst(ask) for line in self.lines]
        known = [usd for usd in worst if usd is not None]
        return max(known) if len(known) == len(worst) else None

    def usual_usd(self, ask: Ask, share: Decimal = Decimal(1)) -> Decimal | None:
        """A cost that one request, or this share of its answer, hardly exceeds; None: unknown."""
        usual = [line.purse.usual(ask, share) for line in self.lines]
        known = [usd for usd in usual if usd is not None]
        return max(known) if len(known) == len(usual) else None

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
            async with self._until_halted():
                with step_span(ask.step, ask.label, ask.item):
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
            line = await self._serving(call)
            try:
                reply = await line.attempt(call)
                answer = accepted(call, line, reply)
            except PaceStopped:
                if line.closed_for(call.ask):
                    call.go_elsewhere()
            except CallError as error:
                await self._go_on(call, line, error)
            else:
                if answer is not None:
                    line.health.settled()
                    return answer
                call.begin_anew()
            finally:
                if call.probing:
                    call.probing = False
                    line.absence.tried()

    async def _serving(self, call: Call) -> Line:
        """The first endpoint that can serve; while all of them are away, the first that is back.

        Raises:
            CallError: The batch is stopped, or no endpoint can serve.
        """
        while True:
            if self.stopped:
                raise CallsStopped(f"not asked: {self.stopped}")
            open_lines = [line for line in self.lines if self._is_open(line, call.ask)]
            if not open_lines:
                closed = next(filter(None, (line.closed_for(call.ask) for line in self.lines)))
                self.stop(closed)
                raise closed
            now = asyncio.get_running_loop().time()
            for line in open_lines:
                away = line.absence.since is not None
                if away and len(open_lines) > 1:
                    call.probing = line.absence.try_now(now)
                if not away or call.probing:
                    return self._at(line, call)
            line = open_lines[0]
            call.probing = await line.absence.turn()
            if call.probing:
                return self._at(line, call)

    def _is_open(self, line: Line, ask: Ask) -> bool:
        """Whether an endpoint can serve; one that has been away for too long no longer can."""
        if line.closed_for(ask) is None and (
            down := line.absence.over(asyncio.get_running_loop().time())
        ):
            line.close(ask, down)
            line.absence.end()
            logger.error("%s: %s", ask.label, down)
        return line.closed_for(ask) is None

    def _at(self, line: Line, call: Call) -> Line:
        """Begin anew at another endpoint than before."""
        if call.place not in (None, line):
            call.go_elsewhere()
        call.place = line
        return line

    async def _go_on(self, call: Call, line: Line, error: CallError) -> None:
        """Return to have the loop ask again: later, without a parameter, or at another endpoint.

        Raises:
            CallError: The failure concerns the task; the class says how far it reaches.
        """
        judged = await self._repeats.after(call, line, error)
        if judged is None:
            return
        if not isinstance(judged, FatalCallError):
            raise judged from None
        if line.closed_for(call.ask) is None:  # the first of many with the same reason
            logger.error("%s: %s", call.ask.label, judged)
        line.close(call.ask, judged)
        call.go_elsewhere()


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
