"""A disk that fails: the Nth storage operation below a folder ends with an error of the system.

Only what this project's storage does is counted and only below that folder; Prefect's own files
are left alone.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefect_llm_reports.tasks.storage import places as storage

ERRORS = (errno.ENOSPC, errno.EIO)


class FailingDisk:
    """Counts operations below a folder and makes some of them fail.

    Attributes:
        done: Each operation so far, as `write store/ab/abcd.json`.
        fails: Whether the operation of this number (from 1), kind and path fails.
        error: With which error.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.done: list[str] = []
        self.error = errno.EIO
        self.fails: Callable[[int, str, Path], bool] = lambda number, kind, path: False
        self._guard = threading.Lock()
        self._paths: dict[int, Path] = {}
        fake: Any = _Os(self)
        monkeypatch.setattr(storage, "os", fake)
        for kind in ("replace", "rename", "unlink", "mkdir", "read_bytes"):
            monkeypatch.setattr(Path, kind, self._counted(kind, getattr(Path, kind)))

    def begin(self, fails: Callable[[int, str, Path], bool], error: int = errno.EIO) -> None:
        """Count anew, with these failures."""
        self.done, self.fails, self.error = [], fails, error

    def operation(self, kind: str, path: Path) -> None:
        """Count an operation, and fail if it is its turn.

        Raises:
            OSError: It is.
        """
        if not path.is_relative_to(self.folder):
            return
        with self._guard:
            self.done.append(f"{kind} {path.relative_to(self.folder)}")
            fails = self.fails(len(self.done), kind, path)
        if fails:
            raise OSError(self.error, os.strerror(self.error), str(path))

    def _counted(self, kind: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def operation(path: Path, *arguments: Any, **named: Any) -> Any:
            self.operation(kind, path)
            return real(path, *arguments, **named)

        return operation


class _Os:
    """The module `os` as the storage sees it."""

    def __init__(self, disk: FailingDisk) -> None:
        self._disk = disk
        self._paths: dict[int, Path] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Path, *arguments: Any) -> int:
        self._disk.operation("open", Path(path))
        handle = os.open(path, *arguments)
        self._paths[handle] = Path(path)
        return handle

    def write(self, handle: int, body: bytes) -> int:
        self._disk.operation("write", self._paths[handle])
        return os.write(handle, body)

    def fsync(self, handle: int) -> None:
        self._disk.operation("fsync", self._paths[handle])
        os.fsync(handle)
