"""Files are whole or not there, private if they must be, and failures say what to do."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

import pytest

from prefect_llm_reports.tasks.contract.errors import BadInput, StorageError, StorageFull
from prefect_llm_reports.tasks.storage.places import LocalPlace, open_place
from tests.harness import ROOT

FILES = {"manifest.json": b"{}", "report.md": b"# A", "report.html": b"<p>"}
WRITER = """
import os, sys
from pathlib import Path
from prefect_llm_reports.tasks.storage.places import LocalPlace

for number in sys.stdin:  # a fork writes until it is killed; the imports are paid once
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        print("dead", flush=True)
        continue
    place, turn = LocalPlace(Path(sys.argv[1]) / number.strip()), 0
    while True:
        turn += 1
        place.write("answer", (b"a" if turn % 2 else b"b") * 200_000)
        place.publish(f"report-{turn}", {"last": b"l", "first": b"f" * 50_000}, "last")
        if turn == 2:
            print(os.getpid(), flush=True)
"""


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    """A file is read as it was written last; a missing one is None and its removal fine."""
    place = open_place(str(tmp_path / "a" / "b"))
    assert place.read("x") is None
    assert place.read("x/y") is None
    place.write("x", b"1")
    place.write("x", b"2" * 100_000)
    assert place.read("x") == b"2" * 100_000
    assert place.path("x") == str(tmp_path / "a" / "b" / "x")
    place.remove("x")
    place.remove("x")
    assert everything(tmp_path / "a" / "b") == []


def test_a_reader_never_sees_a_part_and_a_killed_writer_leaves_none(tmp_path: Path) -> None:
    """Whenever the writer is killed, files and published folders are whole or not there."""
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as fork:
        assert fork.stdin
        assert fork.stdout
        for number in range(6):
            fork.stdin.write(b"%d\n" % number)
            fork.stdin.flush()
            writer = int(fork.stdout.readline())
            place = LocalPlace(tmp_path / str(number))
            for _ in range(1 + number % 5):
                _whole(place)
            os.kill(writer, signal.SIGKILL)
            fork.stdout.readline()
            _whole(place)


def _whole(place: LocalPlace) -> None:
    body = place.read("answer")
    assert body in (b"a" * 200_000, b"b" * 200_000)
    for name in place.names():
        if name != "answer":
            assert place.read(f"{name}/first") == b"f" * 50_000
            assert place.read(f"{name}/last") == b"l"


def test_private_files_are_for_their_owner_only(tmp_path: Path) -> None:
    """Private files are 0600 in 0700 folders, whatever the umask; published ones as well."""
    before = os.umask(0)
    try:
        place = open_place(str(tmp_path / "a" / "store"), private=True)
        place.write("ab/key", b"x")
        place.publish("report", FILES, "manifest.json")
        open_place(str(tmp_path / "open")).write("x", b"x")
    finally:
        os.umask(before)
    for folder in ("a", "a/store", "a/store/ab", "a/store/report"):
        assert mode(tmp_path / folder) == 0o700
    for file in ("a/store/ab/key", "a/store/report/report.md", "a/store/report/manifest.json"):
        assert mode(tmp_path / file) == 0o600
    assert mode(tmp_path / "open" / "x") == 0o666


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """A full disk raises StorageFull, keeps the earlier file, and leaves no part behind."""
    place = LocalPlace(tmp_path)
    place.write("x", b"earlier")

    def full(handle: int, body: bytes) -> NoReturn:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageFull, match="make room"):
        place.write("x", b"later")
    with pytest.raises(StorageFull, match="publishing"):
        place.publish("report", FILES, "manifest.json")
    monkeypatch.undo()
    assert place.read("x") == b"earlier"
    assert everything(tmp_path) == ["x"]


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the system writes less than asked, the rest follows."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, body: write(handle, body[:7]))
    LocalPlace(tmp_path).write("x", b"0123456789" * 10)
    assert (tmp_path / "x").read_bytes() == b"0123456789" * 10


def test_a_folder_is_published_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder appears with all its files, or, when any of them fails, not at all."""
    place, write, calls = LocalPlace(tmp_path), os.write, list[int]()

    def third_fails(handle: int, body: bytes) -> int:
        calls.append(handle)
        if len(calls) == 3:
            raise OSError(errno.EIO, "Input/output error")
        assert place.names() == []
        return write(handle, body)

    monkeypatch.setattr(os, "write", third_fails)
    with pytest.raises(StorageError, match="Input/output error"):
        place.publish("report", FILES, "manifest.json")
    assert everything(tmp_path) == []
    place.publish("report", FILES, "manifest.json")
    assert {n: place.read(f"report/{n}") for n in place.names("report")} == FILES


def test_a_complete_folder_is_left_untouched(tmp_path: Path) -> None:
    """A folder that is complete stays as it is, with whatever else somebody put there."""
    place = LocalPlace(tmp_path)
    place.publish("report", FILES, "manifest.json")
    (tmp_path / "report" / "notes.txt").write_text("mine")
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (tmp_path / "report").iterdir()}
    place.publish("report", {"manifest.json": b"other"}, "manifest.json")
    after = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (tmp_path / "report").iterdir()}
    assert after == before
    assert os.listdir(tmp_path) == ["report"]


def test_a_folder_without_its_last_file_is_moved_aside(tmp_path: Path) -> None:
    """A folder left without its last file is replaced, and what was in it kept out of sight."""
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "draft.md").write_text("old")
    place = LocalPlace(tmp_path)
    place.publish("report", FILES, "manifest.json")
    assert place.names() == ["report"]
    assert sorted(place.names("report")) == sorted(FILES)
    (aside,) = tmp_path.glob(".report.*.old")
    assert (aside / "draft.md").read_text() == "old"


def test_of_two_who_publish_at_once_one_wins(tmp_path: Path) -> None:
    """Of many who publish the same folder at once one wins, and no other part is left."""
    start = threading.Barrier(8)

    def publish(number: int) -> None:
        files = {"last": b"%d" % number, "other": b"%d" % number}
        start.wait()
        LocalPlace(tmp_path).publish("report", files, "last")

    threads = [threading.Thread(target=publish, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert os.listdir(tmp_path) == ["report"]
    assert (tmp_path / "report" / "last").read_bytes() == (
        tmp_path / "report" / "other"
    ).read_bytes()


def test_a_place_that_cannot_be_written_is_bad_input(tmp_path: Path) -> None:
    """A probe finds a place that cannot be written, and leaves nothing in one that can."""
    (tmp_path / "file").write_text("x")
    for below in ("file", "file/a", "file/a/b"):
        with pytest.raises(BadInput, match="not writable") as bad:
            open_place(str(tmp_path / below)).probe()
        assert str(tmp_path / below) in str(bad.value)
    open_place(str(tmp_path / "new" / "place")).probe()
    assert everything(tmp_path) == ["file", "new", "new/place"]


def test_names_hide_what_begins_with_a_dot(tmp_path: Path) -> None:
    """Names come sorted, without dot files; a missing folder has none."""
    place = LocalPlace(tmp_path)
    for name in ("b", "a", ".hidden", "sub/c"):
        place.write(name, b"")
    assert place.names() == ["a", "b", "sub"]
    assert place.names("sub") == ["c"]
    assert place.names("nowhere") == place.names("a") == []


LEFT = (".report.0a1b2c3d.partial", ".topics.csv.0a1b2c3d.partial", ".probe-0a1b2c3d")


def left_behind(folder: Path, *, age_s: float) -> None:
    """What a killed writer leaves: a staged folder, a file that was being written, a probe."""
    (folder / LEFT[0]).mkdir()
    (folder / LEFT[0] / "report.md").write_text("half a rep")
    for name in LEFT[1:]:
        (folder / name).write_text("ha")
    for name in LEFT:
        os.utime(folder / name, (time.time() - age_s,) * 2)


def test_what_killed_writers_left_is_removed_once_it_is_old(tmp_path: Path) -> None:
    """Old remains of killed writers go; young ones, and whatever else is there, stay."""
    place = LocalPlace(tmp_path)
    place.publish("report", FILES, "manifest.json")
    others = (".hidden", ".report.0a1b2c3d.old", "notes.partial", ".x.0a1b.partial")
    for name in others:
        (tmp_path / name).write_text("mine")
        os.utime(tmp_path / name, (0, 0))
    left_behind(tmp_path, age_s=60)
    assert place.sweep() == 0
    assert place.sweep("nowhere") == 0
    for name in LEFT:
        os.utime(tmp_path / name, (0, 0))
    assert place.sweep() == len(LEFT)
    assert sorted(os.listdir(tmp_path)) == sorted(["report", *others])


def test_a_link_among_the_remains_is_never_followed(tmp_path: Path) -> None:
    """A symbolic link with such a name is left alone, and so is what it points to."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("mine")
    (tmp_path / "out").mkdir()
    os.symlink(tmp_path / "precious", tmp_path / "out" / LEFT[0])
    os.utime(tmp_path / "precious", (0, 0))
    assert LocalPlace(tmp_path / "out").sweep() == 0
    assert (tmp_path / "precious" / "file").exists()


STAGING = """
import os, sys
from pathlib import Path
from prefect_llm_reports.tasks.storage import places as storage

fill = storage._fill
def fill_and_wait(handle, body):
    fill(handle, body)
    if body == b"second":
        print("staged", flush=True)
        sys.stdin.readline()
storage._fill = fill_and_wait
place = storage.LocalPlace(Path(sys.argv[1]))
files = {"first": b"first", "other": b"second", "last": b"l"}
getattr(place, sys.argv[2])(*(("report", files, "last") if sys.argv[2] == "publish" else
                              ("report", b"second")))
"""


@pytest.mark.parametrize("operation", ["publish", "write"])
def test_what_a_living_writer_stages_is_never_removed(tmp_path: Path, operation: str) -> None:
    """However old its files look, a writer that lives keeps them, and completes its work."""
    command = [sys.executable, "-c", STAGING, str(tmp_path), operation]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdin
        assert writer.stdout
        writer.stdout.readline()
        [staged] = tmp_path.iterdir()
        os.utime(staged, (0, 0))
        assert LocalPlace(tmp_path).sweep() == 0
        writer.stdin.write(b"\n")
        writer.stdin.flush()
        assert writer.wait() == 0
    assert LocalPlace(tmp_path).names() == ["report"]


def test_a_writer_that_died_no_longer_claims_what_it_staged(tmp_path: Path) -> None:
    """The lock of a killed writer dies with it."""
    command = [sys.executable, "-c", STAGING, str(tmp_path), "publish"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout
        writer.stdout.readline()
        writer.kill()
    [staged] = tmp_path.iterdir()
    os.utime(staged, (0, 0))
    assert LocalPlace(tmp_path).sweep() == 1
    assert list(tmp_path.iterdir()) == []


def test_publishing_says_whose_files_are_there(tmp_path: Path) -> None:
    """Publishing a folder returns True for the first writer, and False for the second."""
    place = LocalPlace(tmp_path)
    assert place.publish("report", FILES, "manifest.json") is True
    assert place.publish("report", {"manifest.json": b"other"}, "manifest.json") is False
