"""An endpoint that has answered before and is away: what is done until it is back.

Nothing fails meanwhile. Calls wait; one of them at a time asks again. Not here: what shows that an
endpoint is away (`llm.session`).
"""

from __future__ import annotations

import asyncio
from collections import deque

from prefect_llm_reports.tasks.contract.errors import EndpointDown

FIRST_PROBE_S, LONGEST_PROBE_S = 0.25, 5.0
"""Seconds between two tries at an endpoint that is away; they grow by half each time."""


class Absence:
    """Follows the absence of one endpoint.

    Args:
        host: The endpoint's host, for messages.
        patience_s: Seconds that it may be away.

    Attributes:
        since: When it was missed first; None: it is there.
    """

    def __init__(self, host: str, patience_s: float) -> None:
        self.since: float | None = None
        self._host = host
        self._patience_s = patience_s
        self._seen = ""
        self._wait_s = FIRST_PROBE_S
        self._asked_at = float("-inf")
        self._probing = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    def begin(self, seen: str, now: float) -> None:
        """Take note that the endpoint is away, or still away after a try.

        Args:
            seen: The failure, for messages.
            now: The event loop's time.
        """
        if self.since is None:
            self.since = now
            self._wait_s = FIRST_PROBE_S
        self._seen = seen

    def end(self) -> None:
        """Take note that the endpoint is there."""
        if self.since is not None:
            self.since = None
            self._wake(len(self._waiting))

    def try_now(self, now: float) -> bool:
        """Whether a call may try again at once; if so, `tried` must follow."""
        if self._probing or now - self._asked_at < self._wait_s:
            return False
        self._begin_try(now)
        return True

    def over(self, now: float) -> EndpointDown | None:
        """The error, when the endpoint has been away for too long."""
        if self.since is None or now - self.since < self._patience_s:
            return None
        return EndpointDown(
            f"{self._host} has been away for {now - self.since:.0f} s ({self._seen}); the answers"
            " so far are kept: run the same command again when it is well"
        )

    def said(self, now: float) -> str:
        """A sentence for the progress line; empty: the endpoint is there."""
        if self.since is None:
            return ""
        return (
            f"{self._host} is away since {now - self.since:.0f} s, waiting up to"
            f" {self._patience_s:g} s for it"
        )

    async def turn(self) -> bool:
        """Wait until the endpoint is back or given up, or until it is this call's turn to try.

        Returns:
            Whether the call tries; `tried` must follow.
        """
        loop = asyncio.get_running_loop()
        while self.since is not None and not self.over(loop.time()):
            wait: float | None = None
            if not self._probing:
                due = min(self._asked_at + self._wait_s, self.since + self._patience_s)
                wait = due - loop.time()
                if self.try_now(loop.time()):
                    return True
            stirred = loop.create_future()
            self._waiting.append(stirred)
            try:
                await asyncio.wait([stirred], timeout=wait)
            except asyncio.CancelledError:
                if stirred.done():
                    self._wake(1)  # it was this call's to try; another may do it
                raise
            finally:
                if stirred in self._waiting:
                    self._waiting.remove(stirred)
        return False

    def _begin_try(self, now: float) -> None:
        self._probing = True
        self._asked_at = now
        self._wait_s = min(LONGEST_PROBE_S, 1.5 * self._wait_s)

    def tried(self) -> None:
        """Take note that a try is over; another call may make the next one."""
        self._probing = False
        self._wake(1)

    def _wake(self, count: int) -> None:
        for _ in range(count):
            while self._waiting:
                waiting = self._waiting.popleft()
                if not waiting.done():
                    waiting.set_result(None)
                    break
