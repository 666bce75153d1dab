"""One limit of an account, followed by what the endpoint says of it in its headers.

The endpoint says how much is left and when the limit is whole again; it does not say whether units
flow back evenly (a bucket) or all at once (a window), nor how deep the bucket is. Two observations
tell. Not here: reading headers (`llm.hints`), limits that nothing names (`llm.learnt_rate`).
"""

from __future__ import annotations

from prefect_llm_reports.tasks.llm.hints import Limit

FEW = 5
"""Units between two observations from which a rate can be told."""

SPAN_S = 0.2
"""Seconds between the resets of two observations from which a rate can be told."""

NEAR = 0.15
"""A rate this near to the limit a second, minute, hour or day is that."""

ARRIVES_S = 0.25
"""Seconds that a request may take to an endpoint, which then tells when its limit is whole."""

SPARE = 0.05
"""Share of a limit that is kept free."""

SPARE_CALLS = 2
"""Calls for which it is kept free, at most."""

LARGE = 2.0
"""Times by which a call's tokens may exceed those expected, to explain its refusal by tokens."""

RISE = 0.2
"""Part of a surprise that is believed at once, when there is more left than expected."""

MOST_WEIGHT, LEAST_WEIGHT = 20.0, 0.02
"""The endpoint counts a unit as at most, and at least, so many units here."""


class Allowance:
    """One limit of an account, followed from observation to observation.

    Attributes:
        kind: `requests` or `tokens`.
        per_s: Units that flow back in a second; 0: a window, in which none do.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.per_s = 0.0
        self.weight = 1.0
        self._known = False
        self._limit: float | None = None
        self._depth: float | None = None
        self._seen: tuple[float, float, float, float] | None = None
        self._pairs: list[tuple[float, float]] = []
        self._weighed: tuple[float, float, float] | None = None

    @property
    def per_minute(self) -> float | None:
        """The limit as far as it is known, for messages."""
        return self.per_s * 60 if self.per_s else self._limit

    def observe(self, told: Limit, used: float, sent_at: float, now: float) -> None:
        """Take note of what a response says.

        Args:
            told: The limit.
            used: Units of all requests sent up to that one, with it.
            sent_at: When that one was sent.
            now: When the response came.
        """
        if told.remaining is None:
            return
        self._limit = told.limit or self._limit
        left, reset = told.remaining, told.reset_s
        if not self._known and self._limit:
            self.per_s = self._limit / (told.window_s or 60)
        if reset is not None:
            self._learn(left, reset)
        if self._seen and used < self._seen[1]:
            return  # what was sent after that one says more
        if self._seen and self.per_s:  # requests may arrive in another order than they were sent
            expected = self.left(used, sent_at)
            if left > expected:
                left = expected + RISE * (left - expected)
        read_at = min(now, sent_at + ARRIVES_S)  # not before that did the endpoint say so
        self._seen = (left, used, sent_at, read_at + (reset or 0.0))

    def weigh(self, told: Limit, used: float, sent_at: float) -> None:
        """Learn how the endpoint counts a unit: all tokens, or those it expects, or another way.

        Args:
            told: The limit, as the response to a request says.
            used: Units of the requests sent up to that one, but for those that were refused.
            sent_at: When that one was sent.
        """
        before, left = self._weighed, told.remaining
        if left is None:
            return
        if before is None or not self._known or not self.per_s:
            self._weighed = (left, used, sent_at)
            return
        if used - before[1] < (self._depth or self._limit or 0) * 0.2:
            return
        if sent_at - before[2] < ARRIVES_S:  # they may have arrived in another order
            return
        taken = before[0] + (sent_at - before[2]) * self.per_s - left
        seen = taken / (used - before[1])
        if seen > 0:
            weight = min(MOST_WEIGHT, 2 * self.weight, max(LEAST_WEIGHT, self.weight / 2, seen))
            self.weight = weight if self.weight == 1.0 else (3 * self.weight + weight) / 4
        self._weighed = (left, used, sent_at)

    def lacked(self, left: float, amount: float) -> bool:
        """Take note of a refusal with this much left; True: that explains it."""
        if left >= LARGE * amount * self.weight:
            return False
        self.weight = min(MOST_WEIGHT, max(self.weight, left / amount))
        return True

    def left(self, used: float, now: float) -> float:
        """Units that are left, as far as is known."""
        if self._seen is None:
            return float("inf")
        left, used_then, at, reset_at = self._seen
        if not self.per_s:
            if now >= reset_at:
                return self._limit or float("inf")
            return left - (used - used_then) * self.weight
        left += (now - at) * self.per_s
        full = self._depth or self._limit
        if full is not None:
            left = min(left, max(full, 1.0))
        return left - (used - used_then) * self.weight

    def wait_s(self, amount: float, used: float, now: float) -> float:
        """Seconds until there is room for a request of this size."""
        needed = amount * self.weight
        full = self._depth or self._limit
        if full is not None:  # some calls take more than expected
            needed = min(
                needed + min((SPARE_CALLS if self.kind == "tokens" else 1) * needed, SPARE * full),
                full,
            )
        missing = needed - self.left(used, now)
        if missing <= 0 or self._seen is None:
            return 0.0
        return missing / self.per_s if self.per_s else max(0.0, self._seen[3] - now)

    def _learn(self, left: float, reset: float) -> None:
        """Tell rate and depth, or a window, from two observations."""
        few = max(FEW, (self._limit or 0) * 0.01)
        for other_left, other_reset in self._pairs:
            units, seconds = left - other_left, other_reset - reset
            if abs(units) >= few and abs(seconds) >= SPAN_S:
                slope = units / seconds
                if slope > 0:
                    self._known = True
                    self.per_s = self._snapped(slope)
                    self._depth = left + reset * self.per_s
                else:  # less is left although the reset is nearer: nothing flows back meanwhile
                    self._known, self.per_s, self._depth = True, 0.0, None
                break
        lowest = min(self._pairs, default=None)
        highest = max(self._pairs, default=None)
        if lowest is None or highest is None or left < lowest[0] or left > highest[0]:
            self._pairs = [
                *(pair for pair in (lowest, highest) if pair and pair != (left, reset)),
                (left, reset),
            ][-2:]

    def _snapped(self, slope: float) -> float:
        for seconds in (60, 1, 3600, 86_400):
            rate = (self._limit or 0) / seconds
            if rate and abs(slope / rate - 1) <= NEAR:
                return rate
        return slope
