"""The files of the answer store: read and written, again where that failed, in threads.

Here: one file an answer, and removing the oldest. Not here: what is in a file (`answers.records`),
what is done about a file that cannot be written (`answers.losses`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Container
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
        """Do something with a file; try again where that may help.

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
        if not self._place.on_network:
            return self._place.read(_name(key))  # faster than a thread and back
        return await self._in_thread(self._place.read, _name(key))

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
