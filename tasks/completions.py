"""The durable store of paid answers, as the storage under Prefect's own task caching.

A record is Prefect's result record around a sealed answer: plain JSON, no other serializer, and a
checksum over the answer. Whatever does not fit that exactly is a miss and is never executed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, ClassVar, cast

from prefect.filesystems import WritableFileSystem
from prefect.results import get_result_store
from prefect.serializers import JSONSerializer
from pydantic import PrivateAttr, ValidationError

from tasks.errors import StorageError, StorageFull
from tasks.locks import FileLocks, SharedLocks, SingleFlight
from tasks.schemas import Answer, Ask, canonical_json, digest
from tasks.storage import Place, open_place

logger = logging.getLogger(__name__)

PLAIN_JSON = JSONSerializer(object_encoder=None, object_decoder=None)
"""Values only: no class is ever named in a record, or looked up for one."""

_SERIALIZER = PLAIN_JSON.model_dump(mode="json")
_KEY = re.compile(r"[0-9a-f]{64}")
WRITE_ATTEMPTS = 3
LOCAL_THREADS, NETWORK_THREADS = 4, 32


def sealed(answer: Answer, kept_at: float | None = None) -> dict[str, Any]:
    """The answer as a plain value with the time it was kept and a checksum over both.

    Args:
        answer: The accepted answer.
        kept_at: Unix time; None: now.
    """
    value = answer.model_dump(mode="json")
    kept = int(time.time() if kept_at is None else kept_at)
    return {"answer": value, "kept_at": kept, "sha256": digest(canonical_json([value, kept]))}


def unsealed(value: Any) -> tuple[Answer, int]:
    """The answer in a sealed value, and when it was kept.

    Raises:
        ValueError: It was not sealed by `sealed`, or has been altered since.
    """
    match value:
        case {"answer": answer, "kept_at": int(kept_at), "sha256": checksum, **others} if (
            not others
        ):
            if digest(canonical_json([answer, kept_at])) != checksum:
                raise ValueError("checksum does not match")
            return Answer.model_validate(answer), kept_at
        case _:
            raise ValueError("not a sealed answer")


class AnswerStore(WritableFileSystem):
    """Keeps answers by key; Prefect reads and writes its result records through it."""

    _block_type_name: ClassVar[str | None] = "LLM answer store"
    _block_type_slug: ClassVar[str | None] = "llm-answer-store"

    location: str

    _place: Place = PrivateAttr()
    _threads: ThreadPoolExecutor = PrivateAttr()
    _locks: SharedLocks = PrivateAttr()
    _just_read: OrderedDict[str, bytes] = PrivateAttr(default_factory=OrderedDict)
    _max_age_s: float | None = PrivateAttr(default=None)
    _refresh: bool = PrivateAttr(default=False)
    _fresh: set[str] = PrivateAttr(default_factory=set)
    _warnings: list[str] = PrivateAttr(default_factory=list)
    _lost: StorageError | None = PrivateAttr(default=None)

    @asynccontextmanager
    async def opened(
        self, *, days: float | None = None, refresh: bool = False, lease_s: float = 60
    ) -> AsyncGenerator[None]:
        """Use the store; at the end wait for what is being written.

        Args:
            days: Answers older than this many days are passed over; None: of any age.
            refresh: Answers that were kept before this are passed over.
            lease_s: Seconds after which the lock of a dead process on another machine is free.
        """
        self._place = await asyncio.to_thread(open_place, self.location, private=True)
        self._max_age_s = days * 86_400 if days else None
        self._refresh = refresh
        async with AsyncExitStack() as resources:
            if self._place.on_network:
                from tasks.s3 import S3Leases, S3Place  # boto takes a second to import

                leases = S3Leases(cast("S3Place", self._place), lease_s)
                resources.push_async_callback(leases.aclose)
                self._locks = leases
            else:
                self._locks = FileLocks.at(Path(self._place.path(".locks")))
            threads = NETWORK_THREADS if self._place.on_network else LOCAL_THREADS
            self._threads = ThreadPoolExecutor(threads, thread_name_prefix="answers")
            resources.callback(self._threads.shutdown)
            yield

    @property
    def warnings(self) -> list[str]:
        """What was wrong with records that were passed over or could not be kept."""
        return self._warnings

    @property
    def lost(self) -> StorageError | None:
        """Why an answer could not be kept; None: all are kept."""
        return self._lost

    @property
    def locks(self) -> SharedLocks:
        """Locks that keep two processes from asking for the same answer at once."""
        return self._locks

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
            record = await self._record(path)
            self._just_read[path] = record
            if len(self._just_read) > 100:
                self._just_read.popitem(last=False)
        return record

    async def write_path(self, path: str, content: bytes) -> None:
        """Keep a record: atomically, fsynced, for this user only; tried again before giving up.

        Results that are not answers are not kept here.
        """
        if not _KEY.fullmatch(path):
            return
        loop = asyncio.get_running_loop()
        for attempt in range(1, WRITE_ATTEMPTS + 1):
            try:
                await loop.run_in_executor(
                    self._threads, self._place.write, _file_of(path), content
                )
                self._fresh.add(path)
                return
            except StorageError as error:
                self._warn(f"an answer was not kept (attempt {attempt}): {error}")
                if attempt == WRITE_ATTEMPTS or isinstance(error, StorageFull):
                    self._lost = self._lost or error
                    raise
                await asyncio.sleep(0.2 * attempt)

    async def kept(self, ask: Ask) -> Answer | None:
        """The answer kept for a question; None when there is none that may be used."""
        try:
            record = await self._record(ask.key)
        except LookupError:
            return None
        return unsealed(json.loads(json.loads(record)["result"]))[0]

    async def _record(self, path: str) -> bytes:
        if not _KEY.fullmatch(path) or (self._refresh and path not in self._fresh):
            raise LookupError(path)
        try:
            record = await self._read(_file_of(path))
        except StorageError as error:
            self._warn(f"an answer could not be read: {error}")
            raise LookupError(path) from error
        if record is None:
            raise LookupError(path)
        try:
            self._check(path, record)
        except (ValueError, ValidationError) as error:
            self._warn(
                f"record {self._place.path(_file_of(path))} is passed over and asked for again:"
                f" {type(error).__name__}: {str(error).splitlines()[0]}"
            )
            raise LookupError(path) from error
        return record

    def _check(self, path: str, record: bytes) -> None:
        """Raise ValueError unless the record is one of ours, for this key, and whole."""
        found = json.loads(record)
        if not isinstance(found, dict):
            raise ValueError("not a record")
        metadata = cast("dict[str, Any]", found).get("metadata")
        if not isinstance(metadata, dict):
            raise ValueError("no metadata")
        metadata = cast("dict[str, Any]", metadata)
        if metadata.get("serializer") != _SERIALIZER:
            raise ValueError("written with another serializer")
        if metadata.get("storage_key") != path:
            raise ValueError("kept under another key")
        result: Any = cast("dict[str, Any]", found).get("result")
        value = json.loads(result) if isinstance(result, str) else None
        _, kept_at = unsealed(value)
        if self._max_age_s is not None and time.time() - kept_at > self._max_age_s:
            raise LookupError(path)

    async def _read(self, name: str) -> bytes | None:
        if not self._place.on_network:
            return self._place.read(name)  # quicker than the way to a thread and back
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._place.read, name
        )

    def _warn(self, text: str) -> None:
        if len(self._warnings) < 100:
            self._warnings.append(text)
        logger.warning(text)


_store: ContextVar[AnswerStore] = ContextVar("answer_store")


@contextmanager
def use_store(store: AnswerStore) -> Generator[None]:
    """Make a store the one that the tasks started within use, Prefect's own caching included."""
    token = _store.set(store)
    results = get_result_store()
    results.result_storage = store
    results.lock_manager = SingleFlight(store.locks)
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
