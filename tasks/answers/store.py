"""The durable store of paid answers, as the storage under Prefect's own task caching.

A record is Prefect's result record around a sealed answer: plain JSON, no other serializer, and a
checksum over the answer. Whatever does not fit that exactly is a miss and is never executed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Container, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

from prefect.filesystems import WritableFileSystem
from prefect.results import get_result_store
from pydantic import PrivateAttr

from prefect_llm_reports.tasks.answers.locks import FileLocks, SharedLocks, SingleFlight
from prefect_llm_reports.tasks.answers.records import (
    KEY,
    SERIALIZER,
    checked_record,
    is_answer,
    unsealed,
)
from prefect_llm_reports.tasks.contract.calls import Answer, Ask
from prefect_llm_reports.tasks.contract.errors import StorageError, StorageFull
from prefect_llm_reports.tasks.storage.places import Place, open_place

logger = logging.getLogger(__name__)


ATTEMPTS = 3
WAIT_S = 0.2
"""Before the second attempt to read or write; twice that before the third."""
BYTES_A_TOKEN = 8
"""What a token of an answer takes in a record at most, its characters escaped twice."""
STALE_S = 86_400
"""Age at which a half-written file is certainly nobody's any more."""

T = TypeVar("T")
LOCAL_THREADS, NETWORK_THREADS = 4, 32


class AnswerStore(WritableFileSystem):
    """Keeps answers by key; Prefect reads and writes its result records through it."""

    _block_type_name: ClassVar[str | None] = "LLM answer store"
    _block_type_slug: ClassVar[str | None] = "llm-answer-store"

    location: str

    _place: Place = PrivateAttr()
    _threads: ThreadPoolExecutor = PrivateAttr()
    _locks: SharedLocks = PrivateAttr()
    _just_read: OrderedDict[str, bytes] = PrivateAttr(default_factory=OrderedDict)
    _single_flight: SingleFlight = PrivateAttr()
    _max_age_s: float | None = PrivateAttr(default=None)
    _refresh: bool = PrivateAttr(default=False)
    _fresh: set[str] = PrivateAttr(default_factory=set)
    _used: set[str] = PrivateAttr(default_factory=set)
    _unkept: dict[str, bytes] = PrivateAttr(default_factory=dict)
    _asking: int = PrivateAttr(default=0)
    _warnings: list[str] = PrivateAttr(default_factory=list)
    _lost: StorageError | None = PrivateAttr(default=None)

    @asynccontextmanager
    async def opened(
        self,
        *,
        days: float | None = None,
        max_mb: int | None = None,
        refresh: bool = False,
        lease_s: float = 60,
    ) -> AsyncGenerator[None]:
        """Use the store; at the end wait for what is being written, and keep to its size.

        Args:
            days: Answers older than this many days are passed over; None: of any age.
            max_mb: Size in megabytes that the store is brought back to when the batch has ended,
                oldest answers first, but none that the batch used; None: it may grow.
            refresh: Answers that were kept before this are passed over.
            lease_s: Seconds after which the lock of a dead process on another machine is free.
        """
        self._place = await asyncio.to_thread(open_place, self.location, private=True)
        self._max_age_s = days * 86_400 if days else None
        self._refresh = refresh
        async with AsyncExitStack() as resources:
            if self._place.on_network:
                from prefect_llm_reports.tasks.answers.leases import (
                    S3Leases,  # boto takes a second to import
                )
                from prefect_llm_reports.tasks.storage.s3 import (
                    S3Place,  # boto takes a second to import
                )

                leases = S3Leases(cast("S3Place", self._place), lease_s)
                resources.push_async_callback(leases.aclose)
                self._locks = leases
            else:
                self._locks = FileLocks.at(Path(self._place.path(".locks")))
            self._single_flight = SingleFlight(self._locks)
            resources.callback(self._single_flight.release_all)
            threads = NETWORK_THREADS if self._place.on_network else LOCAL_THREADS
            self._threads = ThreadPoolExecutor(threads, thread_name_prefix="answers")
            resources.callback(self._threads.shutdown)
            resources.push_async_callback(self._keep_late)
            yield
            if max_mb is not None:
                await self._shrink(max_mb * 1_000_000)

    @property
    def warnings(self) -> list[str]:
        """What was wrong with records that were passed over or could not be kept."""
        if not self._unkept:
            return self._warnings
        count = len(self._unkept)
        answers = "1 answer was" if count == 1 else f"{count} answers were"
        return [*self._warnings, f"{answers} not kept and will be asked for again"]

    @property
    def lost(self) -> StorageError | None:
        """Why an answer could not be kept; None: all are kept."""
        return self._lost

    @property
    def single_flight(self) -> SingleFlight:
        """Keeps two callers, here or in other processes, from asking the same at once."""
        return self._single_flight

    @contextmanager
    def room_for(self, ask: Ask) -> Generator[None]:
        """Ask only while the answer, and those under way, will fit on the disk.

        Raises:
            StorageFull: They might not; nothing has been asked or lost.
        """
        needed = (self._asking + 1) * (BYTES_A_TOKEN * ask.max_output_tokens + 4096)
        if not self._place.on_network and _free_bytes(self._place.where) < needed:
            raise StorageFull(
                f"disk full: less than {needed / 1e6:.1f} MB left for answers in"
                f" {self._place.where}, nothing was asked that could not be kept; make room and"
                " run the same command again"
            )
        self._asking += 1
        try:
            yield
        finally:
            self._asking -= 1

    def _resolve_path(self, path: str) -> None:
        """Keys are names, not paths of this machine."""
        del path

    async def read_path(self, path: str) -> bytes:
        """The record under a key.

        Raises:
            LookupError: There is none that may be used.
        """
        record = self._just_read.pop(path, None)
        if record is None:
            result, _ = await self._answer(path)
            # Never the record's own words: Prefect imports and runs what it finds named there.
            metadata = {"storage_key": path, "serializer": SERIALIZER}
            record = json.dumps({"metadata": metadata, "result": result}).encode()
            self._just_read[path] = record
            if len(self._just_read) > 100:
                self._just_read.popitem(last=False)
        return record

    async def write_path(self, path: str, content: bytes) -> None:
        """Keep a record: atomically, fsynced, for this user only; tried again before giving up.

        Results that are not answers are not kept here.
        """
        if not KEY.fullmatch(path) or not is_answer(path, content):
            return
        self._unkept[path] = content
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._write(path)
                return
            except StorageError as error:
                self._warn(f"an answer was not kept (attempt {attempt}): {error}")
                if attempt == ATTEMPTS or isinstance(error, StorageFull):
                    self._lost = self._lost or error
                    raise
                await asyncio.sleep(WAIT_S * attempt)

    async def kept(self, ask: Ask) -> Answer | None:
        """The answer kept for a question; None when there is none that may be used."""
        try:
            return (await self._answer(ask.key))[1]
        except LookupError:
            return None

    async def _write(self, path: str) -> None:
        await self._in_thread(self._place.write, _file_of(path), self._unkept[path])
        self._fresh.add(path)
        self._unkept.pop(path, None)

    async def _keep_late(self) -> None:
        """Try once more what could not be kept, or whose writer was cancelled."""
        for path in [*self._unkept]:
            try:
                if path in self._unkept:  # a writer under way may have kept it since
                    await self._write(path)
            except StorageError as error:
                self._warn(f"an answer was not kept (at the end): {error}")

    async def _answer(self, path: str) -> tuple[str, Answer]:
        """The answer under a key, sealed and open.

        Raises:
            LookupError: There is none that may be used.
        """
        if not KEY.fullmatch(path) or (self._refresh and path not in self._fresh):
            raise LookupError(path)
        try:
            record = await self._read(_file_of(path))
        except StorageError as error:
            self._warn(f"an answer could not be read and is asked for again: {error}")
            raise LookupError(path) from error
        if record is None:
            raise LookupError(path)
        try:
            result = checked_record(path, record)
            answer, kept_at = unsealed(json.loads(result))
        except (ValueError, RecursionError) as error:
            self._warn(
                f"record {self._place.path(_file_of(path))} is passed over and asked for again:"
                f" {type(error).__name__}: {str(error).partition(chr(10))[0]}"
            )
            raise LookupError(path) from error
        if self._max_age_s is not None and time.time() - kept_at > self._max_age_s:
            raise LookupError(path)
        self._used.add(path)
        return result, answer

    async def _read(self, name: str) -> bytes | None:
        """The file; tried again before giving up, since a miss has to be paid for."""
        for attempt in range(1, ATTEMPTS):
            try:
                return await self._read_once(name)
            except StorageError as error:
                self._warn(f"an answer was not read (attempt {attempt}): {error}")
                await asyncio.sleep(WAIT_S * attempt)
        return await self._read_once(name)

    async def _read_once(self, name: str) -> bytes | None:
        if not self._place.on_network:
            return self._place.read(name)  # quicker than the way to a thread and back
        return await self._in_thread(self._place.read, name)

    async def _in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        try:
            done = asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        except RuntimeError:  # the batch was ended while this answer came in
            return work(*arguments)
        return await done

    async def _shrink(self, most_bytes: int) -> None:
        if self._place.on_network:
            self._warn("the store's size is not limited in S3; set a lifecycle rule on the bucket")
            return
        used = {_file_of(key) for key in self._used | self._fresh}
        removed = await self._in_thread(remove_oldest, Path(self._place.where), most_bytes, used)
        if removed:
            logger.info("%d of the oldest answers were removed from the store", removed)

    def _warn(self, text: str) -> None:
        if len(self._warnings) < 100:
            self._warnings.append(text)
        logger.warning("%s", text)


def remove_oldest(store: Path, most_bytes: int, used: Container[str]) -> int:
    """Remove the oldest records of a store until it is small enough; the number removed.

    Other processes may read, write and remove records meanwhile: what is gone already is fine,
    and what one of them has just written is the newest. Files left by killed writers go too.

    Args:
        store: The store's folder.
        most_bytes: Size the records may have together.
        used: Records that stay, by their names relative to the store.
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
        if f"{path.parent.name}/{path.name}" not in used:
            path.unlink(missing_ok=True)
            size -= bytes_
            removed += 1
    return removed


def _free_bytes(folder: str) -> float:
    """What may still be written there; 0 when no further file can be made."""
    try:
        found = os.statvfs(folder)
    except OSError:  # whoever writes will say it
        return float("inf")
    return 0 if found.f_files and not found.f_favail else found.f_bavail * found.f_frsize


_store: ContextVar[AnswerStore] = ContextVar("answer_store")


@contextmanager
def use_store(store: AnswerStore) -> Generator[None]:
    """Make a store the one that the tasks started within use, Prefect's own caching included."""
    token = _store.set(store)
    results = get_result_store()
    results.result_storage = store
    results.lock_manager = store.single_flight
    try:
        yield
    finally:
        _store.reset(token)


def current_store() -> AnswerStore:
    """The store of the running batch.

    Raises:
        LookupError: Called outside of a batch.
    """
    return _store.get()


def _file_of(key: str) -> str:
    return f"{key[:2]}/{key}.json"
