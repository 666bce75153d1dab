"""The page of all runs stays true, and cheap after years of runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prefect_llm_reports.tasks.contract.errors import StorageError
from prefect_llm_reports.tasks.results.index import COMPLETE_RUNS, publish_index, run_entries
from prefect_llm_reports.tasks.storage.places import LocalPlace

LAST = "20261103T000000Z-3"


class Recording(LocalPlace):
    """A local place that remembers which runs were read, and may refuse a file."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.read_runs: set[str] = set()
        self.refused = ""

    def read(self, name: str) -> bytes | None:
        if "/" in name:
            self.read_runs.add(name.split("/")[0])
        if name == self.refused:
            raise StorageError(f"reading {name} failed: no permission")
        return super().read(name)

    def write(self, name: str, body: bytes) -> None:
        if name == self.refused:
            raise StorageError(f"writing {name} failed: no permission")
        super().write(name, body)


def add_run(output: Path, run_id: str, status: str | None, *reports: str) -> None:
    folder = output / run_id
    folder.mkdir(exist_ok=True)
    (folder / "topics.csv").write_text("")
    if status:
        about = {
            "started": "2026-11-01T00:00:00Z",
            "status": status,
            "cost_usd": "0.25",
            "reports": [{"status": report, "topic": "x"} for report in reports],
        }
        (folder / "batch.json").write_text(json.dumps(about))


@pytest.fixture
def place(tmp_path: Path) -> Recording:
    """A place whose page was written after three runs: complete, partial and not finished."""
    add_run(tmp_path, "20261101T000000Z-1", "complete", "published", "published")
    add_run(tmp_path, "20261102T000000Z-2", "partial", "published", "failed")
    add_run(tmp_path, LAST, None)
    place = Recording(tmp_path)
    publish_index(place, LAST)
    assert place.read_runs == {"20261101T000000Z-1", "20261102T000000Z-2", LAST}
    place.read_runs.clear()
    return place


def test_a_complete_run_is_read_once(place: Recording) -> None:
    """The next page reads only what may have changed, and is the page of a look at every run."""
    add_run(place.folder, LAST, "complete", "published")
    publish_index(place, LAST)
    assert place.read_runs == {"20261102T000000Z-2", LAST}
    page = (place.folder / "index.html").read_bytes()
    (place.folder / COMPLETE_RUNS).unlink()
    publish_index(place, LAST)
    assert (place.folder / "index.html").read_bytes() == page
    assert page.count(b"1 of 1") == page.count(b"1 of 2") == page.count(b"2 of 2") == 1


def test_what_changed_is_told_anew(place: Recording) -> None:
    """The list shows runs as they are now: one mended, one changed, one deleted."""
    add_run(place.folder, "20261102T000000Z-2", "complete", "published", "published")
    add_run(place.folder, "20261101T000000Z-1", "complete", "published")
    [_, second, first] = run_entries(place, "20261101T000000Z-1")
    assert (second.status, second.published) == ("complete", 2)
    assert (first.published, first.total) == (1, 1)
    for file in (place.folder / "20261101T000000Z-1").iterdir():
        file.unlink()
    (place.folder / "20261101T000000Z-1").rmdir()
    assert [run.run_id for run in run_entries(place, LAST)] == [LAST, "20261102T000000Z-2"]


@pytest.mark.parametrize("body", ["", "{", "[1]", '[{"run_id": "x"}]', "\0"])
def test_a_damaged_list_is_made_anew(place: Recording, body: str) -> None:
    """Whatever is in the file of complete runs, the page is the same."""
    page = (place.folder / "index.html").read_bytes()
    kept = (place.folder / COMPLETE_RUNS).read_bytes()
    (place.folder / COMPLETE_RUNS).write_text(body)
    publish_index(place, LAST)
    assert (place.folder / "index.html").read_bytes() == page
    assert (place.folder / COMPLETE_RUNS).read_bytes() == kept


def test_a_list_that_is_refused_costs_time_and_nothing_else(
    place: Recording, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the file of complete runs can be neither read nor written, the page is the same."""
    page = (place.folder / "index.html").read_bytes()
    (place.folder / "index.html").unlink()
    place.refused = COMPLETE_RUNS
    publish_index(place, LAST)
    assert (place.folder / "index.html").read_bytes() == page
    assert "takes longer: writing .runs.json failed: no permission" in caplog.text
