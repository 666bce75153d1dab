"""One at a time: within an event loop, between processes, and after a holder's death."""

from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from prefect_llm_reports.tasks.answers.locks import FileLocks, SingleFlight
from prefect_llm_reports.tasks.contract.errors import StorageError
from tests.harness import ROOT

KEY, OTHER = "a" * 64, "b" * 64
HOLDER = """
import asyncio, sys
from pathlib import Path
from prefect_llm_reports.tasks.answers.locks import FileLocks
locks = FileLocks.at(Path(sys.argv[1]))
for line in sys.stdin:
    act, key = line.split()
    if act == "take":
        print(asyncio.run(locks.try_lock(key)), flush=True)
    else:
        locks.unlock(key)
        print("done", flush=True)
"""


class Process:
    """Another process, which takes locks when told."""

    def __init__(self, path: Path) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, act: str, key: str) -> str:
        assert self.popen.stdin
        assert self.popen.stdout
        self.popen.stdin.write(f"{act} {key}\n")
        self.popen.stdin.flush()
        return self.popen.stdout.readline().strip()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.popen.kill()
        self.popen.communicate()


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 10))


def test_two_processes_never_hold_a_key_at_once_and_death_frees_it(tmp_path: Path) -> None:
    """A key held by one process is refused to another until given back, or the holder is killed."""
    path = tmp_path / "store" / ".locks"

    async def main() -> None:
        locks = FileLocks.at(path)
        with Process(path) as other:
            assert other.tell("take", KEY) == "True"
            assert not await locks.try_lock(KEY)
            assert await locks.try_lock(OTHER)
            assert other.tell("take", OTHER) == "False"
            other.tell("give", KEY)
            assert await locks.try_lock(KEY)
            assert other.tell("take", KEY) == "False"
            locks.unlock(KEY)
            assert other.tell("take", KEY) == "True"
            flight = SingleFlight(locks)
            assert not await flight.aacquire_lock(KEY, "me", acquire_timeout=0.03)
            assert not flight.is_locked(KEY)
            waiting = asyncio.create_task(flight.aacquire_lock(KEY, "me"))
            await asyncio.sleep(0)
            other.popen.kill()
            other.popen.wait()
            assert await asyncio.wait_for(waiting, 0.5)
            flight.release_lock(KEY, "me")
            locks.unlock(OTHER)

    run(main())
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_one_process_does_not_take_a_key_twice(tmp_path: Path) -> None:
    """Within a process a key is taken once, however the path of its file is spelt."""

    async def main() -> None:
        (tmp_path / "x").mkdir()
        (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
        locks = FileLocks.at(tmp_path / "locks")
        assert FileLocks.at(tmp_path / "x" / ".." / "locks") is locks
        assert FileLocks.at(tmp_path / "link" / "locks") is locks
        assert await locks.try_lock(KEY)
        assert not await locks.try_lock(KEY)
        locks.unlock(KEY)
        assert await locks.try_lock(KEY)
        locks.unlock(KEY)

    run(main())


def test_a_file_system_without_locks_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system cannot lock at all, that is said; nobody waits for ever."""

    def no_locks(*_: object) -> None:
        raise OSError(37, os.strerror(37))

    async def main() -> None:
        flight = SingleFlight(FileLocks(tmp_path / "locks"))
        monkeypatch.setattr(fcntl, "lockf", no_locks)
        with pytest.raises(StorageError, match="record locks"):
            await flight.aacquire_lock(KEY, "me")
        assert not flight.is_locked(KEY)

    run(main())


def test_identical_callers_run_one_at_a_time(tmp_path: Path) -> None:
    """Forty callers of the same key run the section one at a time, in their order."""

    async def main() -> None:
        flight = SingleFlight(FileLocks(tmp_path / "locks"))
        inside, order = 0, list[int]()

        async def caller(number: int) -> None:
            nonlocal inside
            assert await flight.aacquire_lock(KEY, str(number))
            assert flight.is_lock_holder(KEY, str(number))
            inside += 1
            assert inside == 1
            order.append(number)
            await asyncio.sleep(0)
            inside -= 1
            flight.release_lock(KEY, str(number))

        await asyncio.gather(*(caller(n) for n in range(40)))
        assert order == list(range(40))
        assert not flight.is_locked(KEY)

    run(main())


def test_different_keys_do_not_wait_for_each_other(tmp_path: Path) -> None:
    """Holders of different keys do not wait for each other."""

    async def main() -> None:
        flight = SingleFlight(FileLocks(tmp_path / "locks"))
        assert await flight.aacquire_lock(KEY, "a")
        assert await flight.aacquire_lock(OTHER, "b")

    run(main())


def test_a_cancelled_waiter_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """Waiters cancelled in the queue, or when just woken, leave the lock to the next."""

    async def main() -> None:
        flight = SingleFlight(FileLocks(tmp_path / "locks"))
        assert await flight.aacquire_lock(KEY, "first")
        waiters = [asyncio.create_task(flight.aacquire_lock(KEY, str(n))) for n in range(4)]
        await asyncio.sleep(0)
        waiters[0].cancel()
        await asyncio.sleep(0)
        flight.release_lock(KEY, "first")
        waiters[1].cancel()
        assert await waiters[2]
        assert flight.is_lock_holder(KEY, "2")
        assert not waiters[3].done()
        flight.release_lock(KEY, "2")
        assert await waiters[3]

    run(main())


def test_waiting_ends_in_time(tmp_path: Path) -> None:
    """A waiter with a time limit gives up, and only the holder can give the lock back."""

    async def main() -> None:
        flight = SingleFlight(FileLocks(tmp_path / "locks"))
        assert await flight.aacquire_lock(KEY, "holder")
        assert not await flight.aacquire_lock(KEY, "other", acquire_timeout=0.01)
        assert not await flight.await_for_lock(KEY, timeout=0.01)
        flight.release_lock(KEY, "other")
        assert flight.is_lock_holder(KEY, "holder")
        waiting = asyncio.create_task(flight.await_for_lock(KEY))
        await asyncio.sleep(0)
        flight.release_lock(KEY, "holder")
        flight.release_lock(KEY, "holder")
        assert await waiting
        assert await flight.await_for_lock(KEY, timeout=0)

    run(main())
