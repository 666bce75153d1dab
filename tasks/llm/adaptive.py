"""The adaptive limit: how many requests an endpoint takes at once, found out by asking.

Here: growing with answers, shrinking at refusals. Not here: who goes next, pauses and rates
(`llm.pacing`).
"""

from __future__ import annotations

FIRST_LIMIT = 16
"""Requests under way at once before the endpoint has shown that it takes more."""

STEPS = 16
"""Steps in which the limit of an untried endpoint doubles, so that few are refused at once."""

PROBE_ROUNDS = 20
"""Rounds of answers at the highest good limit before one more request is tried."""

MOST_PROBE_ROUNDS = 80
"""Rounds between two tries at an endpoint that has refused several of them."""


class AdaptiveLimit:
    """Requests that may be under way at once.

    The limit starts at `FIRST_LIMIT`. Until the first refusal it grows by one with every answer,
    and doubles step by step while the endpoint takes all that is allowed.

    A refusal shrinks it at once, one step for each burst: by half as long as no answer has shown
    the new limit to be good, by a tenth later. With every round of answers it then goes half of
    the way back to the limit that was refused, by one at least. It tries that one more and more
    rarely; once that brings answers only, it grows on.

    Args:
        ceiling: The most that the batches allow.

    Attributes:
        limit: The most that the endpoint takes, as far as is known.
        lowest: The lowest limit so far; None: it never shrank.
        refusals: Refusals so far, and times that answers became slow.
    """

    def __init__(self, ceiling: int = 1) -> None:
        self.ceiling = ceiling
        self.limit = FIRST_LIMIT
        self._from = FIRST_LIMIT
        self.lowest: int | None = None
        self.refusals = 0
        self._refused: int | None = None
        self._safe = 1
        self._probe_rounds = PROBE_ROUNDS
        self._answers = 0
        self._reached = 0
        self._proven = False
        self._shrunk_at = float("-inf")

    @property
    def allowed(self) -> int:
        """Requests that may be under way at once now."""
        return max(1, min(self.ceiling, self.limit))

    @property
    def known_good(self) -> int:
        """Requests under way at once that the endpoint has taken, as far as is known."""
        good = self.limit if self._refused is None else self._safe
        return max(1, min(self.ceiling, self.limit, good))

    @property
    def untried(self) -> bool:
        """Whether the batches allow more than the limit and nothing has been refused yet."""
        return self._refused is None and self.limit < self.ceiling

    def widen(self, steps: int) -> None:
        """Allow more: the endpoint has taken all that was allowed for a while.

        Args:
            steps: Steps to go; after `STEPS` of them the limit has doubled.
        """
        for _ in range(steps):
            if self.limit >= 2 * self._from:
                self._from = self.limit
            self.limit += max(1, self._from // STEPS)

    def restore(self, taken: int) -> None:
        """Undo a shrink: the endpoint has taken this many at once, and refused for its rate."""
        self.limit = max(self.limit, taken)
        self._safe = max(self._safe, self.limit)
        if self._refused is not None and self._refused <= self.limit:
            self._refused = self.limit + 1

    def admitted(self, in_flight: int) -> None:
        """Take note of a request that is sent."""
        if in_flight > self._reached:
            self._reached = in_flight

    def answered(self, in_flight: int) -> bool:
        """Take note of an answer; True: more requests are allowed now."""
        self._answers += 1
        self._proven = True
        if self.untried:
            self.limit += 1
            return True
        if self._refused is None or self.limit >= self.ceiling:
            return False
        at_edge = self.limit == self._refused - 1
        if self._answers < self.limit * (self._probe_rounds if at_edge else 1):
            return False
        if self._reached < self.limit:  # the batch has not used what is allowed
            return False
        self._safe = self.limit
        if self.limit >= self._refused:  # a whole round of answers: the endpoint takes more now
            self._probe_rounds = PROBE_ROUNDS
            self.limit += max(1, self.limit // 8)
            self._refused = self.limit
        else:
            self.limit += max(1, (self._refused - 1 - self.limit) // 2)
        self._begin_round(in_flight)
        return True

    def overloaded(self, in_flight: int, sent_at: float, now: float) -> None:
        """Shrink at once, and once for a burst.

        Refusals of requests sent before the last shrink belong to its burst. So do all until what
        is under way has come down to the new limit.

        Args:
            in_flight: Requests under way, with the one that was refused.
            sent_at: When that one was sent.
            now: The event loop's time.
        """
        self.refusals += 1
        if sent_at < self._shrunk_at or in_flight > self.allowed:
            self._come_down_to(in_flight - 1)
            return
        used = max(1, min(self.allowed, self._reached or self.allowed))
        if self._refused is not None and used >= self._refused:
            self._probe_rounds = min(2 * self._probe_rounds, MOST_PROBE_ROUNDS)
        by_a_tenth = self._refused is not None and self._proven
        self._refused = used
        self._shrink(used * 9 // 10 if by_a_tenth else used // 2, now)
        self._proven = False

    def queued(self, served: int, sent_at: float, now: float) -> None:
        """Shrink to what the endpoint answers within a deadline; the rest waits in its own queue.

        Args:
            served: Requests that were answered while one waited until its deadline.
            sent_at: When that one was sent.
            now: The event loop's time.
        """
        self.refusals += 1
        limit = max(1, served // 2)
        if limit < self.limit and (sent_at >= self._shrunk_at or self._refused is None):
            self._refused = limit + 1
            self._shrink(limit, now)

    def one_at_a_time(self, now: float) -> None:
        """Let single requests find out when the failures end; then go on as before."""
        if self.limit > 1:
            self._refused = self._refused or self.allowed + 1
            self._shrink(1, now)

    def _shrink(self, limit: int, now: float) -> None:
        self.limit = self._safe = max(1, limit)
        self.lowest = min(self.limit, self.lowest or self.limit)
        self._shrunk_at = now
        self._begin_round(0)

    def _come_down_to(self, served: int) -> None:
        """Take what is left under way of a burst for what the endpoint serves; 0 says nothing."""
        if 0 < served < self.limit and self._refused is not None:
            self.limit = self._safe = served
            self.lowest = min(served, self.lowest or served)
            self._refused = min(self._refused, 2 * served)

    def _begin_round(self, in_flight: int) -> None:
        self._answers = 0
        self._reached = in_flight
