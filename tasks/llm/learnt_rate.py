"""The rate of an account that no header names, learnt from refusals.

Between two refusals an endpoint accepts just what its limit lets flow back, so the requests that it
accepted in between, over the time, are the rate. Not here: limits that headers name
(`llm.allowance`), how many requests at once (`llm.adaptive`).
"""

from __future__ import annotations

from collections import deque

MEASURED_S = 4.0
"""Seconds between two refusals from which the rate between them is reliable."""

MEASURED = 12
"""Requests accepted between two refusals from which the rate between them is reliable."""

OVER = 0.015
"""Share by which the pace goes beyond the measured rate, so that nothing of it is lost."""

QUIET_S, QUIET = 8.0, 30
"""Seconds and requests without a refusal after which the pace begins to try more, ever faster."""

OPENING_S = 0.5
"""Seconds in which the pace doubles as long as nothing has been measured."""

FIRST_PER_S = 4.0
"""Requests in a second after a first refusal, when nothing else is known."""


class LearntRate:
    """Requests in a second that an endpoint accepts.

    Attributes:
        per_s: The rate; None: nothing was refused for going too fast.
    """

    def __init__(self) -> None:
        self.per_s: float | None = None
        self._accepted = 0
        self._refusals: deque[tuple[float, int]] = deque(maxlen=16)
        self._measured = False
        self._refused_at = float("-inf")
        self._next_at = float("-inf")

    def sent(self, now: float) -> None:
        """Take note of a request that is sent; it counts as accepted until it is refused."""
        self._accepted += 1
        if self.per_s is not None:
            self._next_at = max(self._next_at, now - 1 / self._pace(now)) + 1 / self._pace(now)

    def refused(self, sent_at: float, now: float, *, too_fast: bool) -> None:
        """Take note of a refusal.

        Args:
            sent_at: When the request was sent.
            now: The event loop's time.
            too_fast: The number of requests at once does not explain it.
        """
        self._accepted -= 1
        burst = sent_at <= self._refused_at
        if not burst:
            self._refused_at = now
            if too_fast:
                self._measure(now)
            self._refusals.append((now, self._accepted))
        if too_fast and self.per_s is None:
            self.per_s = FIRST_PER_S
        if self.per_s is not None:
            self._next_at = max(self._next_at, now + 1 / self._pace(now))

    def wait_s(self, now: float) -> float:
        """Seconds until another request may be sent."""
        return max(0.0, self._next_at - now) if self.per_s is not None else 0.0

    def _measure(self, now: float) -> None:
        best: float | None = None
        for at, accepted in reversed(self._refusals):
            span, got = now - at, self._accepted - accepted
            if span <= 0 or got <= 0:
                continue
            if best is None and span >= 0.25:
                best = got / span
            if span >= MEASURED_S and got >= MEASURED:
                best = got / span
                break
        if best is not None:
            self.per_s, self._measured = best, True

    def _pace(self, now: float) -> float:
        """Requests in a second that are sent now."""
        assert self.per_s is not None
        quiet = now - self._refused_at
        if not self._measured:
            return self.per_s * 2 ** min(20.0, quiet / OPENING_S)
        usual = max(QUIET_S, QUIET / self.per_s)
        more = 2 ** min(20.0, max(0.0, quiet - usual) / usual) - 1
        return self.per_s * (1 + OVER + more)
