"""Ending a run on SIGTERM or Ctrl-C: no new call is made, those under way may end.

Prefect's own handler raises in whatever coroutine runs just then: that one would be lost with the
answer it holds, and the others go on.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any

from prefect.exceptions import TerminationSignal
from prefect.utilities import engine

from tasks.errors import Interrupted

GRACE_S = 20
"""Seconds that calls under way may take to end after an interruption."""
HANDLER = "_prefect_sigterm_handler"
"""Prefect's name for its handler of SIGTERM."""
PREFECTS: Any = getattr(engine, HANDLER, None)
ECHO_S = 5
"""Seconds in which a signal of the other kind is the same wish: Ctrl-C and the parent's SIGTERM."""


class Interruption:
    """Heeds SIGTERM and SIGINT while calls are made; at the second signal the run ends at once.

    Args:
        stop: Makes sure that no new call is made.
        tell: Told the number of the first signal; None: nobody follows the run, and it ends as
            Prefect would have ended it.

    Attributes:
        number: The signal's number; 0: none came.
    """

    def __init__(
        self, stop: Callable[[Interrupted], None], tell: Callable[[int], None] | None
    ) -> None:
        self.number = 0
        self._stop = stop
        self._tell = tell
        self._timer: asyncio.TimerHandle | None = None
        self._run: asyncio.Task[Any] | None = None
        self._since = 0.0

    @contextmanager
    def heeded(self) -> Generator[None]:
        """Take the signals over from whoever has them; off the main thread they stay theirs."""
        loop, run = asyncio.get_running_loop(), asyncio.current_task()
        assert run is not None
        self._run = run
        before: dict[int, Any] = {}
        with suppress(ValueError, RuntimeError):
            for number in (signal.SIGINT, signal.SIGTERM):
                handler = signal.getsignal(number)
                loop.add_signal_handler(number, self._interrupt, number, run)
                before[number] = handler
        try:
            with _acknowledged(before.get(signal.SIGTERM)):
                yield
        except asyncio.CancelledError:
            self.end()
            raise
        finally:
            if self._timer:
                self._timer.cancel()
            for number, handler in before.items():
                loop.remove_signal_handler(number)
                signal.signal(number, handler)

    def end(self) -> None:
        """End the run by the signal that came, unless whoever follows it sees to that."""
        if self.number and self._tell is None:
            if self.number == signal.SIGINT:
                raise KeyboardInterrupt
            raise TerminationSignal(self.number)

    def withdraw(self, why: Interrupted, grace_s: float) -> None:
        """End the run without a signal: calls under way may take `grace_s` seconds to end."""
        self._stop(why)
        if self._run and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(grace_s, self._run.cancel)

    def _interrupt(self, number: int, run: asyncio.Task[Any]) -> None:
        now = asyncio.get_running_loop().time()
        if self.number:
            if number == self.number or now > self._since + ECHO_S:
                run.cancel()
            return
        self.number, self._since = number, now
        name = signal.Signals(number).name
        self._stop(Interrupted(f"interrupted by {name}; run the same again to go on"))
        if self._tell:
            self._tell(number)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GRACE_S, run.cancel)


@contextmanager
def _acknowledged(before: Any) -> Generator[None]:
    """Let Prefect go on answering who tells why SIGTERM will come: a cancel, or a worker's end.

    It answers only while it finds its own handler of SIGTERM installed. Without an answer a run
    that somebody cancelled would be Crashed, and crashed runs begin again by an automation.
    """
    if before is None or before is not PREFECTS:  # no flow has it, or another run of this loop
        yield
        return
    setattr(engine, HANDLER, signal.getsignal(signal.SIGTERM))
    try:
        yield
    finally:
        setattr(engine, HANDLER, before)
