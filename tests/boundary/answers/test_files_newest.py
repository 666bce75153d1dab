"""The newest answers of a store, read for estimates: bounded, whatever else is in the folder."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from prefect_llm_reports.tasks.answers.files import CHOICE, NETWORK_THREADS, AnswerFiles
from prefect_llm_reports.tasks.answers.losses import Losses
from prefect_llm_reports.tasks.answers.store import AnswerStore
from prefect_llm_reports.tasks.contract.calls import Answer
from prefect_llm_reports.tasks.contract.records import digest
from prefect_llm_reports.tasks.storage.places import LocalPlace


class Watched(LocalPlace):
    """Notes what is listed and read."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.listed: list[str] = []
        self.opened: list[str] = []

    def dated(self, folder: str) -> list[tuple[float, str]]:
        self.listed.append(folder)
        return super().dated(folder)

    def read(self, name: str) -> bytes | None:
        self.opened.append(name)
        return super().read(name)


def fill(store: Path, count: int) -> None:
    """Write files as answers are named; each holds the second in which it was written."""
    for number in range(count):
        key = digest(str(number))
        path = store / key[:2] / f"{key}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(number))
        os.utime(path, (number, number))


def newest(place: LocalPlace, most: int) -> list[int]:
    """The numbers in the newest files."""

    async def main() -> list[int]:
        files = AnswerFiles(place, Losses())
        try:
            return [int(body) for body in await files.newest(most)]
        finally:
            files.close()

    return asyncio.run(main())


def test_the_newest_of_a_small_store_are_read(tmp_path: Path) -> None:
    """Of a store that is small enough to look at, exactly the newest are read."""
    fill(tmp_path, 60)
    assert newest(LocalPlace(tmp_path), 20) == list(range(59, 39, -1))
    assert newest(LocalPlace(tmp_path / "none"), 20) == []
    assert not (tmp_path / "none").exists()


def test_a_large_store_is_not_read_as_a_whole(tmp_path: Path) -> None:
    """Some folders stand for all, and no more files are opened than asked for."""
    fill(tmp_path, 1500)
    place = Watched(tmp_path)
    found = newest(place, 20)
    assert len(place.opened) == len(found) == 20
    assert len(place.listed) == NETWORK_THREADS
    assert len(found) * CHOICE <= 1500 * len(place.listed) / 256
    assert min(found) > 1000, "they are new ones"


JUNK: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "no JSON": lambda path: path.write_bytes(b"\xff{"),
    "another record": lambda path: path.write_text('{"result": "{}"}'),
    "a deep one": lambda path: path.write_text("[" * 100_000),
    "a pipe": lambda path: os.mkfifo(path),
    "a folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("leave", JUNK.values(), ids=JUNK)
def test_other_files_are_left_out(leave: Callable[[Path], object], tmp_path: Path) -> None:
    """A file that is no answer costs neither a quote nor a warning."""
    (tmp_path / "ab").mkdir()
    leave(tmp_path / "ab" / f"{'ab' * 32}.json")
    store = AnswerStore(location=str(tmp_path))

    async def main() -> list[Answer]:
        async with store.consulted():
            return await store.newest()

    assert asyncio.run(main()) == []
    assert store.warnings == []
