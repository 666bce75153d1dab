"""Ctrl-C, SIGTERM and SIGHUP at the command line, before, during and after a run.

Before a run begins, a signal ends the process at once, with one line. While a run makes calls it
heeds signals itself (`tasks.runtime.signals`). Otherwise the first signal cancels the run. A second
request always ends the process at once. Not here: the results that a run keeps.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Coroutine
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio

R = TypeVar("R")

LAST_S = 3.0
"""Seconds in which a run may write its results, after the second request to end it."""
ECHO_S = 5.0
"""Seconds in which a signal of another kind is the same request, as in `tasks.runtime.signals`."""


class Ending:
    """How signals end this process.

    Attributes:
        number: Number of the first signal that asked a run to end, or 0.
        calls: The command is one that calls models.
        abrupt: Nothing that Prefect does at the end of a process is worth waiting for.
    """

    def __init__(self) -> None:
        self.number = 0
        self.calls = False
        self.abrupt = False
        self._since = 0.0
        self._run: asyncio.Task[Any] | None = None
        self._leaving = False
        self._left_open: list[object] = []

    def heed(self) -> None:
        """Take the signals; one that this process ignores (`nohup`) stays ignored."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._signalled)

    def run(self, flow: Coroutine[Any, Any, R]) -> R:
        """Run a flow on an event loop; the first signal cancels it, unless it heeds signals.

        Raises:
            SystemExit: A signal ended it.
        """
        import asyncio

        async def watched() -> R:
            self._run = asyncio.current_task()
            return await flow

        runner = asyncio.Runner()
        try:
            result = runner.run(watched())
            if self.abrupt:  # the rest waits for a server that is gone
                self._left_open.append(runner)
                self._silence()
            return result
        except asyncio.CancelledError:
            if not self.number:
                raise
            raise SystemExit(128 + self.number) from None
        finally:
            self._run = None
            if not self.abrupt:
                runner.close()

    def _silence(self) -> None:
        """Keep Prefect's messages about a server that is gone off the terminal."""
        import logging

        logging.disable(logging.CRITICAL)

    def requested(self, number: int) -> bool:
        """Note that a signal asks a run to end; returns whether that is the first request."""
        now = time.monotonic()
        if not self.number:
            self.number, self._since = number, now
            return True
        if number == self.number or now > self._since + ECHO_S:
            self._leave_soon()
        return False

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        if self._run is None and not self.number:
            name = signal.Signals(number).name
            _say(f"{name}: ended{' before the run began; no call was made' if self.calls else ''}")
            leave(128 + number)
        elif self.requested(number) and self._run is not None:
            run = self._run
            _say(f"{signal.Signals(number).name}: ending the run")
            with suppress(RuntimeError):
                run.get_loop().call_soon_threadsafe(run.cancel)

    def _leave_soon(self) -> None:
        """End the process: soon at the second request, and at once at the third."""
        if self._leaving or self._run is None:
            leave(128 + self.number)
        self._leaving = True
        timer = threading.Timer(LAST_S, leave, [128 + self.number])
        timer.daemon = True
        timer.start()


def leave(status: int) -> None:
    """End the process and its embedded server now, without waiting for anything."""
    server = sys.modules.get("prefect_llm_reports.tasks.runtime.server")
    if server is not None:
        with suppress(Exception):
            server.kill_embedded_server()
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(status)


def _say(line: str) -> None:
    """Write a line to stderr, also from within a signal handler."""
    with suppress(OSError):
        os.write(2, f"{line}\n".encode())


ending = Ending()
"""The one of this process."""
