"""The durable store of paid answers, as the storage under Prefect's own task caching.

A record is Prefect's result record around a sealed answer: plain JSON, no other serializer, and a
checksum over the answer. Any other record is a miss and is never executed.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import AsyncGenerator, Generator
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from contextvars import ContextVar
from pathlib import Path
from typing import ClassVar, cast

from prefect.filesystems import WritableFileSystem
from prefect.results import get_result_store
from pydantic import Field, HttpUrl, PrivateAttr

from prefect_llm_reports.tasks.answers.files import AnswerFiles
from prefect_llm_reports.tasks.answers.locks import LOCKS, FileLocks, SharedLocks, SingleFlight
from prefect_llm_reports.tasks.answers.losses import Losses
from prefect_llm_reports.tasks.answers.records import (
    KEY,
    SERIALIZER,
    checked_record,
    is_answer,
    sealed,
    unsealed,
)
from prefect_llm_reports.tasks.answers.room import Room
from prefect_llm_reports.tasks.answers.selection import Selection
from prefect_llm_reports.tasks.contract.calls import Answer, Ask
from prefect_llm_reports.tasks.contract.errors import StorageError
from prefect_llm_reports.tasks.storage.places import Place, open_place
from prefect_llm_reports.tasks.text.foreign import shown

MOST_SAMPLED = 2000
"""Answers that estimates of others go by, at most."""

JUST_READ = 100
"""Records that are held for Prefect, which reads each twice."""


class AnswerStore(WritableFileSystem):
    """Keeps answers by key; Prefect reads and writes its result records through it.

    A run makes its own from the option `store`; saving one as a block is possible, not needed.

    Example:
        Load a saved store:

        ```python
        from prefect_llm_reports.tasks.answers.store import AnswerStore

        store = AnswerStore.load("BLOCK_NAME")
        ```
    """

    _block_type_name: ClassVar[str | None] = "LLM answer store"
    _block_type_slug: ClassVar[str | None] = "llm-answer-store"
    _logo_url: ClassVar[HttpUrl | None] = HttpUrl(
        "https://raw.githubusercontent.com/PrefectHQ/prefect"
        "/420d0d6a78bb6df1fc18bcf188fdad43c1d22ea9/assets/block-logos/filesystem.png"
    )
    """The picture of Prefect's own block for local files."""
    _documentation_url: ClassVar[HttpUrl | None] = HttpUrl(
        "https://www.prefect.io/docs/latest/develop/results"
    )
    _description: ClassVar[str | None] = "Keeps every paid answer once, in a folder or in S3."

    location: str = Field(description="Where answers are kept: a folder or s3://bucket/prefix.")

    _files: AnswerFiles = PrivateAttr()
    _room: Room = PrivateAttr()
    _selection: Selection = PrivateAttr()
    _single_flight: SingleFlight = PrivateAttr()
    _losses: Losses = PrivateAttr(default_factory=Losses)
    _just_read: OrderedDict[str, bytes] = PrivateAttr(default_factory=OrderedDict)

    @asynccontextmanager
    async def opened(
        self,
        *,
        days: float | None = None,
        max_mb: int | None = None,
        refresh: bool = False,
        lease_s: float = 60,
    ) -> AsyncGenerator[None]:
        """Use the store; at the end wait for the writes under way, and limit its size.

        Args:
            days: Answers older than this many days are passed over; None: any age is fine.
            max_mb: Size in megabytes that the store is cut to when the batch ends: the oldest
                answers go first, but none that the batch used; None: it may grow.
            refresh: Answers that were kept before this are passed over.
            lease_s: Seconds after which the lock of a dead process on another machine is free.
        """
        place = await asyncio.to_thread(open_place, self.location, private=True)
        self._room = Room(place)
        self._selection = Selection(days, refresh=refresh)
        async with AsyncExitStack() as resources:
            self._single_flight = SingleFlight(_locks(place, lease_s, resources))
            resources.callback(self._single_flight.release_all)
            self._files = AnswerFiles(place, self._losses)
            resources.callback(self._files.close)
            resources.push_async_callback(self._keep_late)
            yield
            if max_mb is not None:
                await self._files.shrink(max_mb * 1_000_000, self._selection.used)

    @asynccontextmanager
    async def consulted(
        self, *, days: float | None = None, refresh: bool = False
    ) -> AsyncGenerator[None]:
        """Only read the store, as that of the questions within: no lock, no folder, no file.

        Args:
            days: As for `opened`.
            refresh: As for `opened`.
        """
        place = await asyncio.to_thread(open_place, self.location, private=True)
        self._selection = Selection(days, refresh=refresh)
        self._files = AnswerFiles(place, self._losses)
        token = _store.set(self)
        try:
            yield
        finally:
            _store.reset(token)
            self._files.close()

    async def newest(self, most: int = MOST_SAMPLED) -> list[Answer]:
        """The newest answers, of whatever question; of a large store, of a part of it.

        Args:
            most: Answers to read at most.
        """
        found: list[Answer] = []
        for record in await self._files.newest(most):
            try:
                value = json.loads(json.loads(record)["result"])
                found.append(Answer.model_validate(value["answer"]))
            except (ValueError, KeyError, TypeError, RecursionError):
                continue  # not one of ours
        return found

    @property
    def warnings(self) -> list[str]:
        """Records that were passed over or could not be kept, in words."""
        return self._losses.warnings

    @property
    def lost(self) -> StorageError | None:
        """Why an answer could not be kept; None: all are kept."""
        return self._losses.lost

    @property
    def single_flight(self) -> SingleFlight:
        """Keeps two callers, here or in other processes, from asking the same at once."""
        return self._single_flight

    def room_for(self, ask: Ask) -> AbstractContextManager[None]:
        """Make sure, before a call, that its answer and those under way fit on the disk.

        Raises:
            StorageFull: They might not fit; nothing was asked or lost.
        """
        return self._room.reserved(ask)

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
            # Never the record's own metadata: Prefect imports and runs the names it finds there.
            metadata = {"storage_key": path, "serializer": SERIALIZER}
            record = json.dumps({"metadata": metadata, "result": result}).encode()
            self._just_read[path] = record
            if len(self._just_read) > JUST_READ:
                self._just_read.popitem(last=False)
        return record

    async def write_path(self, path: str, content: bytes) -> None:
        """Keep a record, tried again before giving up; results that are no answers are not kept.

        Raises:
            StorageError: It could not be kept; `lost` says why from now on.
        """
        if not KEY.fullmatch(path) or not is_answer(path, content):
            return
        self._losses.unkept[path] = content
        try:
            await self._files.repeated(lambda: self._write(path), "kept")
        except StorageError as error:
            self._losses.lost = self._losses.lost or error
            raise

    async def kept(self, ask: Ask) -> Answer | None:
        """The answer kept for a question; None when there is none that may be used."""
        try:
            return (await self._answer(ask.key))[1]
        except LookupError:
            return None

    async def keep(self, ask: Ask, answer: Answer) -> None:
        """Keep what was worked out of answers, under a question that is never put.

        Raises:
            StorageError: It could not be kept; `lost` says why from now on.
        """
        metadata = {"storage_key": ask.key, "serializer": SERIALIZER}
        record = json.dumps({"metadata": metadata, "result": json.dumps(sealed(answer))})
        await self.write_path(ask.key, record.encode())

    async def _write(self, path: str) -> None:
        await self._files.write(path, self._losses.unkept[path])
        self._selection.written(path)
        self._losses.unkept.pop(path, None)

    async def _keep_late(self) -> None:
        """Try once more the answers that were not kept, or whose writer was cancelled."""
        for path in [*self._losses.unkept]:
            try:
                if path in self._losses.unkept:  # a writer under way may have kept it since
                    await self._write(path)
            except StorageError as error:
                self._losses.warn(f"an answer was not kept (at the end): {error}")

    async def _answer(self, path: str) -> tuple[str, Answer]:
        """The answer under a key, sealed and open.

        Raises:
            LookupError: There is none that may be used.
        """
        if not KEY.fullmatch(path) or not self._selection.may_read(path):
            raise LookupError(path)
        try:
            record = await self._files.read(path)
        except StorageError as error:
            self._losses.warn(f"an answer could not be read and is asked for again: {error}")
            raise LookupError(path) from error
        if record is None:
            raise LookupError(path)
        try:
            result = checked_record(path, record)
            answer, kept_at = unsealed(json.loads(result))
        except (ValueError, RecursionError) as error:
            self._losses.warn(
                f"record {self._files.path(path)} is passed over and asked for again:"
                f" {type(error).__name__}: {shown(str(error).partition(chr(10))[0])}"
            )
            raise LookupError(path) from error
        if not self._selection.young_enough(kept_at):
            raise LookupError(path)
        self._selection.read(path)
        return result, answer


def _locks(place: Place, lease_s: float, resources: AsyncExitStack) -> SharedLocks:
    """Locks between processes for the store in a place; `resources` gives them back."""
    if not place.on_network:
        return FileLocks.at(Path(place.path(LOCKS)))
    from prefect_llm_reports.tasks.answers.leases import S3Leases  # boto takes a second
    from prefect_llm_reports.tasks.storage.s3 import S3Place

    leases = S3Leases(cast("S3Place", place), lease_s)
    resources.push_async_callback(leases.aclose)
    return leases


_store: ContextVar[AnswerStore] = ContextVar("answer_store")


@contextmanager
def use_store(store: AnswerStore) -> Generator[None]:
    """Make this store serve the tasks started within, and Prefect's own caching."""
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
