"""Requests and tokens a minute: the windows that spread an account's rates evenly.

Here: how much of each rate is used, and how long to wait until there is room. Not here: who waits
(`llm.pacing`), the endpoint's own headers (`llm.hints`).
"""

from __future__ import annotations

NOW_S = 1e-6
"""Shorter waits count as over: rounding must not make timers that never advance."""


class Window:
    """One rate, as a token bucket that may go into debt.

    Args:
        per_minute: Units that flow back in a minute.
        now: The event loop's time.
    """

    def __init__(self, per_minute: float, now: float) -> None:
        self._per_s = per_minute / 60
        self._level = 0.0
        self._filled_at = now

    def take(self, amount: float) -> None:
        """Use units; a negative amount gives them back."""
        self._level -= amount

    def wait_s(self, now: float) -> float:
        """Seconds until the window is out of debt."""
        self._level = min(0.0, self._level + (now - self._filled_at) * self._per_s)
        self._filled_at = now
        wait = -self._level / self._per_s
        return wait if wait > NOW_S else 0.0


class Windows:
    """The two rates of an account.

    In any minute there are at most `requests_per_minute` requests, and tokens exceed
    `tokens_per_minute` by no more than the last call's.

    Args:
        requests_per_minute: The account's limit; None: none.
        tokens_per_minute: The account's limit, input and output together; None: none.
        now: The event loop's time.
    """

    def __init__(
        self, requests_per_minute: int | None, tokens_per_minute: int | None, now: float
    ) -> None:
        self._requests: Window | None = None
        self._tokens: Window | None = None
        self._named: tuple[int | None, int | None] = (None, None)
        self.lower(requests_per_minute, tokens_per_minute, now)

    def lower(self, requests: int | None, tokens: int | None, now: float) -> None:
        """Keep these rates as well, where they are lower than those so far."""
        named = self._named
        if requests and requests < (named[0] or requests + 1):
            self._requests = Window(requests, now)
            named = (requests, named[1])
        if tokens and tokens < (named[1] or tokens + 1):
            self._tokens = Window(tokens, now)
            named = (named[0], tokens)
        self._named = named

    def wait_s(self, now: float) -> float:
        """Seconds until both windows have room for a request."""
        return max(
            self._requests.wait_s(now) if self._requests else 0.0,
            self._tokens.wait_s(now) if self._tokens else 0.0,
        )

    def brake(self, now: float) -> str:
        """The limit that has no room for a request now, in words; empty: both have."""
        if self._tokens and self._tokens.wait_s(now):
            return f"{self._named[1]:,} tokens a minute"
        if self._requests and self._requests.wait_s(now):
            return f"{self._named[0]:,} requests a minute"
        return ""

    def take(self, tokens: int) -> None:
        """Count one request with its likely tokens."""
        if self._requests:
            self._requests.take(1)
        if self._tokens:
            self._tokens.take(tokens)

    def correct(self, expected: int, used: int) -> None:
        """Replace a call's likely tokens by those that it used."""
        if self._tokens:
            self._tokens.take(used - expected)
