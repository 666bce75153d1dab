"""When a request may be sent to an endpoint: turns, pauses, and the limits behind them.

One `Pace` serves all callers of an endpoint on an event loop, whichever batch they belong to.
Here: the queue and its timers. Not here: how many requests at once (`llm.adaptive`), rates
(`llm.windows`), slow answers (`llm.slowness`), prompts, prices, retries.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import NamedTuple

from prefect_llm_reports.tasks.llm.adaptive import AdaptiveLimit
from prefect_llm_reports.tasks.llm.slowness import Slowness
from prefect_llm_reports.tasks.llm.windows import Windows

OPENING_S = 0.25
"""Seconds without a refusal after which an untried endpoint gets twice as many requests."""

LATE_S = 0.05
"""A timer this late shows that this process is busy; silence then says nothing of the endpoint."""


class PaceStopped(Exception):
    """Nothing is sent: the batch ends, or the endpoint can no longer serve it."""


class Pauses:
    """Times in which nothing is sent, because the endpoint asked for that.

    Attributes:
        total_s: Seconds of all pauses so far.
    """

    def __init__(self) -> None:
        self.total_s = 0.0
        self._until = 0.0

    def add(self, seconds: float, now: float) -> None:
        """Send nothing for this long; a shorter pause does not end a longer one."""
        until = now + seconds
        if until > self._until:
            self.total_s += until - max(self._until, now)
            self._until = until

    def left_s(self, now: float) -> float:
        """Seconds until requests are sent again."""
        return max(0.0, self._until - now)


class _Waiting(NamedTuple):
    """A caller that waits for its turn, with the likely tokens of its call."""

    turn: asyncio.Future[None]
    tokens: int
    batch: object


class Pace:
    """Admits requests to one endpoint, first come, first served.

    Args:
        requests_per_minute: The account's limit; None: none.
        tokens_per_minute: The account's limit, input and output together; None: none.

    Attributes:
        limit: How many requests may be under way at once.
        pauses: Pauses that the endpoint asked for.
        in_flight: Requests under way now.
        peak: The most requests that were under way at once.
    """

    def __init__(
        self, requests_per_minute: int | None = None, tokens_per_minute: int | None = None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.limit = AdaptiveLimit()
        self.pauses = Pauses()
        self.in_flight = 0
        self.peak = 0
        self._windows = Windows(requests_per_minute, tokens_per_minute, self._loop.time())
        self._slowness = Slowness()
        self._ceilings: list[int] = []
        self._waiting: deque[_Waiting] = deque()
        self._again: deque[_Waiting] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._opening: asyncio.TimerHandle | None = None

    def join(self, ceiling: int) -> None:
        """Add a batch that allows `ceiling` requests at once; the lowest of all batches holds."""
        self._ceilings.append(ceiling)
        self.limit.ceiling = min(self._ceilings)

    def leave(self, ceiling: int) -> None:
        """Take a batch's ceiling back."""
        self._ceilings.remove(ceiling)
        self.limit.ceiling = min(self._ceilings, default=self.limit.ceiling)
        if self._ceilings:
            self._admit()
        else:
            for timer in (self._timer, self._opening):
                if timer:
                    timer.cancel()
            self._timer = self._opening = None

    @asynccontextmanager
    async def slot(
        self, tokens: int, *, first: bool = False, batch: object = None
    ) -> AsyncGenerator[None]:
        """Wait for a turn and hold it.

        Args:
            tokens: Likely tokens of the call, for the tokens-a-minute limit.
            first: Go before all others: the call had its turn before, and its deadline runs. It is
                not used to try out a higher limit.
            batch: The batch that asks; `stop` turns away callers by batch.

        Raises:
            PaceStopped: The batch was stopped meanwhile.
        """
        await self._turn(tokens, first=first, batch=batch)
        try:
            yield
        finally:
            self.in_flight -= 1
            self._admit()

    def spent(self, expected: int, used: int) -> None:
        """Correct the tokens a minute once a call's tokens are known."""
        self._windows.correct(expected, used)

    def answered(self, step: str, sent_at: float) -> None:
        """Take note of an answer; a run of very slow ones counts as overload."""
        if self._slowness.slow(step, self._loop.time() - sent_at):
            self.overloaded(sent_at)
        elif self.limit.answered(self.in_flight):
            self._admit()

    def overloaded(self, sent_at: float) -> None:
        """Take note of a refusal: fewer requests at once."""
        self.limit.overloaded(self.in_flight, sent_at, self._loop.time())

    def failing(self) -> None:
        """Take note that requests fail in a row: one request at a time."""
        self.limit.one_at_a_time(self._loop.time())

    def pause(self, seconds: float) -> None:
        """Send nothing for this long, for no caller."""
        self.pauses.add(seconds, self._loop.time())

    def stop(self, batch: object = None) -> None:
        """Turn away the callers of a batch that wait; the other batches go on."""
        for queue in (self._again, self._waiting):
            callers = [*queue]
            queue.clear()
            for waiting in callers:
                if waiting.batch is not batch:
                    queue.append(waiting)
                elif not waiting.turn.done():
                    waiting.turn.set_exception(PaceStopped())

    async def _turn(self, tokens: int, *, first: bool, batch: object) -> None:
        turn = self._loop.create_future()
        (self._again if first else self._waiting).append(_Waiting(turn, tokens, batch))
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.in_flight -= 1
                self._admit()
            raise

    def _admit(self) -> None:
        while queue := self._next():
            turn, tokens, _ = queue[0]
            if turn.done():
                queue.popleft()
                continue
            if wait := self._wait_s():
                self._later(wait)
                return
            queue.popleft()
            self._windows.take(tokens)
            self.in_flight += 1
            self.peak = max(self.peak, self.in_flight)
            self.limit.admitted(self.in_flight)
            turn.set_result(None)
            if self._opening:  # all that is allowed has to be under way for a while
                self._opening.cancel()
                self._opening = None
        if self._waiting and self.limit.untried and self._opening is None:
            due = self._loop.time() + OPENING_S
            self._opening = self._loop.call_at(due, self._open_further, due)

    def _next(self) -> deque[_Waiting] | None:
        """The queue whose first caller may go now; None: nobody may."""
        if self._again and self.in_flight < self.limit.known_good:
            return self._again
        return self._waiting if self._waiting and self.in_flight < self.limit.allowed else None

    def _wait_s(self) -> float:
        now = self._loop.time()
        return max(self.pauses.left_s(now), self._windows.wait_s(now))

    def _later(self, seconds: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._admit)

    def _open_further(self, due: float) -> None:
        self._opening = None
        if self.limit.untried and self._loop.time() - due < LATE_S:
            self.limit.double()
        self._admit()


_paces: weakref.WeakKeyDictionary[
    asyncio.AbstractEventLoop, weakref.WeakValueDictionary[str, Pace]
] = weakref.WeakKeyDictionary()


def shared_pace(
    endpoint: str, requests_per_minute: int | None, tokens_per_minute: int | None
) -> Pace:
    """The pace of an endpoint on the running loop; the first caller's rate limits hold."""
    here = _paces.setdefault(asyncio.get_running_loop(), weakref.WeakValueDictionary())
    pace = here.get(endpoint)
    if pace is None:
        pace = here[endpoint] = Pace(requests_per_minute, tokens_per_minute)
    return pace
