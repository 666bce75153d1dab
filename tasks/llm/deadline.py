"""The deadline of a request, in time during which this process ran.

A process that was paused (SIGSTOP, the sleep of a laptop, a starved machine) must not take its own
pause for the endpoint's silence. Not here: how long a deadline is, and what follows it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from prefect_llm_reports.tasks.llm.call import Call

TICK_S = 1.0
"""Seconds between two looks at the clock."""
PAUSE_S = 5.0
"""Seconds by which a look may be late before the process counts as paused."""

AGAIN_S = 15.0
"""Seconds that a call has after a pause, at least: what came meanwhile is still to be read."""


@asynccontextmanager
async def until_deadline(call: Call) -> AsyncGenerator[None]:
    """Make a request until `call.ends`; a pause of this process moves that.

    Raises:
        TimeoutError: The deadline has passed.
    """
    async with asyncio.timeout(None) as limit:
        ticking = _Ticking(call, limit)
        try:
            yield
        finally:
            ticking.handle.cancel()


class _Ticking:
    """Looks at the clock again and again.

    Args:
        call: Its `ends` is the deadline, in the time of the event loop.
        limit: Expires at the deadline.
    """

    def __init__(self, call: Call, limit: asyncio.Timeout) -> None:
        self._call = call
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time()
        self.handle = self._loop.call_soon(self._tick)

    def _tick(self) -> None:
        now, call = self._loop.time(), self._call
        assert call.ends is not None
        late = now - self._due
        if late > PAUSE_S:
            call.ends = max(call.ends + late, now + AGAIN_S)
        if now >= call.ends:
            self._limit.reschedule(now)
            return
        self._due = min(now + TICK_S, call.ends)
        self.handle = self._loop.call_at(self._due, self._tick)
