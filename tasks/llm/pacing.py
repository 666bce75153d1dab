"""When a request may be sent: adaptive concurrency, pauses and rate limits of one endpoint.

One `Pace` serves every caller of an endpoint on an event loop, whichever batch they belong to.
It decides times only: it sends nothing and knows nothing of prompts, prices or retries.
"""

from __future__ import annotations

import asyncio
import math
import weakref
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

FIRST_LIMIT = 16
"""Requests under way at once before the endpoint has shown that it takes more."""

OPENING_S = 0.25
"""Seconds without a refusal after which an untried endpoint gets twice as many requests."""

LATE_S = 0.05
"""A timer this late says that this process is busy, and silence nothing about the endpoint."""

PROBE_ROUNDS = 20
"""Rounds of answers at the highest good limit before one more request is tried."""

MOST_PROBE_ROUNDS = 80
"""Rounds between two tries at an endpoint that has refused several of them."""

NOW_S = 1e-6
"""Waits shorter than this are over; rounding must not make timers that never advance."""

SLOW_FACTOR = 4.0
"""Answers this many times slower than usual for their step count as overload."""

SLOW_FROM_S = 5.0
"""Answers faster than this never count as slow."""


@dataclass
class _Bucket:
    """A token bucket that may go into debt; `wait` is how long until it is out of it."""

    per_s: float
    burst: float
    level: float = field(init=False)
    filled_at: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.level = self.burst

    def wait(self, now: float) -> float:
        self.level = min(self.burst, self.level + (now - self.filled_at) * self.per_s)
        self.filled_at = now
        left = -self.level / self.per_s
        return left if left > NOW_S else 0.0


@dataclass
class _Durations:
    """Usual and recent time an answer of one step takes, as moving averages of log seconds.

    Logarithms, because durations have a long tail: one answer of a minute is no overload. The
    usual time is the plain mean of the first answers, so that a lucky first one does not make all
    that follow look slow.
    """

    usual: float
    recent: float
    seen: int = 1

    def slow(self, seconds: float) -> bool:
        lasted = _log_seconds(seconds)
        self.seen += 1
        self.recent += 0.2 * (lasted - self.recent)
        slow = self.seen > 20 and self.recent > max(
            _log_seconds(SLOW_FROM_S), self.usual + math.log(SLOW_FACTOR)
        )
        if slow:
            self.usual = self.recent
        else:
            self.usual += max(0.02, 1 / self.seen) * (lasted - self.usual)
        return slow


def _log_seconds(seconds: float) -> float:
    return math.log(max(seconds, 0.001))


class PaceStopped(Exception):
    """No further request is admitted."""


class Pace:
    """Admits requests to one endpoint, first come, first served.

    The limit starts at `FIRST_LIMIT`; while nothing is refused it grows with every answer, and
    doubles when the endpoint has taken all that was allowed for `OPENING_S`. A refusal shrinks it
    at once, one step for each burst: by half as long as no answer has shown the new limit to be
    good, by a tenth later. It then goes half of the way back to the limit that was refused with
    every round of answers, by one at least, and tries that one more and more rarely; once that
    brings answers only, it grows on.

    Both rates are spread evenly: in any minute there are at most `requests_per_minute` requests,
    and tokens exceed `tokens_per_minute` by no more than the last call's.

    Args:
        requests_per_minute: The account's limit; None: none.
        tokens_per_minute: The account's limit, input and output together; None: none.
    """

    def __init__(
        self, requests_per_minute: int | None = None, tokens_per_minute: int | None = None
    ) -> None:
        self.ceiling = 1
        self.limit = FIRST_LIMIT
        self.in_flight = 0
        self.peak = 0
        self.lowest: int | None = None
        self.refusals = 0
        self.paused_s = 0.0
        self._ceilings: list[int] = []
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[asyncio.Future[None], int]] = deque()
        self._again: deque[tuple[asyncio.Future[None], int]] = deque()
        self._safe = 1
        self._paused_until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._opening: asyncio.TimerHandle | None = None
        self._shrunk_at = float("-inf")
        self._bad_limit: int | None = None
        self._probe_rounds = PROBE_ROUNDS
        self._calm = 0
        self._proven = False
        self._reached = 0
        self._durations: dict[str, _Durations] = {}
        now = self._loop.time()
        self._requests = _Bucket(requests_per_minute / 60, 0) if requests_per_minute else None
        self._tokens = _Bucket(tokens_per_minute / 60, 0) if tokens_per_minute else None
        for bucket in (self._requests, self._tokens):
            if bucket:
                bucket.filled_at = now

    def join(self, ceiling: int) -> None:
        """Add a batch that allows `ceiling` requests at once; the lowest of all batches holds."""
        self._ceilings.append(ceiling)
        self.ceiling = min(self._ceilings)

    def leave(self, ceiling: int) -> None:
        """Take a batch's ceiling back."""
        self._ceilings.remove(ceiling)
        self.ceiling = min(self._ceilings, default=self.ceiling)
        if self._ceilings:
            self._admit()
        else:
            for timer in (self._timer, self._opening):
                if timer:
                    timer.cancel()
            self._timer = self._opening = None

    @property
    def allowed(self) -> int:
        """Requests that may be under way at once now."""
        return max(1, min(self.ceiling, self.limit))

    @asynccontextmanager
    async def slot(self, tokens: int, *, first: bool = False) -> AsyncGenerator[None]:
        """Wait for a turn and hold it.

        Args:
            tokens: Likely tokens of the call, for the tokens-a-minute limit.
            first: Go before all who wait: the call had its turn before, and its deadline runs.
                It is not used to try out a higher limit.
        """
        await self._turn(tokens, first=first)
        try:
            yield
        finally:
            self.in_flight -= 1
            self._admit()

    async def _turn(self, tokens: int, *, first: bool) -> None:
        turn = self._loop.create_future()
        (self._again if first else self._waiting).append((turn, tokens))
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
            turn, tokens = queue[0]
            if turn.done():
                queue.popleft()
                continue
            if wait := self._wait_s(self._loop.time()):
                self._later(wait)
                return
            queue.popleft()
            if self._requests:
                self._requests.level -= 1
            if self._tokens:
                self._tokens.level -= tokens
            self.in_flight += 1
            self.peak = max(self.peak, self.in_flight)
            self._reached = max(self._reached, self.in_flight)
            turn.set_result(None)
            if self._opening:  # all that is allowed has to be out for a while
                self._opening.cancel()
                self._opening = None
        if self._waiting and self._untried and self._opening is None:
            due = self._loop.time() + OPENING_S
            self._opening = self._loop.call_at(due, self._open_further, due)

    def _next(self) -> deque[tuple[asyncio.Future[None], int]] | None:
        """The queue whose first may go now; None: nobody may."""
        if self._again and self.in_flight < min(self.allowed, self._known_good):
            return self._again
        return self._waiting if self._waiting and self.in_flight < self.allowed else None

    @property
    def _known_good(self) -> int:
        """Requests under way at once that the endpoint has taken, as far as is known."""
        return self.limit if self._bad_limit is None else max(1, self._safe)

    @property
    def _untried(self) -> bool:
        """Whether more than the limit is allowed and nothing has been refused yet."""
        return self._bad_limit is None and self.limit < self.ceiling

    def _wait_s(self, now: float) -> float:
        waits = [max(0.0, self._paused_until - now)]
        waits += [bucket.wait(now) for bucket in (self._requests, self._tokens) if bucket]
        return max(waits)

    def _later(self, seconds: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._admit)

    def _open_further(self, due: float) -> None:
        self._opening = None
        if self._untried and self._loop.time() - due < LATE_S:
            self.limit *= 2
        self._admit()

    def spent(self, expected: int, used: int) -> None:
        """Correct the tokens-a-minute account once a call's tokens are known."""
        if self._tokens:
            self._tokens.level -= used - expected

    def answered(self, step: str, sent_at: float) -> None:
        """Take note of an answer; a run of very slow ones counts as overload."""
        now = self._loop.time()
        durations = self._durations.get(step)
        if durations is None:
            first = _log_seconds(now - sent_at)
            self._durations[step] = _Durations(usual=first, recent=first)
        elif durations.slow(now - sent_at):
            self.overloaded(sent_at)
            return
        self._calm += 1
        self._proven = True
        if self._untried:
            self.limit += 1
            self._admit()
            return
        if self._bad_limit is None or self.limit >= self.ceiling:
            return
        at_edge = self.limit == self._bad_limit - 1
        if self._calm < self.limit * (self._probe_rounds if at_edge else 1):
            return
        if self._reached < self.limit:  # not even this many have been tried
            return
        self._safe = self.limit
        if self.limit >= self._bad_limit:  # a whole round of answers: the edge was not one
            self._probe_rounds = PROBE_ROUNDS
            self.limit += max(1, self.limit // 8)
            self._bad_limit = self.limit
        else:
            self.limit += max(1, (self._bad_limit - 1 - self.limit) // 2)
        self._calm = 0
        self._reached = self.in_flight
        self._admit()

    def overloaded(self, sent_at: float) -> None:
        """Shrink at once, and once for a burst.

        Refusals of requests sent before the last shrink belong to its burst, and so do all until
        what is under way has come down to the new limit.
        """
        self.refusals += 1
        if sent_at < self._shrunk_at or self.in_flight > self.allowed:
            self._come_down_to(self.in_flight - 1)
            return
        used = max(1, min(self.allowed, self._reached or self.allowed))
        if self._bad_limit is not None and used >= self._bad_limit:
            self._probe_rounds = min(2 * self._probe_rounds, MOST_PROBE_ROUNDS)
        tenth = self._bad_limit is not None and self._proven
        self._bad_limit = used
        self.limit = max(1, used * 9 // 10 if tenth else used // 2)
        self.lowest = min(self.limit, self.lowest or self.limit)
        self._safe = self.limit
        self._calm = self._reached = 0
        self._proven = False
        self._shrunk_at = self._loop.time()

    def _come_down_to(self, served: int) -> None:
        """Of a burst, what is still under way is what the endpoint serves; 0 says nothing."""
        if 0 < served < self.limit and self._bad_limit is not None:
            self.limit = self._safe = served
            self.lowest = min(served, self.lowest or served)
            self._bad_limit = min(self._bad_limit, 2 * served)

    def failing(self) -> None:
        """Let one request at a time find out when the failures end; then go on as before."""
        if self.limit > 1:
            self._bad_limit = self._bad_limit or self.allowed + 1
            self.limit = self.lowest = self._safe = 1
            self._calm = self._reached = 0
            self._shrunk_at = self._loop.time()

    def pause(self, seconds: float) -> None:
        """Send nothing for this long, whoever asks."""
        until = self._loop.time() + seconds
        if until > self._paused_until:
            self.paused_s += until - max(self._paused_until, self._loop.time())
            self._paused_until = until

    @property
    def pause_left_s(self) -> float:
        """Seconds until requests are sent again."""
        return max(0.0, self._paused_until - self._loop.time())

    def stop(self) -> None:
        """Turn away everybody who waits."""
        for queue in (self._again, self._waiting):
            while queue:
                turn, _ = queue.popleft()
                if not turn.done():
                    turn.set_exception(PaceStopped())


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
