"""Ending a run on SIGTERM, SIGHUP or Ctrl-C: no new call is made, calls under way may end.

Here: the signals, and when a run ends because of one. Not here: what a run publishes at its end.

Prefect's own handler raises in the coroutine that happens to run: its answer would be lost, and
the other coroutines would continue.
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
from prefect_llm_reports.tasks.runtime.handlers import (
    is_own,
    is_prefects,
    is_the_loops,
    is_the_programs,
)
from prefect_llm_reports.tasks.runtime.logs import Log, log_of_this_run, logger
from prefect_llm_reports.tasks.runtime.process_wide import process_wide
from prefect_llm_reports.tasks.runtime.sigterm import handler_before_prefects

GRACE_S = 20
"""Seconds that calls under way may take to end after an interruption."""
HALT_S = 9
"""Seconds after that in which the run may write its results; then it is cancelled."""
AT_ONCE_S = 2
"""Seconds for the same after the second request to end."""
NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
OTHERS_S = 25
"""Seconds after a signal for which a run waits for other runs of its process that got it."""
HANDLER = "_prefect_sigterm_handler"
"""Prefect's name for its handler of SIGTERM."""
CHECK = "can_ack_control_intent"
"""Prefect's name for the function that says whether it would acknowledge a cancel now."""
ECHO_S = 5
"""Seconds in which a signal of the other kind is the same request: Ctrl-C, then SIGTERM of a
parent process."""
LOOK_S = 0.5
"""Seconds between checks that the signals are still ours.

The flow that Prefect started first in a process resets SIGTERM when it ends, though others
continue.
"""
NOT_RECOGNIZED = (
    "this version of Prefect does not know our handler of SIGTERM: a run that is cancelled may end"
    " as Crashed, and an automation that restarts crashed runs would start it again and spend"
    " money; install a version of Prefect that this package is tested with"
)
NOT_TAKEN = (
    "this version of Prefect does not let a run take over SIGTERM, so Prefect keeps it: a run that"
    " is cancelled or stopped ends at once, and loses the answers of calls under way; install a"
    " version of Prefect that this package is tested with"
)
OTHER_THREAD = (
    "this run is not in the main thread, so SIGTERM and Ctrl-C stay with the program: they do not"
    " let calls under way end; start the run in the main thread if they should"
)


class Interruption:
    """Reacts to signals while calls are made; the second request ends the run at once.

    Args:
        stop: Makes sure that no new call is made.
        on_signal: Receives the number of each signal that asks to end, and decides how the process
            ends. None: the run ends as Prefect would have ended it.
        halt: Gives up the calls under way, so that the run can write its results. None: the run is
            cancelled instead.

    Attributes:
        number: The signal's number; 0: no signal came.
    """

    def __init__(
        self,
        stop: Callable[[Interrupted], None],
        on_signal: Callable[[int], None] | None,
        halt: Callable[[], None] | None = None,
    ) -> None:
        self.number = 0
        self._stop = stop
        self._on_signal = on_signal
        self._halt = halt
        self._timer: asyncio.TimerHandle | None = None
        self._run: asyncio.Task[Any] | None = None
        self._since = 0.0
        self._concluding = False
        self._log: Log = logger

    @contextmanager
    def heeded(self) -> Generator[None]:
        """Take over the signals of the process; a run outside the main thread cannot."""
        self._run = asyncio.current_task()
        self._log = log_of_this_run()
        assert self._run is not None
        try:
            with _signals.delivered_to(self):
                yield
        except BaseException as error:
            _signals.finish(self)
            if isinstance(error, asyncio.CancelledError):
                self._end_by_signal()
            raise
        finally:
            if self._timer:
                self._timer.cancel()

    async def end(self) -> None:
        """End the run by the signal that came, unless `on_signal` decides how the process ends.

        The exception ends the process, so the run first waits for the other runs that got the
        signal to finish their work.
        """
        _signals.finish(self)
        if self.number and self._on_signal is None:
            await _signals.all_finished(self._since + OTHERS_S)
        self._end_by_signal()

    def _end_by_signal(self) -> None:
        handed_on = _signals.handed_on(self.number)
        if self.number and self._on_signal is None and not handed_on:
            if self.number == signal.SIGINT:
                raise KeyboardInterrupt
            raise TerminationSignal(self.number)

    def let_conclude(self) -> None:
        """Let the run write its result, however long that takes; only a second request ends it."""
        self._concluding = True
        if self._timer:
            self._timer.cancel()

    def withdraw(self, why: Interrupted, grace_s: float) -> None:
        """End the run without a signal: calls under way may take `grace_s` seconds to end."""
        self._stop(why)
        if self._run and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(grace_s, self._give_up, HALT_S)

    def heed(self, number: int) -> None:
        """React to a signal: start nothing new; at the second request end the run at once."""
        assert self._run is not None
        now = asyncio.get_running_loop().time()
        if self.number:
            if number == self.number or now > self._since + ECHO_S:
                if self._on_signal:
                    self._on_signal(number)
                self._give_up(AT_ONCE_S)
            return
        self.number, self._since = number, now
        name = signal.Signals(number).name
        self._stop(Interrupted(f"interrupted by {name}; run the same again to continue"))
        self._log.info("interrupted by %s: no further calls; calls under way may end", name)
        if self._on_signal:
            self._on_signal(number)
        if self._timer is None and not self._concluding:
            self._timer = asyncio.get_running_loop().call_later(GRACE_S, self._give_up, HALT_S)

    def _give_up(self, patience_s: float) -> None:
        """Give up the calls under way; cancel the run if that does not end it in time."""
        assert self._run is not None
        if self._timer:
            self._timer.cancel()
        if self._halt is None:
            self._run.cancel()
            return
        self._timer = asyncio.get_running_loop().call_later(patience_s, self._run.cancel)
        self._halt()


class _Signals:
    """The signals that end this process, while runs in its main thread react to them.

    Programs that contain a run, such as a web server, get each signal as well, at once. SIGHUP is
    taken only where it would end the process: `nohup` ignores it, and servers reload by it.

    Before Prefect sends SIGTERM, it says why: a cancel, or the end of a worker. The process
    acknowledges that only while it finds Prefect's own handler installed, so our handler takes its
    name. Without the acknowledgement a cancelled run would be Crashed, and an automation would
    start it again, which spends money. Where our handler is not recognized, Prefect keeps SIGTERM.
    """

    def __init__(self) -> None:
        self._runs: list[Interruption] = []
        self._at_work: set[Interruption] = set()
        self._quiet = asyncio.Event()
        self._before: dict[int, Any] = {}
        self._behind_prefects: Any = None
        self._ours: dict[int, Any] = {}
        self._prefects: Any = None
        self._handler: Any = None
        self._left_to_prefect = False
        self._look_again: asyncio.TimerHandle | None = None
        self._taken_over = process_wide(self._take_over)

    @contextmanager
    def delivered_to(self, run: Interruption) -> Generator[None]:
        """Deliver the signals to a run; several runs may get them, and end in any order."""
        if threading.current_thread() is not threading.main_thread():
            log_of_this_run().info(OTHER_THREAD)
            yield
            return
        with self._taken_over():
            self._take()
            if self._left_to_prefect:
                log_of_this_run().warning(NOT_TAKEN)
            elif self._prefects is None:
                log_of_this_run().warning(NOT_RECOGNIZED)
            self._runs.append(run)
            try:
                yield
            finally:
                self._runs.remove(run)

    def _take_over(self) -> Generator[None]:
        """Remember the handlers found first, and restore them at the end."""
        self._prefects = getattr(engine, HANDLER, None)
        self._left_to_prefect = False
        self._behind_prefects = None
        self._handler = self._handler_of(asyncio.get_running_loop())
        self._at_work.clear()
        self._quiet = asyncio.Event()
        try:
            yield
        finally:
            self._give_back()

    def _take(self) -> None:
        """Take the signals, also from flows of this loop that started or ended meanwhile."""
        loop = asyncio.get_running_loop()
        for number in NUMBERS:
            found = signal.getsignal(number)
            ours = number in self._ours and found is self._ours[number]
            if ours or (number == signal.SIGTERM and self._left_to_prefect):
                continue
            if number == signal.SIGHUP and found is not signal.SIG_DFL and not is_own(found):
                continue
            self._before[number], self._ours[number] = found, self._handler
            signal.signal(number, self._handler)
            signal.siginterrupt(number, False)
            if number == signal.SIGTERM and is_prefects(found):
                self._behind_prefects = handler_before_prefects()
                self._take_name(found)
        if self._look_again:
            self._look_again.cancel()
        self._look_again = loop.call_later(LOOK_S, self._take)

    def _handler_of(self, loop: asyncio.AbstractEventLoop) -> Callable[[int, Any], None]:
        """A handler that tells the runs of this loop, and then the handler that was there before.

        A handler that the program gave to the event loop is called by the loop itself.
        """

        def handler(number: int, frame: Any) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._deliver, number)
            before = self._before_all(number)
            if is_the_programs(before):
                before(number, frame)

        return handler

    def handed_on(self, number: int) -> bool:
        """Whether the program that contains the run got the signal, and so decides on its end."""
        before = self._before_all(number)
        return is_the_programs(before) or is_the_loops(before)

    def _before_all(self, number: int) -> Any:
        """The handler that was there before ours and Prefect's."""
        before = self._before.get(number)
        return self._behind_prefects if is_prefects(before) else before

    def _take_name(self, found: Any) -> None:
        """Put our handler of SIGTERM where Prefect looks for its own; else give SIGTERM back."""
        if self._prefects is not None and found is self._prefects:
            setattr(engine, HANDLER, self._ours[signal.SIGTERM])
            if _acknowledges():
                return
            setattr(engine, HANDLER, self._prefects)
        del self._ours[signal.SIGTERM]
        signal.signal(signal.SIGTERM, found)
        self._left_to_prefect = True

    def _deliver(self, number: int) -> None:
        if not self._at_work:
            self._quiet = asyncio.Event()
        self._at_work.update(self._runs)
        for run in self._runs:
            run.heed(number)

    def finish(self, run: Interruption) -> None:
        """Note that a run that may have got a signal has no more work."""
        self._at_work.discard(run)
        if not self._at_work:
            self._quiet.set()

    async def all_finished(self, until: float) -> None:
        """Wait for all runs that got the signal, at most until a time of the loop's clock."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._quiet.wait()

    def _give_back(self) -> None:
        """Restore the handlers that we found; keep those that others installed since."""
        if self._look_again:
            self._look_again.cancel()
        for number, ours in self._ours.items():
            if signal.getsignal(number) is ours:
                signal.signal(number, self._before[number])
        self._ours.clear()
        if self._prefects is not None:
            setattr(engine, HANDLER, self._prefects)


def _acknowledges() -> bool:
    """Whether Prefect would acknowledge a cancel now."""
    try:
        return bool(getattr(engine, CHECK)())
    except Exception:  # Prefect has changed here
        return False


_signals = _Signals()
