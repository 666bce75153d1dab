"""Files that people hand over: opened within bounds, and read entry by entry.

Here: the formats with their limits, one set of rules for topics, inputs and branches files. Not
here: the parts of an entry (`topics`, `queries`, `branches_file`), encodings (`decoding`), the
parsers of formats (`trees`, `tables`, `workbooks`).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path, PurePath
from typing import Any, NamedTuple, cast

from prefect_llm_reports.tasks.contract.errors import BadInput, StorageError
from prefect_llm_reports.tasks.contract.locations import checked_location, in_s3
from prefect_llm_reports.tasks.inputs.decoding import LINE_END, decoded
from prefect_llm_reports.tasks.inputs.headers import names_columns, plain_name
from prefect_llm_reports.tasks.inputs.problems import Misplaced, seen, short
from prefect_llm_reports.tasks.inputs.tables import (
    DELIMITERS,
    LOOKED_AT,
    Row,
    cells_of,
    csv_rows,
    unused_at_end,
)
from prefect_llm_reports.tasks.inputs.trees import Items, Pairs, json_tree, yaml_tree
from prefect_llm_reports.tasks.inputs.workbooks import workbook_rows

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
    """The kind of entries that a file holds.

    Attributes:
        name: The entries in the plural, which is also the key of a list of them: `topics`.
        columns: The columns that a table's first row names; none: it is a row like the others.
        without_header: The columns of a table whose first row names none.
        row: An entry's value from a row's cells; None: there is no entry in this row.
        known: Plain names that make a row a header, by which a table's delimiter is found.
        renamed: This file's names of columns and keys, by the names that we know.
    """

    name: str
    columns: Callable[[str, list[str]], Sequence[str]]
    without_header: Sequence[str]
    row: Callable[[dict[str, str]], Any]
    known: Collection[str] = ()
    renamed: Mapping[str, str] = field(default_factory=dict[str, str])


def read_file(name: str | None, what: str, endings: Iterable[str] = ()) -> tuple[str, bytes] | None:
    """The name and the bytes of a file that a person named, in a folder or in S3.

    A pipe, a device or a file that is too large for its format is not read.

    Args:
        name: A path, or an address in S3; None or empty: no file is named.
        what: The subject of the file, for messages: `topics`.
        endings: The endings that it may have; none: all that are known.

    Raises:
        BadInput: It cannot be read, or is too large.
    """
    if not name:
        return None
    try:
        checked_location(name)
    except BadInput as bad:
        raise BadInput(*(f"{what} file {problem}" for problem in bad.problems)) from None
    most = _format_of(name, endings).megabytes * MEGABYTE
    try:
        if in_s3(name):
            return name, _from_s3(name, what, most)
        return name, _from_disk(Path(name).expanduser(), name, most)
    except StorageError as error:
        raise BadInput(f"{what} file {name}: {error}") from None
    except OSError as error:
        looked = "" if Path(name).expanduser().is_absolute() else f" in {Path.cwd()}"
        raise BadInput(
            f"{what} file {name}: {error.strerror}{looked}; give the path of a readable file"
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
    """Read a YAML or JSON file as a tree of its values as written.

    Args:
        name: The file's name or address; its ending decides the format.
        raw: The file as stored.
        endings: The endings that it may have; none: all that are trees.

    Raises:
        BadInput: It cannot be read, with the line.
    """
    found = _format_of(name, endings or TREES)
    assert found.tree
    return found.tree(name, decoded(name, _bounded(name, raw)))


def read_entries(name: str, raw: bytes, contents: Contents, most: int) -> list[Entry]:
    """Read a file entry by entry, by the ending of its name.

    Args:
        name: The file's name or address; its ending decides the format.
        raw: The file as stored; texts are in UTF-8 or UTF-16.
        contents: The kind of its entries.
        most: Entries that are wanted; at most one more is returned.

    Raises:
        BadInput: The file as a whole cannot be read, or has no entries.
    """
    parse = _format_of(name).entries
    entries = list(islice(parse(name, _bounded(name, raw), contents), most + 1))
    if not entries:
        said = f"no {contents.name} in the file; add at least one, or leave the file out"
        raise BadInput(f"{name}: {said}")
    return entries


def _too_large(name: str, size: int) -> BadInput:
    ending = _ending(name)
    most = f"a {ending} file may have {FORMATS[ending].megabytes} MB; split it into several runs"
    return BadInput(f"{name}: the file has {size:,} bytes, {most}")


def _bounded(name: str, raw: bytes) -> bytes:
    if len(raw) > _format_of(name).megabytes * MEGABYTE:
        raise _too_large(name, len(raw))
    return raw


def _line_entries(name: str, raw: bytes, contents: Contents) -> Iterator[Entry]:
    begun = False
    for number, line in enumerate(LINE_END.split(decoded(name, raw).rstrip("\x1a")), start=1):
        said = line.strip()
        if not said or said.startswith("#"):
            continue
        if contents.known and not begun:
            _refuse_table(f"{name} line {number}", said)
        begun = True
        yield Entry(f"{name} line {number}", said)


def _refuse_table(place: str, line: str) -> None:
    """Refuse a text file that begins like a table: its rows would be taken for texts."""
    header = any(names_columns(line.split(delimiter)) for delimiter in DELIMITERS)
    if header or "\t" in line:
        seen_as = "reads like the header of a table" if header else "has a tab, as a table has"
        said = f"{short(line)!r} {seen_as}; rename the file to .csv, or write one text a line"
        raise BadInput(f"{place}: {said}")


def _csv_entries(name: str, raw: bytes, contents: Contents) -> Iterator[Entry]:
    def names_title(row: Sequence[str]) -> bool:
        return any(plain_name(cell) in contents.known for cell in row)

    return _table_entries(csv_rows(name, decoded(name, raw), names_title), contents)


def _workbook_entries(name: str, raw: bytes, contents: Contents) -> Iterator[Entry]:
    return _table_entries(workbook_rows(name, raw), contents)


def _table_entries(rows: Iterator[Row], contents: Contents) -> Iterator[Entry]:
    first = list(islice(rows, LOOKED_AT))
    if not first:
        return
    place, row = first[0]
    used = len(row) - unused_at_end([row for _, row in first])
    columns = contents.columns(place, row[:used])
    header = row if columns else None
    columns = columns or contents.without_header
    for place, row in chain(first[1:] if header else first, rows):
        if header and row == header:
            raise BadInput(f"{place}: repeats the header; remove the row")
        cells = cells_of(row, columns)
        value = cells if isinstance(cells, Misplaced) else contents.row(cells)
        if value is not None:
            yield Entry(place, value)


def _yaml_entries(name: str, raw: bytes, contents: Contents) -> Iterator[Entry]:
    tree = yaml_tree(name, decoded(name, raw))
    return iter(()) if tree == "" else _tree_entries(name, tree, contents)


def _json_entries(name: str, raw: bytes, contents: Contents) -> Iterator[Entry]:
    return _tree_entries(name, json_tree(name, decoded(name, raw)), contents)


def _tree_entries(name: str, tree: Any, contents: Contents) -> Iterator[Entry]:
    """The entries of a list: the tree itself, or the value of its one key."""
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
            yield Entry(f"{name} line {line}", _renamed(value, contents))
    else:
        for number, value in enumerate(cast("list[Any]", tree), start=1):
            yield Entry(f"{name} item {number}", _renamed(value, contents))


def _renamed(value: Any, contents: Contents) -> Any:
    """Rename the keys that a person named otherwise to the keys that we know."""
    if not contents.renamed or not isinstance(value, Pairs):
        return value
    known = {theirs: ours for ours, theirs in contents.renamed.items()}
    return Pairs((known.get(plain_name(str(key)), key), part) for key, part in value)


@dataclass(frozen=True)
class _Format:
    """How files of one ending are read.

    Attributes:
        megabytes: Size that such a file may have.
        entries: Reads name and bytes entry by entry.
        tree: Reads name and text as one tree; None: there is none in such a file.
    """

    megabytes: int
    entries: Callable[[str, bytes, Contents], Iterator[Entry]]
    tree: Callable[[str, str], Any] | None = None


FORMATS = {
    ".txt": _Format(50, _line_entries),
    ".yaml": _Format(5, _yaml_entries, yaml_tree),
    ".yml": _Format(5, _yaml_entries, yaml_tree),
    ".json": _Format(50, _json_entries, json_tree),
    ".csv": _Format(50, _csv_entries),
    ".tsv": _Format(50, _csv_entries),
    ".xlsx": _Format(50, _workbook_entries),
}
"""The formats by ending."""
TREES = tuple(ending for ending, found in FORMATS.items() if found.tree)
"""Endings of files that hold one tree."""
SPREADSHEETS = (".tsv", ".xlsx")
"""Endings that only spreadsheets use."""


def _ending(name: str) -> str:
    return PurePath(name).suffix.lower()


def _format_of(name: str, endings: Iterable[str] = ()) -> _Format:
    ending, known = _ending(name), tuple(endings) or tuple(FORMATS)
    if ending not in known:
        usual = [name for name in known if name not in SPREADSHEETS]
        wanted = f"wanted {', '.join(usual)}; rename the file"
        if not endings:
            wanted += f", or save a table as {' or '.join(SPREADSHEETS)}"
        raise BadInput(f"{name}: unknown ending {short(ending)!r}, {wanted}")
    return FORMATS[ending]
