"""The store of paid answers: what it keeps, what it believes, and what it never runs."""

from __future__ import annotations

import asyncio
import base64
import errno
import json
import os
import pickle
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prefect.results import ResultStore

from prefect_llm_reports.tasks.answers import files, room
from prefect_llm_reports.tasks.answers.files import remove_oldest
from prefect_llm_reports.tasks.answers.records import PLAIN_JSON, sealed
from prefect_llm_reports.tasks.answers.store import AnswerStore
from prefect_llm_reports.tasks.contract.calls import Answer, Ask, Message
from prefect_llm_reports.tasks.contract.errors import StorageError, StorageFull
from prefect_llm_reports.tasks.storage.places import LocalPlace
from tests.harness.pace import PATIENCE_S


def ask(text: str = "What is tide?", **changed: Any) -> Ask:
    """A question."""
    fields: dict[str, Any] = {
        "step": "draft",
        "label": "tide / draft",
        "item": "tide",
        "endpoint": "https://api.example.com/v1",
        "model": "m",
        "messages": (Message(role="user", content=text),),
        "max_output_tokens": 1000,
    }
    return Ask(**{**fields, **changed})


def answer(text: str = "Tide is an ebb and a flow.") -> Answer:
    """An answer."""
    return Answer(text=text, model="m", endpoint="https://api.example.com/v1")


def results(store: AnswerStore) -> ResultStore:
    """Prefect's view of a store."""
    return ResultStore(
        result_storage=store, serializer=PLAIN_JSON, lock_manager=store.single_flight
    )


def file_of(folder: Path, question: Ask) -> Path:
    """Where the answer to a question is kept."""
    return folder / question.key[:2] / f"{question.key}.json"


async def keep(folder: Path, *questions: Ask, **opened: Any) -> None:
    """Keep an answer to each question the way Prefect does."""
    store = AnswerStore(location=str(folder))
    async with store.opened(**opened):
        for question in questions:
            await results(store).awrite(sealed(answer()), key=question.key)


async def look(folder: Path, question: Ask, **opened: Any) -> tuple[Answer | None, Any, list[str]]:
    """What the project and what Prefect finds for a question, and what was warned of."""
    store = AnswerStore(location=str(folder))
    async with store.opened(**opened):
        found = await store.kept(question)
        read: Any = None
        if await results(store).aexists(question.key):
            read = (await results(store).aread(question.key, holder="test")).result
        return found, read, store.warnings


def test_an_answer_is_read_as_it_was_kept(tmp_path: Path) -> None:
    """What Prefect has written is found by the project and by Prefect, without a warning."""
    asyncio.run(keep(tmp_path, ask()))
    found, read, warnings = asyncio.run(look(tmp_path, ask()))

    assert found == answer()
    assert read["answer"] == answer().model_dump(mode="json")
    assert warnings == []


def test_records_are_for_this_user_only(tmp_path: Path) -> None:
    """Files are 0600 in folders of 0700, and no half-written file stays."""
    asyncio.run(keep(tmp_path / "new" / "store", ask("one"), ask("two")))
    for path in (tmp_path / "new").rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
    assert list(tmp_path.rglob("*.partial")) == []


def _changed(change: Callable[[dict[str, Any]], Any]) -> Callable[[bytes], bytes]:
    def apply(record: bytes) -> bytes:
        found = json.loads(record)
        change(found)
        return json.dumps(found).encode()

    return apply


def _result(change: Callable[[dict[str, Any]], Any]) -> Callable[[bytes], bytes]:
    def apply(found: dict[str, Any]) -> None:
        value = json.loads(found["result"])
        change(value)
        found["result"] = json.dumps(value)

    return _changed(apply)


class _Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, made: str) -> None:
        self.made = made

    def __reduce__(self) -> Any:
        return os.mkdir, (self.made,)


MADE = "made-by-a-record"
PICKLE: dict[str, Any] = {
    "type": "pickle",
    "picklelib": "cloudpickle",
    "picklelib_version": None,
}
SQUEEZED: dict[str, Any] = {"type": "compressed/pickle", "serializer": PICKLE}
PAYLOAD = base64.b64encode(pickle.dumps(_Bomb(MADE))).decode()
POISONED: dict[str, Callable[[bytes], bytes]] = {
    "pickle": _changed(
        lambda r: r.update(metadata={**r["metadata"], "serializer": PICKLE}, result=PAYLOAD)
    ),
    "pickle, old spelling": _changed(lambda r: r.update(serializer=PICKLE, data=PAYLOAD)),
    "only a serializer at the top": _changed(lambda r: r.update(serializer=PICKLE)),
    "only data at the top": _changed(lambda r: r.update(data=PAYLOAD)),
    "compressed pickle": _changed(
        lambda r: r.update(metadata={**r["metadata"], "serializer": SQUEEZED}, result=PAYLOAD)
    ),
    "another JSON library": _changed(lambda r: r["metadata"]["serializer"].update(jsonlib="os")),
    "a decoder": _changed(
        lambda r: r["metadata"]["serializer"].update(object_decoder="builtins.print")
    ),
    "options of the decoder": _changed(
        lambda r: r["metadata"]["serializer"].update(loads_kwargs={"parse_float": "x"})
    ),
    "an unknown serializer": _changed(lambda r: r["metadata"].update(serializer={"type": "own"})),
    "no serializer": _changed(lambda r: r["metadata"].pop("serializer")),
    "a class in the answer": _result(
        lambda v: v["answer"].update(text={"__class__": "os.mkdir", "data": MADE})
    ),
    "a class around the answer": _changed(
        lambda r: r.update(result=json.dumps({"__class__": "subprocess.Popen", "data": ["true"]}))
    ),
}
DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "truncated": lambda r: r[: len(r) // 2],
    "one bit flipped in the text": lambda r: r.replace(b"ebb", b"ecb"),
    "not UTF-8": lambda r: r.replace(b"ebb", b"e\xff\xfe"),
    "not JSON": lambda _: b"<html>login</html>",
    "a number": lambda _: b"7",
    "a list": lambda _: b"[]",
    "deeply nested": lambda _: b"[" * 200_000,
    "a foreign record": lambda _: b'{"answer": "42"}',
    "no metadata": _changed(lambda r: r.pop("metadata")),
    "a broken checksum": _result(lambda v: v.update(sha256="0" * 64)),
    "a changed time": _result(lambda v: v.update(kept_at=v["kept_at"] + 1)),
    "a field too many": _result(lambda v: v.update(more=1)),
    "an answer of another form": _result(lambda v: v.update(answer=["text"])),
    "the wrong key": _changed(lambda r: r["metadata"].update(storage_key="0" * 64)),
}


RECORDS = {**POISONED, **DAMAGED}


@pytest.mark.parametrize("change", RECORDS.values(), ids=RECORDS)
def test_a_poisoned_or_damaged_record_is_a_miss_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes], bytes]
) -> None:
    """A record that is not exactly ours is passed over, named in a warning, and never executed."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "store"
    asyncio.run(keep(folder, ask()))
    path = file_of(folder, ask())
    changed = change(path.read_bytes())
    assert changed != path.read_bytes()
    path.write_bytes(changed)
    found, read, warnings = asyncio.run(look(folder, ask()))

    assert (found, read) == (None, None)
    assert warnings
    assert all(str(path) in warning for warning in warnings)
    assert not (tmp_path / MADE).exists()


def test_the_payload_of_these_tests_would_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pickled payload does make its folder when somebody reads it: the test above can fail."""
    monkeypatch.chdir(tmp_path)
    pickle.loads(base64.b64decode(PAYLOAD))
    assert (tmp_path / MADE).is_dir()


def test_a_record_moved_to_another_key_is_a_miss(tmp_path: Path) -> None:
    """The answer to one question is never taken for that to another."""
    asyncio.run(keep(tmp_path, ask("one")))
    other = file_of(tmp_path, ask("two"))
    other.parent.mkdir(exist_ok=True)
    other.write_bytes(file_of(tmp_path, ask("one")).read_bytes())
    found, read, warnings = asyncio.run(look(tmp_path, ask("two")))

    assert (found, read) == (None, None)
    assert "another key" in warnings[0]


def test_records_of_a_prefect_with_fewer_serializer_fields_are_still_read(tmp_path: Path) -> None:
    """An upgrade of Prefect that adds a field to its serializer does not lose the store."""
    asyncio.run(keep(tmp_path, ask()))
    path = file_of(tmp_path, ask())
    record = json.loads(path.read_bytes())
    del record["metadata"]["serializer"]["loads_kwargs"]
    record["metadata"]["prefect_version"] = "3.0.0"
    path.write_text(json.dumps(record))

    assert asyncio.run(look(tmp_path, ask()))[0] == answer()


def test_old_answers_expire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `days`, older answers are passed over without a warning; the younger ones are used."""

    async def three() -> list[bool]:
        store = AnswerStore(location=str(tmp_path))
        async with store.opened():
            for age in (0.0, 0.9, 1.1):
                value = sealed(answer(), kept_at=time.time() - age * 86_400)
                await results(store).awrite(value, key=ask(str(age)).key)
        found = [await look(tmp_path, ask(str(age)), days=1.0) for age in (0.0, 0.9, 1.1)]
        assert all(warnings == [] for _, _, warnings in found)
        return [answer is not None and read is not None for answer, read, _ in found]

    assert asyncio.run(three()) == [True, True, False]


def test_refresh_passes_over_what_was_there_and_uses_what_is_new(tmp_path: Path) -> None:
    """With `refresh` only answers kept since the store was opened are found."""

    async def refreshed() -> list[bool]:
        store = AnswerStore(location=str(tmp_path))
        async with store.opened(refresh=True):
            await results(store).awrite(sealed(answer()), key=ask("new").key)
            return [await store.kept(ask(text)) is not None for text in ("old", "new")]

    asyncio.run(keep(tmp_path, ask("old")))
    assert asyncio.run(refreshed()) == [False, True]
    assert asyncio.run(look(tmp_path, ask("old")))[0] == answer()


def _failing(
    monkeypatch: pytest.MonkeyPatch, name: str, errors: list[OSError | None]
) -> list[OSError | None]:
    """Make an operation of places fail with these errors, one after another."""
    real = getattr(LocalPlace, name)
    left = [*errors]

    def operation(place: LocalPlace, *arguments: Any) -> Any:
        if left and (error := left.pop(0)):
            full = error.errno == errno.ENOSPC
            raise (StorageFull("disk full") if full else StorageError("broken")) from error
        return real(place, *arguments)

    monkeypatch.setattr(LocalPlace, name, operation)
    return left


EIO, ENOSPC = OSError(errno.EIO, "broken"), OSError(errno.ENOSPC, "full")


def test_a_failed_write_is_repeated_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two failures in a row are warned of; the third attempt keeps the answer."""
    _failing(monkeypatch, "write", [EIO, EIO])

    async def kept() -> tuple[AnswerStore, Answer | None]:
        store = AnswerStore(location=str(tmp_path))
        async with store.opened():
            await results(store).awrite(sealed(answer()), key=ask().key)
            return store, await store.kept(ask())

    store, found = asyncio.run(kept())
    assert found == answer()
    assert [("attempt 1" in w, "attempt 2" in w) for w in store.warnings] == [
        (True, False),
        (False, True),
    ]
    assert store.lost is None


@pytest.mark.parametrize(("errors", "kind"), [([EIO] * 3, StorageError), ([ENOSPC], StorageFull)])
def test_what_cannot_be_kept_is_tried_once_more_at_the_end(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    errors: list[OSError | None],
    kind: type[StorageError],
) -> None:
    """An answer that could not be written is `lost`, but it is written if the end allows it."""
    _failing(monkeypatch, "write", errors)

    async def kept() -> AnswerStore:
        store = AnswerStore(location=str(tmp_path))
        async with store.opened():
            with pytest.raises(kind):
                await results(store).awrite(sealed(answer()), key=ask().key)
            assert isinstance(store.lost, kind)
            assert "1 answer was not kept" in store.warnings[-1]
        return store

    store = asyncio.run(kept())
    assert not any("was not kept and will be asked" in warning for warning in store.warnings)
    assert asyncio.run(look(tmp_path, ask()))[0] == answer()


def test_answers_that_stay_unkept_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last warning says how many answers will have to be paid for again."""
    _failing(monkeypatch, "write", [ENOSPC] * 4)

    async def lost() -> AnswerStore:
        store = AnswerStore(location=str(tmp_path))
        async with store.opened():
            for text in ("one", "two"):
                with pytest.raises(StorageFull):
                    await results(store).awrite(sealed(answer()), key=ask(text).key)
        return store

    assert "2 answers were not kept" in asyncio.run(lost()).warnings[-1]


def test_an_answer_whose_writer_is_cancelled_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancelled run waits for the answers that are being written, in whatever state they are."""
    _failing(monkeypatch, "write", [EIO])

    async def cancelled() -> None:
        store = AnswerStore(location=str(tmp_path))
        async with store.opened():
            writing = asyncio.ensure_future(results(store).awrite(sealed(answer()), key=ask().key))
            while not store.warnings:  # noqa: ASYNC110 - until its first attempt has failed
                await asyncio.sleep(0)
            writing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await writing

    asyncio.run(cancelled())
    assert asyncio.run(look(tmp_path, ask()))[0] == answer()


def test_an_answer_that_is_kept_while_another_is_kept_late_is_fine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that is closed during a write waits for it, however long it takes."""
    failed, slow = ask(), ask("What is ebb?")
    fails = [True] * files.ATTEMPTS
    begun, closing, kept = threading.Event(), threading.Event(), threading.Event()
    write = LocalPlace.write

    def in_turn(place: LocalPlace, name: str, content: bytes) -> None:
        if slow.key in name:
            begun.set()
            assert closing.wait(10)
        elif fails and fails.pop():
            raise StorageError("not now")
        else:
            closing.set()
            assert kept.wait(10)
        write(place, name, content)

    async def closed() -> None:
        store = AnswerStore(location=str(tmp_path))
        monkeypatch.setattr(LocalPlace, "write", in_turn)
        async with store.opened():
            with pytest.raises(StorageError):
                await results(store).awrite(sealed(answer()), key=failed.key)
            writing = asyncio.ensure_future(results(store).awrite(sealed(answer()), key=slow.key))
            writing.add_done_callback(lambda _: kept.set())
            assert await asyncio.to_thread(begun.wait, 10)
        await writing

    asyncio.run(closed())
    for question in (failed, slow):
        assert asyncio.run(look(tmp_path, question))[0] == answer()


def test_a_failed_read_is_repeated_because_a_miss_costs_money(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read that fails twice is warned of and then succeeds; three failures are a miss."""
    asyncio.run(keep(tmp_path, ask()))
    _failing(monkeypatch, "read", [EIO, EIO, None])
    store = AnswerStore(location=str(tmp_path))

    async def read() -> Answer | None:
        async with store.opened():
            return await store.kept(ask())

    assert asyncio.run(read()) == answer()
    assert len(store.warnings) == 2
    _failing(monkeypatch, "read", [EIO, EIO, EIO])
    assert asyncio.run(read()) is None
    assert "asked for again" in store.warnings[-1]


def test_nothing_is_asked_when_the_answer_may_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room is set aside for each answer under way; without it the store says disk full first."""
    monkeypatch.setattr(room, "_free_bytes", lambda _: 30_000)

    async def crowd() -> None:
        store = AnswerStore(location=str(tmp_path))
        async with store.opened():
            with (
                store.room_for(ask()),
                store.room_for(ask("two")),
                pytest.raises(StorageFull, match="disk full"),
                store.room_for(ask("three")),
            ):
                raise AssertionError
            with store.room_for(ask()):
                pass

    asyncio.run(crowd())


def test_the_size_cap_removes_the_oldest_and_nothing_the_batch_used(tmp_path: Path) -> None:
    """Beyond `max_mb` the oldest records go, but none read or written by the batch itself."""
    texts = [str(number) for number in range(10)]
    asyncio.run(keep(tmp_path, *map(ask, texts)))
    for age, text in enumerate(texts):
        path = file_of(tmp_path, ask(text))
        path.write_bytes(path.read_bytes() + b" " * 300_000)
        os.utime(path, (1e9 + age, 1e9 + age))

    async def run() -> None:
        store = AnswerStore(location=str(tmp_path))
        async with store.opened(max_mb=1):
            assert await store.kept(ask("0"))
            assert await results(store).aexists(ask("1").key)
            await results(store).awrite(sealed(answer()), key=ask("new").key)

    asyncio.run(run())
    left = [text for text in [*texts, "new"] if file_of(tmp_path, ask(text)).exists()]
    assert left == ["0", "1", "9", "new"]


def test_a_store_below_its_cap_stays_as_it_is(tmp_path: Path) -> None:
    """Under the cap nothing is removed but what a killed writer left a day ago."""
    asyncio.run(keep(tmp_path, ask()))
    folder = file_of(tmp_path, ask()).parent
    old, young = folder / ".old.json.0011.partial", folder / ".young.json.0011.partial"
    for partial in (old, young):
        partial.write_text("half")
    os.utime(old, (1e9, 1e9))

    assert remove_oldest(tmp_path, 1_000_000, ()) == 0
    assert file_of(tmp_path, ask()).exists()
    assert (old.exists(), young.exists()) == (False, True)


def test_two_processes_may_shrink_a_store_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records that another process removes meanwhile are no error."""
    asyncio.run(keep(tmp_path, *(ask(str(number)) for number in range(5))))
    real = Path.stat

    def vanishing(path: Path, **named: Any) -> os.stat_result:
        found = real(path, **named)
        if path.suffix == ".json":
            path.unlink()
        return found

    monkeypatch.setattr(Path, "stat", vanishing)
    assert remove_oldest(tmp_path, 0, ()) == 5
    monkeypatch.undo()
    assert list(tmp_path.glob("??/*.json")) == []


def test_locks_of_cancelled_callers_end_with_the_batch(tmp_path: Path) -> None:
    """A lock that a cancelled caller could not give back does not hinder the next batch."""

    async def abandoned() -> None:
        store = AnswerStore(location=str(tmp_path))
        async with store.opened():
            assert await store.single_flight.aacquire_lock(ask().key, "cancelled")

    async def next_batch() -> bool:
        store = AnswerStore(location=str(tmp_path))
        async with store.opened():
            return await store.single_flight.aacquire_lock(
                ask().key, "other", acquire_timeout=PATIENCE_S
            )

    asyncio.run(abandoned())
    assert asyncio.run(next_batch())
