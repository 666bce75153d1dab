"""Single flight: of all callers who want the same answer, one asks and the others wait for it.

Prefect's transactions hold a `SingleFlight` lock while they ask for an answer. The processes of one
machine share record locks of the operating system, which end with their owner. Machines share
leases beside the answers, which expire.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
import threading
from collections import defaultdict, deque
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from prefect_llm_reports.tasks.contract.errors import StorageError

LOCKS = ".locks"
"""The file of a store's locks."""
_LAST_KEY = "f" * 15
"""The key of the last byte; some file systems have no locks so far out."""
POLL_S = (0.02, 0.25)
"""First and longest wait between looks at a lock that another process holds."""


class SharedLocks(Protocol):
    """Locks by key between processes; they never wait."""

    def try_lock(self, key: str) -> Awaitable[bool]:
        """Take the lock if it is free."""
        ...

    def unlock(self, key: str) -> None:
        """Give the lock back."""
        ...


class FileLocks:
    """Locks between the processes and threads of one machine: one byte of a file for each key.

    The operating system drops a process's record locks when it dies, however it dies. It also
    drops them when any handle of the file is closed, so there is one object a file and process,
    and its handle stays open.
    """

    _of_this_process: dict[Path, FileLocks] = {}  # noqa: RUF012 - shared on purpose
    _opening = threading.Lock()

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if path.parent.stat().st_mode & stat.S_ISGID:  # a store that a group shares
                with suppress(OSError):
                    os.fchmod(self._handle, 0o660)
        except OSError as error:
            raise StorageError(
                f"opening {path} failed: {error.strerror}; give this user access to it, or use a"
                " store of your own (LLM_REPORTS_STORE)"
            ) from error
        self._held: set[int] = set()
        self._guard = threading.Lock()

    @classmethod
    def at(cls, path: Path) -> FileLocks:
        """The locks in a file; every spelling of its path gives the same object."""
        path = path.resolve()
        with cls._opening:
            locks = cls._of_this_process.get(path)
            if locks is None:
                locks = cls._of_this_process[path] = cls(path)
            return locks

    async def try_lock(self, key: str) -> bool:
        """Take the lock if it is free."""
        return self.take(key)

    def check(self) -> None:
        """Check that the file system has record locks: take one and release it.

        Raises:
            StorageError: The file system has no record locks.
        """
        if self.take(_LAST_KEY):
            self.unlock(_LAST_KEY)

    def take(self, key: str) -> bool:
        """Take the lock if it is free.

        Args:
            key: Hexadecimal digits.

        Raises:
            StorageError: The file system has no record locks.
        """
        at = _offset(key)
        with self._guard:
            if at in self._held:
                return False
            try:
                fcntl.lockf(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, at)
            except (BlockingIOError, PermissionError):  # another process holds it
                return False
            except OSError as error:
                raise StorageError(
                    f"locking {self._path} failed: {error.strerror}; keep the store on a file"
                    " system that has record locks"
                ) from error
            self._held.add(at)
            return True

    def unlock(self, key: str) -> None:
        """Give the lock back."""
        at = _offset(key)
        with self._guard:
            self._held.discard(at)
            fcntl.lockf(self._handle, fcntl.LOCK_UN, 1, at)


def _offset(key: str) -> int:
    """The byte that stands for a key; two keys that share a byte wait for each other."""
    return int(key[:15], 16)


class SingleFlight:
    """A Prefect lock manager for one event loop.

    Args:
        shared: Locks between processes.
    """

    def __init__(self, shared: SharedLocks) -> None:
        self._shared = shared
        self._holders: dict[str, str] = {}
        self._locked: set[str] = set()
        self._queues: defaultdict[str, deque[asyncio.Future[None]]] = defaultdict(deque)

    async def aacquire_lock(
        self,
        key: str,
        holder: str,
        acquire_timeout: float | None = None,
        hold_timeout: float | None = None,
    ) -> bool:
        """Wait for the lock and take it; False: `acquire_timeout` seconds were not enough."""
        del hold_timeout
        try:
            async with asyncio.timeout(acquire_timeout):
                await self._turn(key, holder)
        except TimeoutError:
            return False
        return True

    async def _turn(self, key: str, holder: str) -> None:
        while key in self._holders:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._queues[key].append(turn)
            await turn
        self._holders[key] = holder
        try:
            wait = POLL_S[0]
            while not await self._shared.try_lock(key):
                await asyncio.sleep(wait)
                wait = min(2 * wait, POLL_S[1])
            self._locked.add(key)
        except BaseException:
            self._free(key)
            raise

    def release_lock(self, key: str, holder: str) -> None:
        """Give the lock back; a lock that is not held stays as it is."""
        if self._holders.get(key) == holder:
            self._locked.discard(key)
            self._shared.unlock(key)
            self._free(key)

    def release_all(self) -> None:
        """Give back the locks that cancelled callers have left."""
        for key in [*self._locked]:
            self.release_lock(key, self._holders[key])

    def _free(self, key: str) -> None:
        del self._holders[key]
        for turn in self._queues.pop(key, ()):
            if not turn.done():
                turn.set_result(None)

    def is_locked(self, key: str) -> bool:
        """Whether a caller on this event loop holds the lock."""
        return key in self._holders

    def is_lock_holder(self, key: str, holder: str) -> bool:
        """Whether this caller holds the lock."""
        return self._holders.get(key) == holder

    async def await_for_lock(self, key: str, timeout: float | None = None) -> bool:  # noqa: ASYNC109
        """Wait until nobody on this event loop holds the lock."""
        try:
            async with asyncio.timeout(timeout):
                while key in self._holders:
                    turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    self._queues[key].append(turn)
                    await turn
        except TimeoutError:
            return False
        return True

    def acquire_lock(
        self,
        key: str,
        holder: str,
        acquire_timeout: float | None = None,
        hold_timeout: float | None = None,
    ) -> bool:
        """Not supported: LLM calls are async tasks."""
        raise NotImplementedError("LLM calls are async tasks; await them")

    def wait_for_lock(self, key: str, timeout: float | None = None) -> bool:
        """Not supported: LLM calls are async tasks."""
        raise NotImplementedError("LLM calls are async tasks; await them")
