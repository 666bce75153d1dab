"""The files of the answer store, read and written in threads, with repeats after failures.

Here: one file for each answer, and removal of the oldest. Not here: the content of a file
(`answers.records`), answers that could not be written (`answers.losses`).
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from prefect_llm_reports.tasks.answers.losses import Losses
from prefect_llm_reports.tasks.contract.errors import StorageError, StorageFull
from prefect_llm_reports.tasks.storage.places import Place

ATTEMPTS = 3
WAIT_S = 0.2
"""Before the second attempt to read or write; twice that before the third."""
STALE_S = 86_400
"""Age at which no writer is left who could finish a half-written file."""
LOCAL_THREADS, NETWORK_THREADS = 4, 32

QUICK_S, TRUSTED = 0.02, 8
"""Seconds below which a read is quick, and quick reads after which no thread is needed."""

CHOICE = 5
"""Files that are looked at for each of the newest that is read."""
READ_TOGETHER = 200
"""Files that one thread reads after each other where each takes less than the thread."""
_FOLDER = re.compile(r"[0-9a-f]{2}")

T = TypeVar("T")
logger = logging.getLogger(__name__)


class AnswerFiles:
    """Reads and writes the files of a store.

    Args:
        place: Where they are kept.
        losses: Hears of attempts that fail.
    """

    def __init__(self, place: Place, losses: Losses) -> None:
        self._place = place
        self._losses = losses
        threads = NETWORK_THREADS if place.on_network else LOCAL_THREADS
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="answers")
        self._quick = 0

    def close(self) -> None:
        """Wait for the reads and writes under way, and end the threads."""
        self._threads.shutdown()

    def path(self, key: str) -> str:
        """Where the answer under a key is kept, for messages."""
        return self._place.path(_name(key))

    async def read(self, key: str) -> bytes | None:
        """The file under a key; None: there is none. Tried again, since a miss costs money.

        Raises:
            StorageError: No attempt succeeded.
        """
        return await self.repeated(lambda: self._read(key), "read")

    async def write(self, key: str, content: bytes) -> None:
        """Write the file under a key, once: atomically, fsynced, for this user only.

        Raises:
            StorageError: It could not be written.
        """
        await self._in_thread(self._place.write, _name(key), content)

    async def repeated(self, work: Callable[[], Awaitable[T]], done: str) -> T:
        """Do work with a file, with repeats after failures.

        Args:
            work: One attempt.
            done: Its participle, for the warnings: `read` or `kept`.

        Raises:
            StorageError: No attempt succeeded.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await work()
            except StorageError as error:
                self._losses.warn(f"an answer was not {done} (attempt {attempt}): {error}")
                if attempt == ATTEMPTS or isinstance(error, StorageFull):
                    raise
                await asyncio.sleep(WAIT_S * attempt)
        raise AssertionError

    async def newest(self, most: int) -> list[bytes]:
        """The contents of the newest files; files that cannot be read are left out.

        Keys are spread evenly over the folders, so some folders of a large store stand for all.

        Args:
            most: Files to read at most.
        """
        dated: list[tuple[float, str]] = []
        try:
            within = await self._in_thread(self._place.names)
            folders = [name for name in within if _FOLDER.fullmatch(name)]
            for first in range(0, len(folders), NETWORK_THREADS):
                some = folders[first : first + NETWORK_THREADS]
                for listed in await asyncio.gather(
                    *(self._in_thread(self._place.dated, folder) for folder in some)
                ):
                    dated += listed
                if len(dated) >= CHOICE * most:
                    break
        except StorageError as error:
            self._losses.warn(f"the store cannot be listed: {error}")
        names = [name for _, name in sorted(dated, reverse=True)[:most]]
        share = 1 if self._place.on_network else READ_TOGETHER
        found = await asyncio.gather(
            *(
                self._in_thread(self._bodies, names[first : first + share])
                for first in range(0, len(names), share)
            )
        )
        return [body for bodies in found for body in bodies]

    def _bodies(self, names: Sequence[str]) -> list[bytes]:
        bodies: list[bytes] = []
        for name in names:
            with suppress(StorageError):
                body = self._place.read(name)
                bodies += [body] if body else []
        return bodies

    async def shrink(self, most_bytes: int, used: Container[str]) -> None:
        """Remove the oldest files until the store is small enough.

        Args:
            most_bytes: Size the files may have together.
            used: Keys whose files stay.
        """
        if self._place.on_network:
            self._losses.warn(
                "the store's size is not limited in S3; set a lifecycle rule on the bucket"
            )
            return
        folder = Path(self._place.where)
        removed = await self._in_thread(remove_oldest, folder, most_bytes, used)
        if removed:
            logger.info("%d of the oldest answers were removed from the store", removed)

    async def _read(self, key: str) -> bytes | None:
        if self._quick >= TRUSTED:
            return self._timed(key)  # faster than a thread and back
        return await self._in_thread(self._timed, key)

    def _timed(self, key: str) -> bytes | None:
        """Read, and note whether the store is quick; a slow one must not hold up other calls."""
        began = time.monotonic()
        try:
            return self._place.read(_name(key))
        finally:
            quick = time.monotonic() - began < QUICK_S and not self._place.on_network
            self._quick = self._quick + 1 if quick else 0

    async def _in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        try:
            done = asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        except RuntimeError:  # the batch ended while this answer came in
            return work(*arguments)
        return await done


def remove_oldest(store: Path, most_bytes: int, used: Container[str]) -> int:
    """Remove the oldest records of a store until it is small enough; return how many.

    Other processes may read, write and remove records meanwhile: a record that is gone already is
    no error, and one that they have just written is the newest. Old files of killed writers go
    too.

    Args:
        store: The store's folder.
        most_bytes: Size the records may have together.
        used: Keys of records that stay.
    """
    found: list[tuple[float, int, Path]] = []
    for path in store.glob("??/*"):
        with suppress(FileNotFoundError):
            stat = path.stat()
            if not path.name.startswith("."):
                found.append((stat.st_mtime, stat.st_size, path))
            elif path.suffix == ".partial" and time.time() - stat.st_mtime > STALE_S:
                path.unlink()
    size, removed = sum(size for _, size, _ in found), 0
    for _, bytes_, path in sorted(found):
        if size <= most_bytes:
            break
        if path.stem not in used:
            path.unlink(missing_ok=True)
            size -= bytes_
            removed += 1
    return removed


def _name(key: str) -> str:
    return f"{key[:2]}/{key}.json"
