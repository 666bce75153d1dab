"""Ending a run on SIGTERM or Ctrl-C: no new call is made, calls under way may end.

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
from prefect_llm_reports.tasks.runtime.logs import Log, log_of_this_run, logger
from prefect_llm_reports.tasks.runtime.process_wide import process_wide

GRACE_S = 20
"""Seconds that calls under way may take to end after an interruption."""
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
    """Reacts to SIGTERM and SIGINT while calls are made; the second signal ends the run at once.

    Args:
        stop: Makes sure that no new call is made.
        on_signal: Receives the number of the first signal, and decides how the process ends. None:
            the run ends as Prefect would have ended it.

    Attributes:
        number: The signal's number; 0: no signal came.
    """

    def __init__(
        self, stop: Callable[[Interrupted], None], on_signal: Callable[[int], None] | None
    ) -> None:
        self.number = 0
        self._stop = stop
        self._on_signal = on_signal
        self._timer: asyncio.TimerHandle | None = None
        self._run: asyncio.Task[Any] | None = None
        self._since = 0.0
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
        if self.number and self._on_signal is None:
            if self.number == signal.SIGINT:
                raise KeyboardInterrupt
            raise TerminationSignal(self.number)

    def withdraw(self, why: Interrupted, grace_s: float) -> None:
        """End the run without a signal: calls under way may take `grace_s` seconds to end."""
        self._stop(why)
        if self._run and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(grace_s, self._run.cancel)

    def heed(self, number: int) -> None:
        """React to a signal: start nothing new; at the second request end the run at once."""
        assert self._run is not None
        now = asyncio.get_running_loop().time()
        if self.number:
            if number == self.number or now > self._since + ECHO_S:
                self._run.cancel()
            return
        self.number, self._since = number, now
        name = signal.Signals(number).name
        self._stop(Interrupted(f"interrupted by {name}; run the same again to continue"))
        self._log.info("interrupted by %s: no further calls; calls under way may end", name)
        if self._on_signal:
            self._on_signal(number)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GRACE_S, self._run.cancel)


class _Signals:
    """SIGTERM and SIGINT of this process, while runs in its main thread react to them.

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
        self._ours: dict[int, Any] = {}
        self._prefects: Any = None
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
        """Remember what is found first, and restore it at the end."""
        self._prefects = getattr(engine, HANDLER, None)
        self._left_to_prefect = False
        try:
            yield
        finally:
            self._give_back()

    def _take(self) -> None:
        """Take the signals, also from flows of this loop that started or ended meanwhile."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            found = signal.getsignal(number)
            ours = number in self._ours and found is self._ours[number]
            if ours or (number == signal.SIGTERM and self._left_to_prefect):
                continue
            loop.add_signal_handler(number, self._deliver, number)
            self._before[number], self._ours[number] = found, signal.getsignal(number)
            if number == signal.SIGTERM and _is_prefects(found):
                self._take_name(found)
        if self._look_again:
            self._look_again.cancel()
        self._look_again = loop.call_later(LOOK_S, self._take)

    def _take_name(self, found: Any) -> None:
        """Put our handler of SIGTERM where Prefect looks for its own; else give SIGTERM back."""
        if self._prefects is not None and found is self._prefects:
            setattr(engine, HANDLER, self._ours[signal.SIGTERM])
            if _acknowledges():
                return
            setattr(engine, HANDLER, self._prefects)
        del self._ours[signal.SIGTERM]
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
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
        loop = asyncio.get_running_loop()
        for number, ours in self._ours.items():
            found = signal.getsignal(number)
            loop.remove_signal_handler(number)
            signal.signal(number, self._before[number] if found is ours else found)
        self._ours.clear()
        if self._prefects is not None:
            setattr(engine, HANDLER, self._prefects)


def _is_prefects(handler: Any) -> bool:
    return str(getattr(handler, "__module__", "")).partition(".")[0] == "prefect"


def _acknowledges() -> bool:
    """Whether Prefect would acknowledge a cancel now."""
    try:
        return bool(getattr(engine, CHECK)())
    except Exception:  # whatever changed in Prefect, it is not as we know it
        return False


_signals = _Signals()
