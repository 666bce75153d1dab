"""Files that people hand over: opened within bounds, decoded, and read entry by entry.

Here: the formats with their limits, one set of rules for topics, inputs and branches files. Not
here: what an entry is made of (`topics`, `queries`, `branches_file`), how a format is parsed
(`trees`, `tables`).
"""

from __future__ import annotations

import codecs
import errno
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePath
from typing import Any, NamedTuple, cast

from prefect_llm_reports.tasks.contract.errors import BadInput, StorageError
from prefect_llm_reports.tasks.contract.locations import in_s3
from prefect_llm_reports.tasks.inputs.problems import Misplaced, seen, short
from prefect_llm_reports.tasks.inputs.tables import cells_of, csv_rows
from prefect_llm_reports.tasks.inputs.trees import Items, Pairs, json_tree, yaml_tree

LINE_END = re.compile(r"\r\n|\r|\n")
MEGABYTE = 1_000_000


class Entry(NamedTuple):
    """One entry of a file or an argument, not yet checked.

    Attributes:
        place: Where it stands, for messages: `topics.csv row 7`, `topics[3]`.
        value: A text, a tree, or `Misplaced`.
    """

    place: str
    value: Any


@dataclass(frozen=True)
class Contents:
    """What a file of entries is about.

    Attributes:
        name: The entries in the plural, which is also the key of a list of them: `topics`.
        columns: The columns that a table's first row names; none: it is a row like the others.
        without_header: The columns of a table whose first row names none.
        row: An entry's value from a row's cells; None: there is no entry in this row.
    """

    name: str
    columns: Callable[[str, list[str]], Sequence[str]]
    without_header: Sequence[str]
    row: Callable[[dict[str, str]], Any]


def read_file(name: str | None, what: str, endings: Iterable[str] = ()) -> tuple[str, bytes] | None:
    """The name and the bytes of a file that a person named, in a folder or in S3.

    Nothing is read of what is no file, or larger than its format may be.

    Args:
        name: A path, or an address in S3; None or empty: no file is named.
        what: What the file is about, for messages: `topics`.
        endings: The endings that it may have; none: all that are known.

    Raises:
        BadInput: It cannot be read, or is too large.
    """
    if not name:
        return None
    most = _format_of(name, endings).megabytes * MEGABYTE
    try:
        if in_s3(name):
            return name, _from_s3(name, what, most)
        return name, _from_disk(Path(name).expanduser(), name, most)
    except StorageError as error:
        raise BadInput(f"{what} file {name}: {error}") from None
    except OSError as error:
        raise BadInput(
            f"{what} file {name}: {error.strerror}; give the path of a readable file"
        ) from None


def _from_s3(name: str, what: str, most: int) -> bytes:
    from prefect_llm_reports.tasks.storage.s3 import open_s3  # boto takes a second to import

    folder, _, last = name.rpartition("/")
    body = open_s3(folder).read_bounded(last, most)
    if body is None:
        raise BadInput(f"{what} file {name}: no such object; check bucket and key")
    if isinstance(body, int):
        raise _too_large(name, body)
    return body


def _from_disk(path: Path, name: str, most: int) -> bytes:
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        about = os.fstat(file.fileno())
        if stat.S_ISDIR(about.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(about.st_mode):
            raise BadInput(f"{name}: a pipe or device, not a file; save it as a file and name that")
        if about.st_size > most:
            raise _too_large(name, about.st_size)
        return file.read(most + 1)


def read_tree(name: str, raw: bytes, endings: Iterable[str] = ()) -> Any:
    """Read a YAML or JSON file as a tree of what is written in it.

    Args:
        name: The file's name or address; its ending decides the format.
        raw: The file as stored.
        endings: The endings that it may have; none: all that are trees.

    Raises:
        BadInput: It cannot be read, with the line.
    """
    found = _format_of(name, endings or TREES)
    assert found.tree
    return found.tree(name, _decoded(name, raw))


def read_entries(name: str, raw: bytes, contents: Contents, most: int) -> list[Entry]:
    """Read a file entry by entry, by the ending of its name.

    Args:
        name: The file's name or address; its ending decides the format.
        raw: The file as stored: UTF-8, or UTF-16 with a byte order mark.
        contents: What it is about.
        most: Entries that are wanted; at most one more is returned.

    Raises:
        BadInput: The file as a whole cannot be read, or has no entries.
    """
    parse = _format_of(name).entries
    entries = list(islice(parse(name, _decoded(name, raw), contents), most + 1))
    if not entries:
        said = f"no {contents.name} in the file; add at least one, or leave the file out"
        raise BadInput(f"{name}: {said}")
    return entries


def _too_large(name: str, size: int) -> BadInput:
    ending = _ending(name)
    most = f"a {ending} file may have {FORMATS[ending].megabytes} MB; split it into several runs"
    return BadInput(f"{name}: the file has {size:,} bytes, {most}")


def _decoded(name: str, raw: bytes) -> str:
    if len(raw) > _format_of(name).megabytes * MEGABYTE:
        raise _too_large(name, len(raw))
    utf16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "utf-16" if utf16 else "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = len(LINE_END.findall(error.object[: error.start].decode(encoding, "replace"))) + 1
        at = len(raw) - len(error.object) + error.start
        said = (
            f"byte {at + 1} of the file (0x{raw[at]:02x}) is not {'UTF-16' if utf16 else 'UTF-8'}"
        )
        raise BadInput(f"{name} line {line}: {said}; save the file as UTF-8") from error


def _line_entries(name: str, text: str, contents: Contents) -> Iterator[Entry]:
    del contents
    for number, line in enumerate(LINE_END.split(text), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield Entry(f"{name} line {number}", line.strip())


def _csv_entries(name: str, text: str, contents: Contents) -> Iterator[Entry]:
    columns: Sequence[str] = ()
    for place, row in csv_rows(name, text):
        if not columns:
            columns = contents.columns(place, row)
            if columns:
                continue
            columns = contents.without_header
        cells = cells_of(row, columns)
        value = cells if isinstance(cells, Misplaced) else contents.row(cells)
        if value is not None:
            yield Entry(place, value)


def _yaml_entries(name: str, text: str, contents: Contents) -> Iterator[Entry]:
    tree = yaml_tree(name, text)
    return iter(()) if tree == "" else _tree_entries(name, tree, contents)


def _json_entries(name: str, text: str, contents: Contents) -> Iterator[Entry]:
    return _tree_entries(name, json_tree(name, text), contents)


def _tree_entries(name: str, tree: Any, contents: Contents) -> Iterator[Entry]:
    """The entries of a list: the tree itself, or what its one key holds."""
    what = contents.name
    if isinstance(tree, Pairs):
        keys = [str(key) for key, _ in tree]
        if keys != [what]:
            wanted = f'wanted a list, or an object with the one key "{what}"'
            found = short(", ".join(keys) or "none")
            raise BadInput(f"{name}: {wanted}, found {found!r}; write one list of {what}")
        tree = tree[0][1]
    if not isinstance(tree, list):
        raise BadInput(f"{name}: wanted a list of {what}, found {seen(tree)}; write a list")
    if isinstance(tree, Items):
        for line, value in zip(tree.lines, tree, strict=True):
            yield Entry(f"{name} line {line}", value)
    else:
        for number, value in enumerate(cast("list[Any]", tree), start=1):
            yield Entry(f"{name} item {number}", value)


@dataclass(frozen=True)
class _Format:
    """How files of one ending are read.

    Attributes:
        megabytes: Size that such a file may have.
        entries: Reads name and text entry by entry.
        tree: Reads name and text as one tree; None: there is none in such a file.
    """

    megabytes: int
    entries: Callable[[str, str, Contents], Iterator[Entry]]
    tree: Callable[[str, str], Any] | None = None


FORMATS = {
    ".txt": _Format(50, _line_entries),
    ".yaml": _Format(5, _yaml_entries, yaml_tree),
    ".yml": _Format(5, _yaml_entries, yaml_tree),
    ".json": _Format(50, _json_entries, json_tree),
    ".csv": _Format(50, _csv_entries),
}
"""The formats by ending."""
TREES = tuple(ending for ending, found in FORMATS.items() if found.tree)
"""Endings of files that hold one tree."""


def _ending(name: str) -> str:
    return PurePath(name).suffix.lower()


def _format_of(name: str, endings: Iterable[str] = ()) -> _Format:
    ending, known = _ending(name), tuple(endings) or tuple(FORMATS)
    if ending not in known:
        wanted = f"wanted {', '.join(known)}; rename the file"
        raise BadInput(f"{name}: unknown ending {short(ending)!r}, {wanted}")
    return FORMATS[ending]
