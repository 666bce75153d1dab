"""Places that hold files: the interface, and the local folder.

A place writes whole files atomically and publishes whole directories. The calls block: use them
from a worker thread. Here: folders. Not here: buckets (`s3`), and reports or answers in them.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import re
import secrets
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from prefect_llm_reports.tasks.contract.errors import BadInput, StorageError, StorageFull
from prefect_llm_reports.tasks.contract.locations import absolute, in_s3

logger = logging.getLogger(__name__)

ABANDONED_S = 3600
"""Age in seconds from which the leftovers of a killed writer are removed."""

_LEFT_BEHIND = re.compile(r"\..+\.[0-9a-f]{8}\.partial\Z|\.probe-[0-9a-f]{8}\Z")


class Place(Protocol):
    """Holds files by names that are relative to it, with `/` between parts."""

    where: str
    on_network: bool

    def read(self, name: str) -> bytes | None:
        """The file's bytes; None when there is no such file."""
        ...

    def write(self, name: str, body: bytes) -> None:
        """Write a whole file durably; readers see the old or the new one, never a part."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, or an empty folder; a missing one is fine."""
        ...

    def names(self, folder: str = "", *, hidden: bool = False) -> list[str]:
        """Names of the files and folders directly in a folder; `hidden` adds dot files."""
        ...

    def publish(self, folder: str, files: Mapping[str, bytes], last: str) -> bool:
        """Write a folder of files; `last` appears only when all others are whole.

        A folder that already holds `last` is complete and stays as it is.

        Returns:
            True: the folder now holds these files. False: it was complete before.
        """
        ...

    def sweep(self, folder: str = "") -> int:
        """Remove the leftovers of killed writers directly in a folder, and return their number."""
        ...

    def path(self, name: str) -> str:
        """The full name of a file or folder, for people."""
        ...

    def probe(self) -> None:
        """Write, and remove, a small file.

        Raises:
            BadInput: The place cannot be written to.
        """
        ...


@contextmanager
def _explained(doing: str) -> Generator[None]:
    """Turn an error of the operating system into ours, which names the next action."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(
                f"disk full while {doing}; make room and run the same command again"
            ) from error
        raise StorageError(
            f"{doing} failed: {reason}; correct this and run the same command again"
        ) from error


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _fill(handle: int, body: bytes) -> None:
    written = 0
    while written < len(body):
        written += os.write(handle, body[written:])
    os.fsync(handle)


def _write_synced(path: Path, body: bytes, mode: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        _fill(handle, body)
    finally:
        os.close(handle)


def _claim(handle: int) -> None:
    """Lock a file that is being written; the lock ends with the process."""
    with suppress(OSError):  # without locks nothing is swept either
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)


def _remove_abandoned(path: Path) -> bool:
    """Remove an old file or staged folder that no process has locked."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        if time.time() - os.fstat(handle).st_mtime < ABANDONED_S:
            return False
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove_staged(path)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _remove_staged(path: Path) -> None:
    if not path.is_dir():
        path.unlink()
        return
    for file in path.iterdir():
        file.unlink()
    path.rmdir()


class LocalPlace:
    """A folder on this machine; files are fsynced and renamed into place.

    Args:
        folder: The folder; the first write creates it.
        private: Only this user may read the files: 0600 in 0700 folders.
    """

    on_network = False

    def __init__(self, folder: Path, *, private: bool = False) -> None:
        self.folder = folder
        self.where = str(folder)
        self._file_mode, self._folder_mode = (0o600, 0o700) if private else (0o666, 0o777)
        self._made: set[Path] = set()

    def path(self, name: str) -> str:
        """The full name of a file or folder."""
        return str(self.folder / name)

    def read(self, name: str) -> bytes | None:
        """The file's bytes; None when there is no such file."""
        with _explained(f"reading {self.path(name)}"):
            try:
                return (self.folder / name).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def write(self, name: str, body: bytes) -> None:
        """Write a file: temporary name, fsync, rename, fsync of the folder."""
        path = self.folder / name
        with _explained(f"writing {path}"):
            self._make(path.parent)
            partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
            handle = None
            try:
                handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, self._file_mode)
                _claim(handle)
                _fill(handle, body)
                partial.replace(path)
            except BaseException:
                self._made.discard(path.parent)  # another program may have removed it
                with suppress(OSError):
                    partial.unlink()
                raise
            finally:
                if handle is not None:
                    os.close(handle)
            _sync_folder(path.parent)

    def remove(self, name: str) -> None:
        """Remove a file, or an empty folder; a missing one is fine."""
        path = self.folder / name
        with _explained(f"removing {path}"), suppress(FileNotFoundError):
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
                self._made.discard(path)
            else:
                path.unlink()

    def names(self, folder: str = "", *, hidden: bool = False) -> list[str]:
        """Names directly in a folder, sorted; `hidden` adds dot files."""
        with _explained(f"listing {self.path(folder)}"):
            try:
                with os.scandir(self.folder / folder) as entries:
                    return sorted(e.name for e in entries if hidden or not e.name.startswith("."))
            except (FileNotFoundError, NotADirectoryError):
                return []

    def sweep(self, folder: str = "") -> int:
        """Remove the leftovers of killed writers directly in a folder, and return their number.

        A living writer locks the files it stages, even while it is suspended. On a file system
        without locks nothing is removed.
        """
        left = [n for n in self.names(folder, hidden=True) if _LEFT_BEHIND.match(n)]
        return sum(_remove_abandoned(self.folder / folder / name) for name in left)

    def publish(self, folder: str, files: Mapping[str, bytes], last: str) -> bool:
        """Stage the folder beside its place, fsync everything, and rename it as a whole."""
        target = self.folder / folder
        with _explained(f"publishing {target}"):
            if (target / last).exists():
                return False
            self._make(target.parent)
            staged = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
            handle = None
            try:
                staged.mkdir(mode=self._folder_mode)
                handle = os.open(staged, os.O_RDONLY | os.O_DIRECTORY)
                _claim(handle)
                for name in [*(n for n in files if n != last), last]:
                    _write_synced(staged / name, files[name], self._file_mode)
                os.fsync(handle)
                written = self._put_in_place(staged, target, last)
            finally:
                if staged.exists():
                    with suppress(OSError):
                        _remove_staged(staged)
                if handle is not None:
                    os.close(handle)
            _sync_folder(target.parent)
        return written

    @staticmethod
    def _put_in_place(staged: Path, target: Path, last: str) -> bool:
        """Rename the folder; a folder that another process has completed meanwhile stays."""
        try:
            staged.rename(target)
        except OSError:
            if (target / last).exists():
                return False
            if not target.exists():
                raise
            # We rename whole folders into place, so another program left this one.
            aside = target.with_name(f".{target.name}.{secrets.token_hex(4)}.old")
            target.rename(aside)
            if (aside / last).exists():  # another process completed it meanwhile
                aside.rename(target)
                return False
            staged.rename(target)
        return True

    def probe(self) -> None:
        """Write, and remove, a small file."""
        try:
            name = f".probe-{secrets.token_hex(4)}"
            self.write(name, b"probe")
            self.remove(name)
        except StorageError as error:
            raise BadInput(f"{self.where} is not writable: {error}") from error

    def _make(self, folder: Path) -> None:
        if folder in self._made:
            return
        missing: list[Path] = []
        at = folder
        while not at.exists():
            missing.append(at)
            at = at.parent
        for path in reversed(missing):
            with suppress(FileExistsError):
                path.mkdir(mode=self._folder_mode)
            _sync_folder(path.parent)
        self._made.add(folder)


def open_place(location: str, *, private: bool = False) -> Place:
    """Open the place that a location names.

    Args:
        location: A folder, `s3://bucket/prefix`, or `s3-bucket/NAME` for a saved block.
        private: Only this user may read the files; in S3 the bucket's own rules apply.

    Raises:
        BadInput: It names no bucket, or no saved block.
    """
    if in_s3(location):
        from prefect_llm_reports.tasks.storage.s3 import open_s3  # boto takes a second to import

        return open_s3(location)
    return LocalPlace(Path(absolute(location)), private=private)
