"""When a request may be sent to an endpoint: turns, pauses, and the limits behind them.

One `Pace` serves all callers of an endpoint on an event loop, whichever batch they belong to.
Here: the queue and its timers. Not here: how many requests at once (`llm.adaptive`), rates that
people set (`llm.windows`), the account's own limits (`llm.account`), slow answers
(`llm.slowness`), prompts, prices, retries.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import NamedTuple

from prefect_llm_reports.tasks.llm.account import Account, Sent
from prefect_llm_reports.tasks.llm.adaptive import STEPS, AdaptiveLimit
from prefect_llm_reports.tasks.llm.hints import Limit
from prefect_llm_reports.tasks.llm.slowness import Slowness
from prefect_llm_reports.tasks.llm.windows import Windows

OPENING_S = 0.25
"""Seconds without a refusal after which an untried endpoint gets twice as many requests."""

STEP_S = OPENING_S / STEPS
"""Seconds without a refusal after which it gets a few more, on the way to twice as many."""

MUCH_LESS = 0.75
"""A refusal at less than this share of the requests taken at once before is due to their rate."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 15.0
"""Pauses after refusals while nothing is under way; they double until something is answered."""

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

    turn: asyncio.Future[Sent]
    tokens: int
    batch: object
    model: str


class Pace:
    """Admits requests to one endpoint, first come, first served.

    Args:
        requests_per_minute: The account's limit; None: none.
        tokens_per_minute: The account's limit, input and output together; None: none.

    Attributes:
        limit: How many requests may be under way at once.
        pauses: Pauses that the endpoint asked for.
        in_flight: Turns that are held now: requests under way, and answers not yet kept.
        at_endpoint: Requests that the endpoint has not responded to yet.
        peak: The most turns that were held at once.
        answers: Answers so far.
        longest_wait_s: Longer waits for the account are left to the endpoint's own refusals.
    """

    def __init__(
        self, requests_per_minute: int | None = None, tokens_per_minute: int | None = None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.limit = AdaptiveLimit()
        self.pauses = Pauses()
        self.in_flight = 0
        self.at_endpoint = 0
        self.peak = 0
        self.answers = 0
        self.longest_wait_s = 0.0
        self._answered_at = self._last_answered_sent_at = float("-inf")
        self._taken = 0
        self._refused_within = OPENING_S
        self._sent: dict[int, Sent] = {}
        self._idle_refusals = 0
        self._accounts: dict[str, Account] = {}
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
        self, tokens: int, *, first: bool = False, batch: object = None, model: str = ""
    ) -> AsyncGenerator[Sent]:
        """Wait for a turn and hold it.

        Args:
            tokens: Likely tokens of the call, for limits on tokens.
            first: Go before all others: the call had its turn before, and its deadline runs. It is
                not used to try out a higher limit.
            batch: The batch that asks; `stop` turns away callers by batch.
            model: The model that is asked: an account has limits for each.

        Yields:
            The request that is sent now.

        Raises:
            PaceStopped: The batch was stopped meanwhile.
        """
        sent = await self._turn(_Waiting(self._loop.create_future(), tokens, batch, model), first)
        try:
            yield sent
        finally:
            self._release(sent)

    def landed(self, sent: Sent) -> None:
        """Take note that the endpoint has responded, though the turn is still held."""
        if not sent.landed:
            sent.landed = True
            self.at_endpoint -= 1
            self._sent.pop(id(sent), None)
            self._admit()

    def told(self, sent: Sent, model: str, limits: Iterable[Limit]) -> None:
        """Take note of limits that a response names."""
        self._account(model).told(limits, sent, self._loop.time())

    def spent(self, expected: int, used: int) -> None:
        """Correct the tokens a minute once a call's tokens are known."""
        self._windows.correct(expected, used)

    def answered(self, step: str, sent_at: float) -> None:
        """Take note of an answer; a run of very slow ones counts as overload."""
        if self._slowness.slow(step, self._loop.time() - sent_at):
            self.overloaded(sent_at)
        elif self.limit.answered(self.at_endpoint):
            self._admit()

    def accepted(self, sent: Sent) -> None:
        """Take note that a request was answered."""
        self.answers += 1
        self._last_answered_sent_at = max(self._last_answered_sent_at, sent.at)
        self._answered_at = self._loop.time()
        self._idle_refusals = 0
        self._note_taken(self._answered_at)

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
        now, account = self._loop.time(), self._account(model)
        others = self.at_endpoint - 1
        self._refused_within = now - sent.at
        self._note_taken(now)
        if account.refused(limits, sent, now):
            self.limit.refusals += 1
        elif others < MUCH_LESS * self._taken:
            self.limit.refusals += 1
            self.limit.restore(min(self._taken, self.limit.ceiling))
            account.learnt.refused(sent.at, now, too_fast=True)
        else:
            account.learnt.refused(sent.at, now, too_fast=False)
            self.limit.overloaded(self.at_endpoint, sent.at, now)
        if not others and wait is None:
            wait = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(20, self._idle_refusals))
            self._idle_refusals += 1
        if wait:
            self.pauses.add(wait, now)

    def overloaded(self, sent_at: float) -> None:
        """Take note of a refusal: fewer requests at once."""
        self.limit.overloaded(self.at_endpoint, sent_at, self._loop.time())

    def timed_out(self, sent: Sent) -> bool:
        """Take note that a request got no answer in time: fewer requests at once.

        Args:
            sent: The request.

        Returns:
            Whether it waited behind others: they were answered until late, in their order.
        """
        now = self._loop.time()
        served = self.answers - sent.answers_before
        overtaken = self._last_answered_sent_at > sent.at
        late = self._answered_at > (sent.at + now) / 2
        if served and late and not overtaken:
            self.limit.queued(served, sent.at, now)
            return True
        self.overloaded(sent.at)
        return False

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

    def _note_taken(self, now: float) -> None:
        """Count the requests that the endpoint has taken: a refusal would have come by now."""
        waited = 2 * self._refused_within
        taken = sum(now - sent.at > waited for sent in self._sent.values())
        self._taken = max(self._taken, taken)

    @property
    def brake(self) -> str:
        """The account's limit that callers wait for, in words; empty: none."""
        queue = self._next()
        if not queue:
            return ""
        now, tokens = self._loop.time(), queue[0].tokens
        return self._account(queue[0].model).brake(tokens, now) or self._windows.brake(now)

    def _account(self, model: str) -> Account:
        account = self._accounts.get(model)
        if account is None:
            account = self._accounts[model] = Account()
        return account

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
            if wait := self._wait_s(waiting):
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
        self._windows.take(waiting.tokens)
        now, account = self._loop.time(), self._account(waiting.model)
        sent = account.sent(waiting.tokens, self.at_endpoint, now)
        sent.answers_before = self.answers
        self._sent[id(sent)] = sent
        self.in_flight += 1
        self.at_endpoint += 1
        self.peak = max(self.peak, self.in_flight)
        self.limit.admitted(self.at_endpoint)
        waiting.turn.set_result(sent)

    def _next(self) -> deque[_Waiting] | None:
        """The queue whose first caller may go now; None: nobody may."""
        if self.in_flight >= self.limit.ceiling:
            return None
        if self._again and self.at_endpoint < self.limit.known_good:
            return self._again
        return self._waiting if self._waiting and self.at_endpoint < self.limit.allowed else None

    def _wait_s(self, waiting: _Waiting) -> float:
        now = self._loop.time()
        account = self._account(waiting.model).wait_s(waiting.tokens, now)
        if account > (self.longest_wait_s or account):
            account = 0.0
        return max(self.pauses.left_s(now), self._windows.wait_s(now), account)

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
    """The pace of an endpoint on the running loop; the first caller's rate limits hold."""
    here = _paces.setdefault(asyncio.get_running_loop(), weakref.WeakValueDictionary())
    pace = here.get(endpoint)
    if pace is None:
        pace = here[endpoint] = Pace(requests_per_minute, tokens_per_minute)
    return pace
