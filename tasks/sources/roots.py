"""The folders below which sources may lie on this machine, and files opened only there.

Without them, a person who may start runs could copy any file of the worker into a report. Here:
paths, with every link followed. Not here: buckets (`bucket`), which files a folder holds
(`finding`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path, PurePath

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.locations import checked_location

EXAMPLES = "deployments/sources"
"""The shipped sources, in the project; where it is not there, the installed copy is read."""
VARIABLE = "LLM_REPORTS_SOURCES"
"""The environment's name of the setting."""


class Roots:
    """The folders of the setting, with every link followed.

    Args:
        setting: Folders with the system's path separator between; empty: the working directory.

    Raises:
        BadInput: One of them is not a folder.
    """

    def __init__(self, setting: str = "") -> None:
        named = [part.strip() for part in setting.split(os.pathsep) if part.strip()]
        self.folders: list[Path] = []
        problems: list[str] = []
        for part in named or [os.curdir]:
            try:
                folder = Path(part).expanduser().resolve(strict=True)
            except (OSError, RuntimeError):
                problems.append(f"{VARIABLE}: {part} is not there; name folders that are there")
                continue
            if not folder.is_dir():
                problems.append(f"{VARIABLE}: {part} is not a folder; name folders only")
                continue
            self.folders.append(folder)
        if problems:
            raise BadInput(*problems)
        self._chosen = bool(named)

    def __str__(self) -> str:
        said = " or ".join(map(str, self.folders))
        return said if self._chosen else f"{said}, the working directory"

    def find(self, name: str) -> Path:
        """The file or folder that a person names, with every link followed.

        Args:
            name: A path; a relative one begins in the working directory, else in one of the roots.

        Raises:
            BadInput: It is not there, or lies outside of the roots.
        """
        checked_location(name)
        given = Path(name).expanduser()
        starts: Sequence[Path] = [given]
        if not given.is_absolute():
            starts = [Path.cwd() / given, *(folder / given for folder in self.folders)]
        outside: Path | None = None
        for start in starts:
            try:
                real = start.resolve(strict=True)
            except (OSError, RuntimeError):
                continue
            if self.holds(real):
                return real
            outside = outside or real
        if (shipped := _shipped(name)) is not None:
            self.folders.append(shipped if shipped.is_dir() else shipped.parent)
            return shipped
        if outside is not None:
            raise BadInput(self.refusal(name))
        looked = "" if given.is_absolute() else f" in {self}"
        raise BadInput(f"source {name}: not there{looked}; give the path of a file or folder")

    def holds(self, real: Path) -> bool:
        """Whether a path lies below a root, or is one.

        Args:
            real: A path without links.
        """
        return any(real == folder or folder in real.parents for folder in self.folders)

    def refusal(self, name: str) -> str:
        """The problem of a path outside of the roots.

        Args:
            name: The path as a person named it, or as a folder holds it.
        """
        return (
            f"source {name}: outside of the folders that sources may come from ({self}); put it"
            f" there, or ask the worker's operator to add its folder to {VARIABLE}"
        )

    def shown(self, real: Path) -> str:
        """A path below its root, as records and readers name it; a root of one file's own name.

        Args:
            real: A path without links, below a root.
        """
        folder = max((f for f in self.folders if f in real.parents), key=lambda f: len(f.parts))
        return real.relative_to(folder).as_posix()

    def read(self, real: Path, most: int) -> bytes:
        """The bytes of a file, at most one more than are allowed.

        Args:
            real: A path without links; one that became a link meanwhile is refused.
            most: Bytes that it may have.

        Raises:
            BadInput: It is no plain file any more, or lies outside of the roots now.
            OSError: It cannot be read.
        """
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
        with open(os.open(real, flags), "rb") as file:
            about = os.fstat(file.fileno())
            now = real.resolve(strict=True)
            there = now.stat()
            same = (there.st_dev, there.st_ino) == (about.st_dev, about.st_ino)
            if not (stat.S_ISREG(about.st_mode) and same and self.holds(now)):
                raise BadInput(f"source {real}: changed while it was read; start again")
            return file.read(most + 1)


def _shipped(name: str) -> Path | None:
    """The installed copy of an example that a name leads to; None: it is no example."""
    within = PurePath(name)
    if within.parts[:2] != PurePath(EXAMPLES).parts or ".." in within.parts:
        return None
    found = Path(str(files("prefect_llm_reports.flows.deployments"))).joinpath(*within.parts[1:])
    return found.resolve() if found.exists() else None
