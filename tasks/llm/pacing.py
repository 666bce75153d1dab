"""When a request may be sent to an endpoint: the queue of those who wait, and its timers.

One `Pace` serves all callers of an endpoint on an event loop, whichever batch they belong to.
Not here: how many requests at once (`llm.adaptive`), the account's rates and pauses (`llm.rates`),
requests at the endpoint (`llm.under_way`), slow answers (`llm.slowness`), prompts, prices, retries.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import NamedTuple

from prefect_llm_reports.tasks.llm.adaptive import STEPS, AdaptiveLimit
from prefect_llm_reports.tasks.llm.hints import Limit
from prefect_llm_reports.tasks.llm.rates import Rates
from prefect_llm_reports.tasks.llm.slowness import Slowness
from prefect_llm_reports.tasks.llm.under_way import Sent, UnderWay
from prefect_llm_reports.tasks.llm.windows import Windows

OPENING_S = 0.25
"""Seconds without a refusal after which an untried endpoint gets twice as many requests."""

STEP_S = OPENING_S / STEPS
"""Seconds without a refusal after which it gets a few more, on the way to twice as many."""

MUCH_LESS = 0.75
"""A refusal at less than this share of the requests taken at once before is due to their rate."""

LATE_S = 0.05
"""A timer this late shows that this process is busy; silence then says nothing of the endpoint."""


class PaceStopped(Exception):
    """Nothing is sent: the batch ends, or the endpoint can no longer serve it."""


class _Waiting(NamedTuple):
    """A caller that waits for its turn."""

    turn: asyncio.Future[Sent]
    guessed: int
    batch: object
    model: str
    weigh: Callable[[], int | None] | None

    @property
    def tokens(self) -> int:
        """The likely tokens of its call, by what is known now."""
        return (self.weigh() if self.weigh else None) or self.guessed


class Pace:
    """Admits requests to one endpoint, first come, first served.

    Args:
        requests_per_minute: The account's limit; None: none.
        tokens_per_minute: The account's limit, input and output together; None: none.

    Attributes:
        limit: How many requests may be under way at once.
        rates: The account's limits and pauses.
        under_way: Requests that the endpoint has not responded to yet.
        in_flight: Turns that are held now: requests under way, and answers not yet kept.
        peak: The most turns that were held at once.
    """

    def __init__(
        self, requests_per_minute: int | None = None, tokens_per_minute: int | None = None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.limit = AdaptiveLimit()
        self.rates = Rates(Windows(requests_per_minute, tokens_per_minute, self._loop.time()))
        self.under_way = UnderWay()
        self.in_flight = 0
        self.peak = 0
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
        self,
        tokens: int,
        *,
        first: bool = False,
        batch: object = None,
        model: str = "",
        weigh: Callable[[], int | None] | None = None,
    ) -> AsyncGenerator[Sent]:
        """Wait for a turn and hold it.

        Args:
            tokens: Likely tokens of the call, for limits on tokens.
            first: Go before all others: the call had its turn before, and its deadline runs. It is
                not used to try out a higher limit.
            batch: The batch that asks; `stop` turns away callers by batch.
            model: The model that is asked: an account has limits for each.
            weigh: Tells the likely tokens once it is known what such calls take; None until then.

        Yields:
            The request that is sent now.

        Raises:
            PaceStopped: The batch was stopped meanwhile.
        """
        turn = self._loop.create_future()
        sent = await self._turn(_Waiting(turn, tokens, batch, model, weigh), first)
        try:
            yield sent
        finally:
            self._release(sent)

    def landed(self, sent: Sent) -> None:
        """Take note that the endpoint has responded, though the turn is still held."""
        if self.under_way.end(sent):
            self._admit()

    def told(self, sent: Sent, model: str, limits: Iterable[Limit]) -> None:
        """Take note of limits that a response names."""
        self.rates.told(sent, model, limits, self._loop.time())

    def answered(self, step: str, sent_at: float) -> None:
        """Take note of an answer; a run of very slow ones counts as overload."""
        if self._slowness.slow(step, self._loop.time() - sent_at):
            self.overloaded(sent_at)
        elif self.limit.answered(len(self.under_way)):
            self._admit()

    def accepted(self, sent: Sent, model: str) -> None:
        """Take note that a request was answered.

        Args:
            sent: The request.
            model: The model that was asked.
        """
        now = self._loop.time()
        self.under_way.accepted(sent, now)
        self.rates.pauses.answered()
        self.rates.account(model).learnt.answered(sent, now)

    def refused(
        self, sent: Sent, model: str, limits: Iterable[Limit], wait: float | None = None
    ) -> None:
        """Take note that the account's limits do not allow a request now.

        Which limit it is decides on what follows: one that the response names is kept from now on;
        one on requests at once shrinks their number; one on their rate is measured.

        Args:
            sent: The request.
            model: The model that was asked.
            limits: Limits that the response names.
            wait: Seconds that it asks to wait; None: it does not ask.
        """
        now, account = self._loop.time(), self.rates.account(model)
        others, taken = self.under_way.refused(sent, now), self.under_way.taken
        if account.refused(limits, sent, now):
            self.limit.refusals += 1
        elif others < MUCH_LESS * taken:
            self.limit.refusals += 1
            self.limit.restore(min(taken, self.limit.ceiling))
            account.learnt.refused(sent, now, others=None)
        else:
            account.learnt.refused(sent, now, others=others)
            self.limit.overloaded(others + 1, sent.at, now)
        if wait:
            self.rates.pauses.add(wait, now)
        elif not others and wait is None:
            self.rates.pauses.add_idle(now)

    def overloaded(self, sent_at: float) -> None:
        """Take note of a refusal: fewer requests at once."""
        self.limit.overloaded(len(self.under_way), sent_at, self._loop.time())

    def timed_out(self, sent: Sent) -> bool:
        """Take note that a request got no answer in time: fewer requests at once.

        Args:
            sent: The request.

        Returns:
            Whether it waited behind others: they were answered until late, in their order.
        """
        now = self._loop.time()
        if served := self.under_way.served_before(sent, now):
            self.limit.queued(served, sent.at, now)
            return True
        self.overloaded(sent.at)
        return False

    def failing(self) -> None:
        """Take note that requests fail in a row: one request at a time."""
        self.limit.one_at_a_time(self._loop.time())

    def pause(self, seconds: float) -> None:
        """Send nothing for this long, for no caller."""
        self.rates.pauses.add(seconds, self._loop.time())

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

    @property
    def brake(self) -> str:
        """The account's limit that callers wait for, in words; empty: none."""
        queue = self._next()
        if not queue:
            return ""
        return self.rates.brake(queue[0].model, queue[0].tokens, self._loop.time())

    async def _turn(self, waiting: _Waiting, first: bool) -> Sent:
        turn = waiting.turn
        (self._again if first else self._waiting).append(waiting)
        self._admit()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._release(turn.result())
            raise

    def _release(self, sent: Sent) -> None:
        self.in_flight -= 1
        self.landed(sent)
        self._admit()

    def _admit(self) -> None:
        while queue := self._next():
            waiting = queue[0]
            if waiting.turn.done():
                queue.popleft()
                continue
            if wait := self.rates.wait_s(waiting.model, waiting.tokens, self._loop.time()):
                self._later(wait)
                return
            queue.popleft()
            self._send(waiting)
            if self._opening:  # all that is allowed has to be under way for a while
                self._opening.cancel()
                self._opening = None
        if self._waiting and self.limit.untried and self._opening is None:
            due = self._loop.time() + STEP_S
            self._opening = self._loop.call_at(due, self._open_further, due)

    def _send(self, waiting: _Waiting) -> None:
        beside = len(self.under_way)
        sent = Sent(self._loop.time(), waiting.tokens, beside, weigh=waiting.weigh)
        self.rates.take(waiting.model, sent)
        self.under_way.add(sent)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        self.limit.admitted(beside + 1)
        waiting.turn.set_result(sent)

    def _next(self) -> deque[_Waiting] | None:
        """The queue whose first caller may go now; None: nobody may."""
        if self.in_flight >= self.limit.ceiling:
            return None
        at_endpoint = len(self.under_way)
        if self._again and at_endpoint < self.limit.known_good:
            return self._again
        return self._waiting if self._waiting and at_endpoint < self.limit.allowed else None

    def _later(self, seconds: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._admit)

    def _open_further(self, due: float) -> None:
        self._opening = None
        late = self._loop.time() - due
        if self.limit.untried and late < LATE_S:
            self.limit.widen(1 + int(late / STEP_S))
        self._admit()


_paces: weakref.WeakKeyDictionary[
    asyncio.AbstractEventLoop, weakref.WeakValueDictionary[str, Pace]
] = weakref.WeakKeyDictionary()


def shared_pace(
    endpoint: str, requests_per_minute: int | None, tokens_per_minute: int | None
) -> Pace:
    """The pace of an endpoint on the running loop; the lowest rates of all batches hold."""
    here = _paces.setdefault(asyncio.get_running_loop(), weakref.WeakValueDictionary())
    pace = here.get(endpoint)
    if pace is None:
        pace = here[endpoint] = Pace()
    pace.rates.keep(requests_per_minute, tokens_per_minute, asyncio.get_running_loop().time())
    return pace
