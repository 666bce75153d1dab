"""Reading a slow store holds up nothing else."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from prefect_llm_reports.tasks.answers import files
from prefect_llm_reports.tasks.answers.files import TRUSTED, AnswerFiles
from prefect_llm_reports.tasks.answers.losses import Losses
from prefect_llm_reports.tasks.contract.errors import StorageError
from prefect_llm_reports.tasks.storage.places import LocalPlace


class Watched(LocalPlace):
    """Notes which thread reads."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.readers: list[bool] = []

    def read(self, name: str) -> bytes | None:
        self.readers.append(threading.current_thread() is threading.main_thread())
        return super().read(name)


def read(place: LocalPlace, count: int) -> None:
    async def main() -> None:
        kept = AnswerFiles(place, Losses())
        for _ in range(count):
            assert await kept.read("ab" * 32) is None
        kept.close()

    asyncio.run(main())


def test_a_slow_store_is_read_in_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as reads are not quick, none is made on the event loop."""
    monkeypatch.setattr(files, "QUICK_S", 0)
    place = Watched(tmp_path)
    read(place, 3 * TRUSTED)
    assert not any(place.readers)


def test_a_quick_store_needs_no_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a few quick reads the thread is left out; the first slow read brings it back."""
    monkeypatch.setattr(files, "QUICK_S", float("inf"))
    place = Watched(tmp_path)
    read(place, TRUSTED + 2)
    assert place.readers == [False] * TRUSTED + [True] * 2


def test_a_pipe_in_the_place_of_an_answer_is_not_waited_for(tmp_path: Path) -> None:
    """A store in which somebody has left a pipe answers at once."""
    os.mkfifo(tmp_path / "x.json")
    with pytest.raises(StorageError, match="a pipe or device, not a file"):
        LocalPlace(tmp_path).read("x.json")
