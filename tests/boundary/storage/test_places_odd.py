"""File systems that lack something: they work with one warning, or the probe refuses them."""

from __future__ import annotations

import errno
import os
import stat
import types
from pathlib import Path
from typing import Any

import pytest

from prefect_llm_reports.tasks.answers import locks, room
from prefect_llm_reports.tasks.contract.errors import BadInput, StorageError
from prefect_llm_reports.tasks.inputs.requests import writable_place
from prefect_llm_reports.tasks.storage import places
from prefect_llm_reports.tasks.storage.places import LocalPlace

FILES = {"manifest.json": b"{}", "report.md": b"# A"}


def changed(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, **functions: Any) -> None:
    """Give a module its own copy of a library module, with other functions."""
    real = getattr(module, name)
    fake = types.SimpleNamespace(**{**vars(real), **functions})
    monkeypatch.setattr(module, name, fake)


def refuse(number: int) -> Any:
    def refused(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return refused


def no_folder_sync(number: int, *, files_too: bool = False) -> Any:
    def fsync(handle: int) -> None:
        if files_too or stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, os.strerror(number))
        os.fsync(handle)

    return fsync


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF])
@pytest.mark.parametrize("files_too", [False, True])
def test_without_fsync_there_is_one_warning(
    number: int, files_too: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SMB, vboxsf and DrvFs cannot fsync a folder: everything is written, with one warning."""
    changed(monkeypatch, places, "os", fsync=no_folder_sync(number, files_too=files_too))
    place = LocalPlace(tmp_path / "a" / "b")
    place.probe()
    place.write("x", b"1")
    assert place.publish("r", FILES, "manifest.json")
    assert place.read("r/report.md") == b"# A"
    assert place.read("x") == b"1"
    (warning,) = place.warnings
    assert f"the file system of {tmp_path}/a/b cannot fsync everything" in warning


@pytest.mark.parametrize("number", [errno.EACCES, errno.EISDIR, errno.EINVAL])
def test_a_folder_that_cannot_be_opened_is_not_synced(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that may be written to, and not be opened, is written to."""

    def opened(path: Any, flags: int, *mode: int) -> int:
        if flags & os.O_DIRECTORY and not str(path).endswith(".partial"):
            raise OSError(number, os.strerror(number))
        return os.open(path, flags, *mode)

    changed(monkeypatch, places, "os", open=opened)
    place = LocalPlace(tmp_path)
    place.probe()
    assert place.publish("r", FILES, "manifest.json")
    assert len(place.warnings) == 1


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_disk_that_fails_is_no_odd_file_system(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that means a loss is raised as before."""
    changed(monkeypatch, places, "os", fsync=no_folder_sync(number))
    with pytest.raises(StorageError):
        LocalPlace(tmp_path).write("x", b"1")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL])
def test_a_store_without_locks_is_refused_and_an_output_is_not(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without record locks two processes could pay twice: the probe says what to do."""
    none = {"lockf": refuse(number), "flock": refuse(number)}
    changed(monkeypatch, locks, "fcntl", **none)
    changed(monkeypatch, places, "fcntl", **none)
    assert writable_place(str(tmp_path / "output")).publish("r", FILES, "manifest.json")
    with pytest.raises(BadInput) as refused:
        writable_place(str(tmp_path / "store"), private=True)
    (problem,) = refused.value.problems
    assert problem.startswith(f"store {tmp_path}/store: locking {tmp_path}/store/.locks failed: ")
    assert "keep the store on a file system that has record locks" in problem


def test_a_lock_that_another_process_holds_is_no_missing_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probe of a store that is in use succeeds."""
    changed(monkeypatch, locks, "fcntl", lockf=refuse(errno.EAGAIN))
    assert writable_place(str(tmp_path / "store"), private=True).on_network is False


@pytest.mark.parametrize(
    ("figures", "fits"),
    [
        ({"f_blocks": 0, "f_bavail": 0, "f_files": 0, "f_favail": 0}, True),
        ({"f_blocks": 10, "f_bavail": 0, "f_files": 0, "f_favail": 0}, True),
        ({"f_blocks": 10, "f_bavail": 5, "f_files": 1, "f_favail": 0}, True),
        ({"f_frsize": 0, "f_bsize": 0, "f_blocks": 10, "f_bavail": 10}, True),
        ({"f_blocks": 10, "f_bavail": 1, "f_files": 0, "f_favail": 0}, False),
    ],
)
def test_odd_figures_of_a_disk_do_not_stop_a_run(
    figures: dict[str, int], fits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Figures that say nothing are no full disk; credible ones are believed."""
    usual = {"f_frsize": 4096, "f_bsize": 4096, "f_files": 0, "f_favail": 0}
    found = types.SimpleNamespace(**{**usual, **figures})
    changed(monkeypatch, room, "os", statvfs=lambda _: found)
    assert room.Room(LocalPlace(tmp_path))._fits(100_000) is fits
    assert list(tmp_path.iterdir()) == []


def test_zero_that_is_meant_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be written the disk is full, as its figures say."""
    none = types.SimpleNamespace(f_frsize=1, f_bsize=1, f_blocks=9, f_bavail=0, f_files=0)
    changed(monkeypatch, room, "os", statvfs=lambda _: none, posix_fallocate=refuse(errno.ENOSPC))
    assert not room.Room(LocalPlace(tmp_path))._fits(100_000)


def test_a_store_is_shared_by_its_group(tmp_path: Path) -> None:
    """A group-writable setgid folder is shared: whatever the umask, the group reads and writes."""
    store = tmp_path / "store"
    store.mkdir()
    store.chmod(0o2770)
    umask = os.umask(0o077)
    try:
        place = writable_place(str(store), private=True)
        place.write("ab/answer.json", b"{}")
    finally:
        os.umask(umask)
    modes = {path.name: path.stat().st_mode & 0o7777 for path in store.rglob("*")}
    assert modes == {"ab": 0o2770, "answer.json": 0o660, ".locks": 0o660}


def test_folders_of_another_user_in_a_store_are_refused_at_the_probe(tmp_path: Path) -> None:
    """A paid answer that could not be kept is never asked for: a second user is refused before."""
    store = tmp_path / "store"
    store.mkdir()
    store.chmod(0o777)
    (store / "ab").mkdir()
    (store / "ab").chmod(0)
    tmp_path.chmod(0o755)
    said = _as_nobody(store)
    assert f"store {store}: its folder ab is another user's; use a store of your own" in said
    (store / "ab").chmod(0o777)
    assert _as_nobody(store) == "fine"


def _as_nobody(store: Path) -> str:
    """What the probe says to a user who owns nothing, in a process of its own."""
    read, write = os.pipe()
    if not (child := os.fork()):
        try:
            for folder in [store.parent, *store.parent.parents]:
                if os.geteuid() == 0 and not folder.stat().st_mode & 0o001:
                    folder.chmod(folder.stat().st_mode | 0o001)
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            place = LocalPlace(store, private=True)
            place.probe()
            os.write(write, b"fine")
        except BadInput as bad:
            os.write(write, str(bad).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as said:
        return said.read()
