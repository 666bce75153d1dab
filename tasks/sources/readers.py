"""Files read in child processes: a file that kills its reader costs nothing but itself.

Here: starting, feeding and ending the children. Not here: what they do (`child`), which files
there are (`finding`).
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from threading import Thread
from typing import Any

from prefect_llm_reports.tasks.sources.child import write_frame
from prefect_llm_reports.tasks.sources.cutting import Cut
from prefect_llm_reports.tasks.sources.pieces import Unreadable

READ_S = 30
"""Seconds that reading one file may take."""
MEMORY_MB = 1000
"""Memory that reading may take."""
_PASSED_ON = (
    "PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "VIRTUAL_ENV",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
)
"""The environment of a child: nothing of the run's keys."""


class Reader:
    """One child process at a time, which reads one file after the other; it starts by itself.

    Args:
        seconds: Time for one file.
        memory_mb: Memory of the process.
    """

    def __init__(self, seconds: float = READ_S, memory_mb: int = MEMORY_MB) -> None:
        self._seconds = seconds
        self._memory_mb = memory_mb
        self._child: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        """End the child process."""
        self._end()

    def read(self, name: str, raw: bytes, skipped: list[str]) -> Iterator[Cut]:
        """Read a file, passage by passage.

        Args:
            name: Its name; the ending decides the format.
            raw: The file as stored.
            skipped: Receives a sentence for what was left out.

        Raises:
            Unreadable: With the reason, and the next action.
        """
        ends = time.monotonic() + self._seconds
        child = self._started()
        assert child.stdin is not None
        feeding = Thread(target=_feed, args=(child.stdin, name, raw), daemon=True)
        feeding.start()
        try:
            while True:
                answer: dict[str, Any] = json.loads(self._frame(child, ends))
                if "unreadable" in answer:
                    raise Unreadable(answer["unreadable"])
                yield from (Cut(*found) for found in answer["cuts"])
                if "skipped" in answer:
                    skipped += answer["skipped"]
                    return
        except _Lost as lost:
            self._end()
            raise Unreadable(str(lost)) from None
        except BaseException as error:
            if not isinstance(error, Unreadable):
                self._end()
            raise
        finally:
            feeding.join()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self._end()
            module = f"{__name__.rpartition('.')[0]}.child"
            limits: Sequence[str] = (str(self._memory_mb), str(int(self._seconds)))
            self._child = subprocess.Popen(  # noqa: S603
                [sys.executable, "-P", "-m", module, *limits],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
                start_new_session=True,  # Ctrl-C ends the run, which ends its children
            )
        return self._child

    def _frame(self, child: subprocess.Popen[bytes], ends: float) -> bytes:
        """The next frame of the child's answer, waited for until the file's time is over."""
        size = int.from_bytes(self._bytes(child, 4, ends), "big")
        return self._bytes(child, size, ends)

    def _bytes(self, child: subprocess.Popen[bytes], size: int, ends: float) -> bytes:
        assert child.stdout is not None
        handle = child.stdout.fileno()
        found = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(handle, selectors.EVENT_READ)
            while len(found) < size:
                left = ends - time.monotonic()
                if left <= 0 or not selector.select(left):
                    raise _Lost(
                        f"takes more than {self._seconds:g} s to read; divide it into smaller files"
                    )
                part = os.read(handle, min(size - len(found), 1 << 20))
                if not part:
                    raise _Lost(
                        "its reader was killed, or needed too much memory; divide it into smaller"
                        " files, or save it again"
                    )
                found += part
        return bytes(found)

    def _end(self) -> None:
        if (child := self._child) is None:
            return
        self._child = None
        with suppress(OSError):
            child.kill()
        for pipe in (child.stdin, child.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        child.wait()


class _Lost(Exception):
    """The child does not answer."""


def _feed(pipe: Any, name: str, raw: bytes) -> None:
    with suppress(OSError, ValueError):  # the child has ended
        write_frame(pipe, name.encode("utf-8", "surrogateescape"))
        write_frame(pipe, raw)
        pipe.flush()
