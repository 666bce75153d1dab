"""Checks of single files: is it there, unaltered, readable, and does a list name it?

Here: one file or one name at a time, and the counts of what was read. Not here: what a run or a
result directory consists of (`results.verifying`).
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator, Sequence
from typing import Literal, TypeVar

from pydantic import ValidationError

from prefect_llm_reports.tasks.contract.records import SHARDS, Record
from prefect_llm_reports.tasks.storage.places import Place

_PARTIAL = re.compile(r"\..+\.[0-9a-f]{8}\.partial\Z")
_ASIDE = re.compile(r"\..+\.[0-9a-f]{8}\.old\Z")
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")
RecordType = TypeVar("RecordType", bound=Record)
Kind = Literal["missing", "altered", "extra", "unfinished"]


class Finding(Record):
    """One difference between what was published and what is there."""

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

    def finding(self, kind: Kind, path: str, detail: str) -> Finding:
        """Make a finding about a path within the place."""
        return Finding(kind=kind, path=self._place.path(path), detail=detail)

    def names(self, folder: str) -> set[str]:
        """All names in a folder, hidden ones included."""
        return set(self._place.names(folder.rstrip("/"), hidden=True))

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
        body = self._place.read(path)
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
            return kind.model_validate_json(self._place.read(path) or b""), ()
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            at = ".".join(str(part) for part in first["loc"])
            detail = f"not readable: {at + ': ' if at else ''}{first['msg']}"
            return None, (self.finding("altered", path, detail),)

    def checksums(self, path: str) -> tuple[dict[str, str], Sequence[Finding]]:
        """Read a list of checksums, by file name; with a finding if it is missing or damaged."""
        body = self._place.read(path)
        if body is None:
            return {}, (self.finding("missing", path, "the run's checksums are not there"),)
        found: dict[str, str] = {}
        for number, line in enumerate(body.decode(errors="replace").splitlines(), 1):
            parts = _LINE.fullmatch(line)
            if parts is None:
                return found, (self.finding("altered", path, f"line {number} is no checksum"),)
            found[parts[2]] = parts[1]
        return found, ()

    def unlisted(self, path: str) -> Finding:
        """Say what a file or folder is that no list names."""
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
