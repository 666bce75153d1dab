"""Checks of single files: is it there, unaltered, readable, and does a list name it?

Here: one file or one name at a time, and counts of the files read. Not here: the parts of a run or
of a result directory (`results.verifying`).
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ValidationError

from prefect_llm_reports.tasks.contract.errors import StorageError
from prefect_llm_reports.tasks.contract.records import SHARDS, Record
from prefect_llm_reports.tasks.storage.places import LocalPlace, Place
from prefect_llm_reports.tasks.text.foreign import shown

_PARTIAL = re.compile(r"\..+\.[0-9a-f]{8}\.partial\Z")
_ASIDE = re.compile(r"\..+\.[0-9a-f]{8}\.old\Z")
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")
RecordType = TypeVar("RecordType", bound=Record)
Kind = Literal["missing", "altered", "extra", "unfinished"]


class Finding(Record):
    """One difference between the published files and the files there are."""

    kind: Kind
    path: str
    detail: str


class Files:
    """Checks the files of a place; several threads may use it.

    Args:
        place: Where the files are.

    Attributes:
        count: Files read so far.
        bytes: Their bytes.
    """

    def __init__(self, place: Place) -> None:
        self.count = self.bytes = 0
        self._place = place
        self._counting = threading.Lock()
        self._root = Path(place.where).resolve() if isinstance(place, LocalPlace) else None

    def finding(self, kind: Kind, path: str, detail: str) -> Finding:
        """Make a finding about a path within the place."""
        return Finding(kind=kind, path=self._place.path(path), detail=detail)

    def names(self, folder: str, *, hidden: bool = True) -> set[str]:
        """All names in a folder; none where the folder is not inside the place."""
        if not self.inside(folder):
            return set()
        return set(self._place.names(folder.rstrip("/"), hidden=hidden))

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None where there is no such file inside the place."""
        return self._place.read(path) if self.inside(path) else None

    def inside(self, path: str) -> bool:
        """Whether a path stays inside the place, after all links in it are followed.

        Args:
            path: A file or folder, relative to the place; a slash at its end is allowed.
        """
        parts = path.rstrip("/").split("/")
        if path and (path.startswith("/") or not all(parts)):
            return False
        if any(part in (".", "..") or "\0" in part for part in parts):
            return False
        if self._root is None:
            return True
        try:
            found = (self._root / path).resolve()
        except (OSError, RuntimeError, ValueError):
            return False
        return found.is_relative_to(self._root)

    def check(
        self, path: str, size: int | None, sha256: str | None, listed_in: str
    ) -> Iterator[Finding]:
        """Check that a file is there and unaltered.

        Args:
            path: The file.
            size: Its size by the list; None: the list has none.
            sha256: Its checksum by the list; None: the list does not name it.
            listed_in: Name of the list.
        """
        if not self.inside(path):
            yield self.finding("altered", path, "leads out of the folder and was not read")
            return
        try:
            body = self._place.read(path)
        except StorageError as error:
            yield self.finding("altered", path, str(error))
            return
        if body is None:
            detail = f"{listed_in} lists it" if sha256 else "not there"
            yield self.finding("missing", path, detail)
            return
        with self._counting:
            self.count += 1
            self.bytes += len(body)
        found = hashlib.sha256(body).hexdigest()
        if sha256 is None:
            yield self.finding("altered", path, f"{listed_in} does not list it")
        elif size not in (None, len(body)):
            yield self.finding("altered", path, f"{len(body)} bytes, {listed_in} says {size}")
        elif found != sha256:
            yield self.finding(
                "altered", path, f"SHA-256 is {found[:12]}…, {listed_in} says {sha256[:12]}…"
            )

    def record(
        self, path: str, kind: type[RecordType]
    ) -> tuple[RecordType | None, Sequence[Finding]]:
        """Read a record; None with a finding if the file does not hold one."""
        try:
            return kind.model_validate_json(self.read(path) or b""), ()
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            at = ".".join(str(part) for part in first["loc"])
            detail = shown(f"not readable: {at + ': ' if at else ''}{first['msg']}")
            return None, (self.finding("altered", path, detail),)

    def checksums(self, path: str) -> tuple[dict[str, str], Sequence[Finding]]:
        """Read a list of checksums, by file name; with a finding if it is missing or damaged."""
        body = self.read(path)
        if body is None:
            return {}, (self.finding("missing", path, "the run's checksums are not there"),)
        found: dict[str, str] = {}
        for number, line in enumerate(body.decode(errors="replace").splitlines(), 1):
            parts = _LINE.fullmatch(line)
            if parts is None:
                return found, (self.finding("altered", path, f"line {number} is not a checksum"),)
            found[parts[2]] = parts[1]
        return found, ()

    def unlisted(self, path: str) -> Finding:
        """Explain a file or folder that no list names."""
        name = path.rpartition("/")[2]
        if _PARTIAL.match(name):
            detail = "a killed run left it, or a run writes it now; a later run removes it"
            return self.finding("unfinished", path, detail)
        if name == SHARDS:
            detail = "shards of the run are at work, or its process was killed; Retry the run"
            return self.finding("unfinished", path, detail)
        if _ASIDE.match(name):
            return self.finding("extra", path, "a run moved it aside; remove it if nobody needs it")
        return self.finding("extra", path, "no list names it")
