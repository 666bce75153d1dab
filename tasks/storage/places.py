"""Places that hold files: the local folder, and how any place is opened.

A place writes whole files atomically and publishes whole directories. The calls block: use them
from a worker thread. Here: folders. Not here: the interface (`interface`), buckets
(`s3`), and reports or answers in them.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import re
import secrets
import stat
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from prefect_llm_reports.tasks.contract.errors import BadInput, StorageError, StorageFull
from prefect_llm_reports.tasks.contract.locations import absolute, in_s3
from prefect_llm_reports.tasks.storage.interface import Place

__all__ = ["ABANDONED_S", "LocalPlace", "Place", "open_place"]

logger = logging.getLogger(__name__)

ABANDONED_S = 3600
"""Age in seconds from which the leftovers of a killed writer are removed."""

_NO_SYNC = frozenset(
    {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EISDIR}
    | {errno.EPERM, errno.EACCES, errno.ENOTTY}
)
"""Errors of file systems that cannot fsync a folder, such as SMB, vboxsf and DrvFs."""

_LEFT_BEHIND = re.compile(r"\..+\.[0-9a-f]{8}\.partial\Z|\.probe-[0-9a-f]{8}\Z")


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


def _is_special(mode: int) -> bool:
    """Whether a file is a pipe or a device, which may have no end or wait for a writer."""
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _fill(handle: int, body: bytes) -> None:
    written = 0
    while written < len(body):
        written += os.write(handle, body[written:])


def _of_a_group(folder: Path) -> bool:
    """Whether a folder is shared on purpose: writable for its group, which new files inherit."""
    try:
        mode = folder.stat().st_mode
    except OSError:
        return False
    return bool(mode & stat.S_ISGID and mode & stat.S_IWGRP)


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
        private: Only this user may read the files: 0600 in 0700 folders. Where the folder is
            group-writable and setgid (`chmod 2770`), its group may read and write them, too.
    """

    on_network = False
    conditional = True

    def __init__(self, folder: Path, *, private: bool = False) -> None:
        self.folder = folder
        self.warnings: list[str] = []
        self.where = str(folder)
        self._file_mode, self._folder_mode = (0o600, 0o700) if private else (0o666, 0o777)
        self._made: set[Path] = set()
        self._private = private
        self._group = private and _of_a_group(folder)
        if self._group:
            self._file_mode, self._folder_mode = 0o660, 0o2770

    def path(self, name: str) -> str:
        """The full name of a file or folder."""
        return str(self.folder / name)

    def read(self, name: str) -> bytes | None:
        """The file's bytes; None when there is no such file."""
        with _explained(f"reading {self.path(name)}"):
            path = self.folder / name
            try:
                if _is_special(path.stat().st_mode):
                    raise OSError(errno.EINVAL, "a pipe or device, not a file")
                return path.read_bytes()
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
                self._let_in(handle, self._file_mode)
                _claim(handle)
                _fill(handle, body)
                self._sync(handle)
                partial.replace(path)
            except BaseException:
                self._made.discard(path.parent)  # another program may have removed it
                with suppress(OSError):
                    partial.unlink()
                raise
            finally:
                if handle is not None:
                    os.close(handle)
            self._sync_folder(path.parent)

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

    def dated(self, folder: str) -> list[tuple[float, str]]:
        """The files directly in a folder: when each was written, as Unix time, and its name."""
        found: list[tuple[float, str]] = []
        with _explained(f"listing {self.path(folder)}"):
            for name in self.names(folder):
                with suppress(FileNotFoundError):
                    at = f"{folder}/{name}"
                    found.append(((self.folder / at).stat().st_mtime, at))
        return found

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
                    self._write_synced(staged / name, files[name])
                self._sync(handle)
                written = self._put_in_place(staged, target, last)
            finally:
                if staged.exists():
                    with suppress(OSError):
                        _remove_staged(staged)
                if handle is not None:
                    os.close(handle)
            self._sync_folder(target.parent)
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
        """Write, read and remove a small file and a folder, as a run does.

        Raises:
            BadInput: One of them fails, or folders of another user are in a store.
        """
        try:
            name = f".probe-{secrets.token_hex(4)}"
            for _ in range(2):  # the second one replaces the first
                self.write(name, b"probe")
            if self.read(name) != b"probe":
                raise StorageError(
                    f"reading {self.path(name)} gave other content than was written; check the"
                    " file system"
                )
            self.remove(name)
        except StorageError as error:
            raise BadInput(f"{self.where} is not writable: {error}") from error
        if self._private:
            self._check_owner()

    def _check_owner(self) -> None:
        """Refuse a store in which another user has folders that this one cannot write to."""
        for name in self.names():
            folder = self.folder / name
            if folder.is_dir() and not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
                raise BadInput(
                    f"store {self.where}: its folder {name} is another user's; use a store of your"
                    " own (LLM_REPORTS_STORE), or share this one by a group: chgrp -R GROUP, then"
                    " chmod -R g+rwX, then chmod g+s on all folders"
                )

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
                if self._group:
                    with suppress(OSError):
                        path.chmod(self._folder_mode)
            self._sync_folder(path.parent)
        self._made.add(folder)

    def _write_synced(self, path: Path, body: bytes) -> None:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, self._file_mode)
        try:
            _fill(handle, body)
            self._sync(handle)
        finally:
            os.close(handle)

    def _let_in(self, handle: int, mode: int) -> None:
        """Give the group of a shared store access, regardless of the umask."""
        if self._group:
            with suppress(OSError):
                os.fchmod(handle, mode)

    def _sync_folder(self, folder: Path) -> None:
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            self._go_without_sync(error)
            return
        try:
            self._sync(handle)
        finally:
            os.close(handle)

    def _sync(self, handle: int) -> None:
        """Make written data survive a power cut, where the file system can do that."""
        try:
            os.fsync(handle)
        except OSError as error:
            self._go_without_sync(error)

    def _go_without_sync(self, error: OSError) -> None:
        """Note once that the file system cannot fsync; any other error is raised."""
        if error.errno not in _NO_SYNC:
            raise error
        if not self.warnings:
            self.warnings.append(
                f"the file system of {self.where} cannot fsync everything ({error.strerror}): a"
                " power cut may lose the last files; run the same command again after one"
            )


def open_place(location: str, *, private: bool = False) -> Place:
    """Open the place that a location names.

    Args:
        location: A folder, `s3://bucket/prefix`, or `s3-bucket/NAME` for a saved block.
        private: Only this user may read the files; in S3 the bucket's own rules apply.

    Raises:
        BadInput: It names no bucket, no saved block, or a place of another kind.
    """
    if in_s3(location):
        from prefect_llm_reports.tasks.storage.s3 import open_s3  # boto takes a second to import

        return open_s3(location)
    return LocalPlace(Path(absolute(location)), private=private)
