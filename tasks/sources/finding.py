"""The files that a run's sources name: each once, in a fixed order, with all problems together.

Here: files and folders on this machine, prefixes in buckets, and the bounds on all of them. Not
here: where files may lie (`roots`), their text (`reading`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from prefect_llm_reports.tasks.contract.errors import BadInput, ReportsError
from prefect_llm_reports.tasks.contract.locations import in_s3
from prefect_llm_reports.tasks.sources.reading import FORMATS, ending, kind_of
from prefect_llm_reports.tasks.sources.roots import Roots
from prefect_llm_reports.tasks.storage.interface import Place

MEGABYTE = 1_000_000
FILE_MB, RUN_MB, RUN_FILES = 50, 200, 500
"""Bounds on one file, and on all files of a run."""
_MOST_ENTRIES = 100_000
"""Entries of folders that are looked at for one source."""
_LISTED = 3
_USUAL = ".md, .txt, .html, .csv, .pdf, .docx, .xlsx"


@dataclass(frozen=True)
class Found:
    """A file to be read.

    Attributes:
        name: Its name for readers.
        location: A path below its root, or an address.
        kind: Its format.
        size: Bytes, as the folder or bucket says.
        state: Changes when the file does.
        read: Reads its bytes, one more than `FILE_MB` at most.
    """

    name: str
    location: str
    kind: str
    size: int
    state: str
    read: Callable[[], bytes] = field(compare=False)


class Finding:
    """Finds files by the names that people give.

    Args:
        roots: Where files may lie on this machine.

    Attributes:
        files: All that were found, each once.
        problems: One sentence each.
        warnings: What was left out of folders.
    """

    def __init__(self, roots: Roots) -> None:
        self._roots = roots
        self._numbers: dict[str, int] = {}
        self._named: dict[str, list[int]] = {}
        self._places: dict[str, Place] = {}
        self.files: list[Found] = []
        self.problems: list[str] = []
        self.warnings: list[str] = []

    def numbers(self, names: Iterable[str]) -> list[int]:
        """The numbers of the files that sources name, from 1; each once, in the order of the names.

        Args:
            names: Paths and addresses.
        """
        found: dict[int, None] = {}
        for name in names:
            if name not in self._named:
                self._named[name] = self._look_up(name)
            found.update(dict.fromkeys(self._named[name]))
        return list(found)

    def check_bounds(self) -> None:
        """Note the problems of all files together, and of each that is too large."""
        for file in self.files:
            if file.size > FILE_MB * MEGABYTE:
                self.problems.append(too_large(file.location, file.size))
        if len(self.files) > RUN_FILES:
            self.problems.append(
                f"sources: {len(self.files):,} files, a run may have {RUN_FILES}; name fewer, or"
                " divide the run"
            )
        size = sum(file.size for file in self.files)
        if size > RUN_MB * MEGABYTE:
            self.problems.append(
                f"sources: {size:,} bytes, a run may have {RUN_MB} MB; name fewer, or divide the"
                " run"
            )

    def _look_up(self, name: str) -> list[int]:
        try:
            return list(dict.fromkeys(self._in_s3(name) if in_s3(name) else self._on_disk(name)))
        except BadInput as bad:
            self.problems += [
                problem if problem.startswith("source ") else f"source {name}: {problem}"
                for problem in bad.problems
            ]
        except ReportsError as error:
            self.problems.append(f"source {name}: {error}")
        except OSError as error:
            reason = error.strerror or type(error).__name__
            self.problems.append(f"source {name}: {reason}; give the path of a readable file")
        return []

    def _add(self, key: str, found: Callable[[], Found]) -> int:
        if key not in self._numbers:
            self.files.append(found())
            self._numbers[key] = len(self.files)
        return self._numbers[key]

    def _on_disk(self, name: str) -> Iterator[int]:
        real = self._roots.find(name)
        mode = real.stat().st_mode
        if stat.S_ISDIR(mode):
            yield from self._in_folder(name, real)
            return
        if not stat.S_ISREG(mode):
            raise BadInput("a pipe or device, not a file; save it as a file and name that")
        if not kind_of(real.name):
            raise BadInput(_unknown(real.name))
        yield self._local(real)

    def _local(self, real: Path) -> int:
        def found() -> Found:
            about = real.stat()
            most = FILE_MB * MEGABYTE
            return Found(
                real.name,
                self._roots.shown(real),
                kind_of(real.name),
                about.st_size,
                f"{about.st_dev}:{about.st_ino}:{about.st_mtime_ns}",
                lambda: self._roots.read(real, most),
            )

        return self._add(str(real), found)

    def _in_folder(self, name: str, folder: Path) -> Iterator[int]:
        others: list[str] = []
        files: list[Path] = []
        entered: set[Path] = set()
        waiting, looked = [folder], 0
        while waiting:
            at = waiting.pop()
            if at in entered:  # a link leads back
                continue
            entered.add(at)
            with os.scandir(at) as entries:
                for entry in entries:
                    looked += 1
                    if looked > _MOST_ENTRIES:
                        raise BadInput(
                            f"more than {_MOST_ENTRIES:,} files and folders in it; name the ones"
                            " that reports may quote"
                        )
                    if entry.name.startswith((".", "~$")):
                        continue
                    self._sort(name, Path(entry.path), folder, waiting, files, others)
        if others:
            shown = ", ".join(sorted(others)[:_LISTED]) + (", …" if len(others) > _LISTED else "")
            self.warnings.append(
                f"source {name}: {len(others):,} of its files left out, which are not of a kind"
                f" that is read ({_USUAL}): {shown}"
            )
        if not files:
            raise BadInput(f"nothing readable in the folder; put files into it ({_USUAL})")
        if len(files) > RUN_FILES:
            raise BadInput(
                f"{len(files):,} files, a run may have {RUN_FILES}; name fewer, or divide the run"
            )
        for real in sorted(dict.fromkeys(files)):
            yield self._local(real)

    def _sort(
        self,
        name: str,
        path: Path,
        folder: Path,
        waiting: list[Path],
        files: list[Path],
        others: list[str],
    ) -> None:
        """Put an entry of a folder where it belongs."""
        shown = path.relative_to(folder).as_posix() if folder in path.parents else path.name
        try:
            real = path.resolve(strict=True)
            mode = real.stat().st_mode
        except (OSError, RuntimeError):
            others.append(f"{shown} (a link that leads nowhere)")
            return
        is_folder = stat.S_ISDIR(mode)
        if not is_folder and not (stat.S_ISREG(mode) and kind_of(real.name)):
            others.append(shown)
        elif not self._roots.holds(real):
            self.problems.append(self._roots.refusal(f"{name}/{shown}"))
        elif is_folder:
            waiting.append(real)
        else:
            files.append(real)

    def _in_s3(self, address: str) -> Iterator[int]:
        from prefect_llm_reports.tasks.sources.bucket import objects_of  # boto takes a second

        others: list[str] = []
        count = 0
        for one in objects_of(address, self._places, RUN_FILES + len(self.files)):
            if kind := kind_of(one.location):
                count += 1
                name = one.location.rpartition("/")[2]
                found = Found(name, one.location, kind, one.size, one.state, one.read)
                yield self._add(one.location, lambda found=found: found)
            elif one.named:
                raise BadInput(_unknown(one.location.rpartition("/")[2]))
            else:
                others.append(one.location.rpartition("/")[2])
        if others:
            shown = ", ".join(others[:_LISTED]) + (", …" if len(others) > _LISTED else "")
            self.warnings.append(
                f"source {address}: {len(others):,} of its objects left out, which are not of a"
                f" kind that is read ({_USUAL}): {shown}"
            )
        if not count:
            raise BadInput(f"no object to read ({_USUAL}); check bucket and prefix")


def too_large(location: str, size: int) -> str:
    """The problem of a file that is too large.

    Args:
        location: Where it lies.
        size: Its bytes.
    """
    return (
        f"source {location}: {size:,} bytes, a file may have {FILE_MB} MB; divide it into several"
    )


def _unknown(name: str) -> str:
    known = ", ".join(FORMATS)
    found = ending(name)
    said = f"the ending {found[:20]!r} is not one that is read" if found else "it has no ending"
    return f"{said}, wanted one of {known}; save it as one of these"
