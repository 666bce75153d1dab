"""Ending a run on SIGTERM or Ctrl-C: no new call is made, those under way may end.

Prefect's own handler raises in whatever coroutine runs just then: that one would be lost with the
answer it holds, and the others go on.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any

from prefect.exceptions import TerminationSignal
from prefect.utilities import engine

from prefect_llm_reports.tasks.contract.errors import Interrupted

GRACE_S = 20
"""Seconds that calls under way may take to end after an interruption."""
OTHERS_S = 25
"""Seconds after a signal for which a run waits for others of its process that heard it, too."""
HANDLER = "_prefect_sigterm_handler"
"""Prefect's name for its handler of SIGTERM."""
PREFECTS: Any = getattr(engine, HANDLER, None)
ECHO_S = 5
"""Seconds in which a signal of the other kind is the same wish: Ctrl-C and the parent's SIGTERM."""
LOOK_S = 0.5
"""Seconds between looks whether the signals are still ours.

The flow that Prefect began first in a process resets SIGTERM when it ends, though others go on.
"""


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
        self._run = asyncio.current_task()
        assert self._run is not None
        try:
            with _signals.reach(self):
                yield
        except BaseException as error:
            _signals.put_down(self)
            if isinstance(error, asyncio.CancelledError):
                self._end_by_signal()
            raise
        finally:
            if self._timer:
                self._timer.cancel()

    async def end(self) -> None:
        """End the run by the signal that came, unless whoever follows it sees to that.

        What one run raises then ends the process: others that heard the signal put down their
        work first.
        """
        _signals.put_down(self)
        if self.number and self._tell is None:
            await _signals.quiet(self._since + OTHERS_S)
        self._end_by_signal()

    def _end_by_signal(self) -> None:
        if self.number and self._tell is None:
            if self.number == signal.SIGINT:
                raise KeyboardInterrupt
            raise TerminationSignal(self.number)

    def withdraw(self, why: Interrupted, grace_s: float) -> None:
        """End the run without a signal: calls under way may take `grace_s` seconds to end."""
        self._stop(why)
        if self._run and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(grace_s, self._run.cancel)

    def heed(self, number: int) -> None:
        """A signal came: nothing new is begun; at the second wish the run ends at once."""
        assert self._run is not None
        now = asyncio.get_running_loop().time()
        if self.number:
            if number == self.number or now > self._since + ECHO_S:
                self._run.cancel()
            return
        self.number, self._since = number, now
        name = signal.Signals(number).name
        self._stop(Interrupted(f"interrupted by {name}; run the same again to go on"))
        if self._tell:
            self._tell(number)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GRACE_S, self._run.cancel)


class _Signals:
    """The process's SIGTERM and SIGINT, for as long as runs of its main thread's loop heed them.

    While they do, Prefect goes on answering who tells why SIGTERM will come: a cancel, or a
    worker's end. It answers only while it finds its own handler of SIGTERM installed. Without an
    answer a run that somebody cancelled would be Crashed, and crashed runs begin again by an
    automation.
    """

    def __init__(self) -> None:
        self._heeding: list[Interruption] = []
        self._at_work: set[Interruption] = set()
        self._quiet = asyncio.Event()
        self._before: dict[int, Any] = {}
        self._ours: dict[int, Any] = {}
        self._look_again: asyncio.TimerHandle | None = None

    @contextmanager
    def reach(self, run: Interruption) -> Generator[None]:
        """Let a run hear what comes; several may hear it, and end in any order."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._heeding.append(run)
        try:
            self._take()
            yield
        finally:
            self._heeding.remove(run)
            if not self._heeding:
                self._give_back()

    def _take(self) -> None:
        """Take the signals, also from a flow of this loop that began or ended meanwhile."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            found = signal.getsignal(number)
            if number in self._ours and found is self._ours[number]:
                continue
            loop.add_signal_handler(number, self._hear, number)
            self._before[number], self._ours[number] = found, signal.getsignal(number)
            if number == signal.SIGTERM and found is not None and found is PREFECTS:
                setattr(engine, HANDLER, self._ours[number])
        if self._look_again:
            self._look_again.cancel()
        self._look_again = loop.call_later(LOOK_S, self._take)

    def _hear(self, number: int) -> None:
        if not self._at_work:
            self._quiet = asyncio.Event()
        self._at_work.update(self._heeding)
        for run in self._heeding:
            run.heed(number)

    def put_down(self, run: Interruption) -> None:
        """A run that may have heard a signal has nothing more to do."""
        self._at_work.discard(run)
        if not self._at_work:
            self._quiet.set()

    async def quiet(self, until: float) -> None:
        """Wait for all that heard the signal, at most until a moment of the loop's clock."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._quiet.wait()

    def _give_back(self) -> None:
        """Leave everything as it was found, and what others have taken to them."""
        if self._look_again:
            self._look_again.cancel()
        loop = asyncio.get_running_loop()
        for number, ours in self._ours.items():
            found = signal.getsignal(number)
            loop.remove_signal_handler(number)
            signal.signal(number, self._before[number] if found is ours else found)
        self._ours.clear()
        if PREFECTS is not None:
            setattr(engine, HANDLER, PREFECTS)


_signals = _Signals()
