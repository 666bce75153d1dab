"""The page of all runs stays true, and cheap after years of runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prefect_llm_reports.tasks.contract.errors import StorageError
from prefect_llm_reports.tasks.results.index import (
    COMPLETE_RUNS,
    foreign_index,
    publish_index,
    run_entries,
)
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


FOREIGN = [
    "<!doctype html>\n<html><head><title>Our site</title></head></html>",
    '<!doctype html><html><head><meta charset="utf-8"><title>x</title></head></html>',
    "",
    "All runs",
]


@pytest.mark.parametrize("theirs", FOREIGN)
def test_a_page_of_others_stays(tmp_path: Path, theirs: str) -> None:
    """An index.html that we did not write stays, and the page of all runs has another name."""
    (tmp_path / "index.html").write_text(theirs)
    add_run(tmp_path, LAST, "complete", "published")
    place = LocalPlace(tmp_path)
    (warning,) = foreign_index(place)
    assert "index.html is not a page of ours and stays as it is; the page of all runs is" in warning
    for _ in range(2):
        publish_index(place, LAST)
        assert (tmp_path / "index.html").read_text() == theirs
        assert "All runs" in (tmp_path / "runs.html").read_text()
        assert not (tmp_path / ".nojekyll").exists()  # it would change their site
    (tmp_path / "runs.html").write_text(theirs)
    assert "no page of all runs is written" in foreign_index(place)[0]
    publish_index(place, LAST)
    assert (tmp_path / "runs.html").read_text() == theirs


def test_our_own_page_is_written_again(place: Recording) -> None:
    """A page that we wrote, today or with an earlier version, is replaced without a warning."""
    assert foreign_index(place) == []
    assert (place.folder / ".nojekyll").read_bytes() == b""
    old = (place.folder / "index.html").read_text().replace("<title>", "<title>Old ")
    (place.folder / "index.html").write_text(old)
    publish_index(place, LAST)
    assert "<title>Old " not in (place.folder / "index.html").read_text()


def test_folders_that_are_no_runs_are_left_out(place: Recording) -> None:
    """Folders of others are neither listed nor a reason to fail, readable or not."""
    page = (place.folder / "index.html").read_bytes()
    for name in ("lost+found", "node_modules", "20261104T000000Z-4", "assets"):
        (place.folder / name).mkdir()
        (place.folder / name / "topics.csv").write_text("theirs")
    (place.folder / "node_modules" / "batch.json").write_text('{"name": "batch"}')
    (place.folder / "20261104T000000Z-4" / "batch.json").write_text("{}")
    place.refused = "20261104T000000Z-4/batch.json"
    publish_index(place, LAST)
    assert (place.folder / "index.html").read_bytes() == page


def test_a_page_that_cannot_be_written_fails_no_run(
    place: Recording, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runs are whole without the page of all runs, so its failure is a warning."""

    def full(name: str, body: bytes) -> None:
        raise StorageError(f"writing {name} failed: disk full")

    monkeypatch.setattr(place, "write", full)
    publish_index(place, LAST)
    assert "the page of all runs could not be written: writing index.html failed" in caplog.text


def test_entries_of_earlier_versions_gain_topics(place: Recording) -> None:
    """A file of complete runs without topics, as earlier versions wrote it, is read again."""
    page = (place.folder / "index.html").read_bytes()
    kept = json.loads((place.folder / COMPLETE_RUNS).read_text())
    assert [run.pop("topics") for run in kept] == [["x"]]
    (place.folder / COMPLETE_RUNS).write_text(json.dumps(kept))
    publish_index(place, LAST)
    assert (place.folder / "index.html").read_bytes() == page
    assert "20261101T000000Z-1" in place.read_runs


@pytest.mark.parametrize(("stop_reason", "below"), [("accepted", 0), ("plateau", 1), (None, 0)])
def test_a_run_knows_its_reports_below_the_threshold(
    place: Recording, stop_reason: str | None, below: int
) -> None:
    """The entry of a run counts published reports of which no draft was accepted."""
    add_run(place.folder, LAST, "complete", "published")
    at = place.folder / LAST / "batch.json"
    about = json.loads(at.read_text())
    about["reports"][0]["stop_reason"] = stop_reason
    at.write_text(json.dumps(about))
    assert run_entries(place, LAST)[0].below == below
