"""Plain values in files: inputs of branches and programs of branches, as YAML, JSON, CSV or text.

Values are those of JSON. YAML is read safely: no tag is obeyed, and size and aliases are bounded.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any, cast

import yaml

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.text.foreign import shown, strict_json

MAX_BYTES = 50_000_000
MAX_YAML_BYTES = 2_000_000
MAX_YAML_ALIASES = 100

_SAFE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _NoDates(_SAFE):
    """Reads what JSON can hold: a date stays the text that it was written as."""


_NoDates.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if not tag.endswith(":timestamp")]
    for first, found in cast(
        "dict[str, list[tuple[str, Any]]]", _SAFE.yaml_implicit_resolvers
    ).items()
}


def read_value(name: str, raw: bytes) -> Any:
    """Read a YAML or JSON file.

    Args:
        name: The file's name; its ending decides the format.
        raw: The file as stored, UTF-8.

    Raises:
        BadInput: It cannot be read; the message says where.
    """
    ending = PurePath(name).suffix.lower()
    if ending not in (".yaml", ".yml", ".json"):
        raise BadInput(f"{name}: unknown ending {ending!r}, wanted .yaml or .json; rename the file")
    text = _text(name, raw)
    return _json(name, text) if ending == ".json" else _yaml(name, text)


def read_program(name: str) -> dict[str, Any]:
    """Read a file that describes a program of branches.

    Args:
        name: A path. The file holds a list of branches, or an object with `branches` and, if
            wanted, `merge`, `model` and `options`.

    Raises:
        BadInput: It cannot be read, or holds something else.
    """
    try:
        raw = Path(name).expanduser().read_bytes()
    except OSError as error:
        raise BadInput(f"branches file {name}: {error.strerror}; give a readable file") from None
    found = read_value(name, raw)
    if isinstance(found, list):
        return {"branches": found}
    known = ("branches", "merge", "model", "options")
    whole = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    if not isinstance(whole.get("branches"), list):
        raise BadInput(f"{name}: wanted a list of branches, or an object with the list `branches`")
    if unknown := whole.keys() - set(known):
        raise BadInput(f"{name}: unknown key {min(unknown)!r}; known are {', '.join(known)}")
    return whole


def read_list(name: str, raw: bytes) -> list[tuple[str, Any]]:
    """Read a file of inputs: each with its place in the file, for messages.

    A .txt file holds one text a line; .yaml and .json a list of texts or objects; .csv an object
    for each row, by the names in the first one, or texts where there is one column.

    Raises:
        BadInput: It cannot be read, or holds something else than a list.
    """
    ending = PurePath(name).suffix.lower()
    if ending in (".txt", ".csv"):
        read: Callable[[str, str], list[tuple[str, Any]]] = _lines if ending == ".txt" else _rows
        return read(name, _text(name, raw))
    found = read_value(name, raw)
    if not isinstance(found, list):
        raise BadInput(f"{name}: wanted a list of inputs; begin each with a dash, or use [ ]")
    numbered = enumerate(cast("list[Any]", found), start=1)
    return [(f"{name} item {number}", value) for number, value in numbered]


def _text(name: str, raw: bytes) -> str:
    most = MAX_YAML_BYTES if PurePath(name).suffix.lower() in (".yaml", ".yml") else MAX_BYTES
    if len(raw) > most:
        raise BadInput(f"{name}: {len(raw):,} bytes, at most {most:,} are read; split the file")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{name}: byte {error.start + 1} is not UTF-8; save it as UTF-8") from None


def _json(name: str, text: str) -> Any:
    try:
        return strict_json(text)
    except json.JSONDecodeError as error:
        where = f"{name} line {error.lineno} column {error.colno}"
        raise BadInput(f"{where}: not readable as JSON ({error.msg}); correct it there") from None
    except ValueError as error:
        raise BadInput(f"{name}: {shown(str(error))}; correct it") from None


def _yaml(name: str, text: str) -> Any:
    try:
        events = cast("Any", yaml).parse(text, Loader=_NoDates)
        aliases = sum(isinstance(event, yaml.AliasEvent) for event in events)
        if aliases > MAX_YAML_ALIASES:
            raise BadInput(f"{name}: {aliases} aliases, at most {MAX_YAML_ALIASES}; write it out")
        found = yaml.load(text, Loader=_NoDates)  # noqa: S506 - a safe loader
        return json.loads(json.dumps(found))
    except yaml.YAMLError as error:
        mark: Any = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        reason = shown(str(getattr(error, "problem", error)))
        raise BadInput(f"{name} line {line}: not readable as YAML ({reason}); correct it") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInput(
            f"{name}: holds what JSON cannot ({shown(str(error))}); correct it"
        ) from None


def _lines(name: str, text: str) -> list[tuple[str, Any]]:
    return [
        (f"{name} line {number}", line.strip())
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]


def _rows(name: str, text: str) -> list[tuple[str, Any]]:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    found: list[tuple[str, Any]] = []
    try:
        columns = [column.strip() for column in next(rows, list[str]())]
        if not columns or not all(columns) or len(set(columns)) < len(columns):
            raise BadInput(f"{name} row 1: wanted distinct names of columns; write them there")
        for number, row in enumerate(rows, start=2):
            if not any(cell.strip() for cell in row):
                continue
            place = f"{name} row {number}"
            if len(row) != len(columns):
                raise BadInput(f"{place}: {len(row)} cells for {len(columns)} columns; correct it")
            whole = dict(zip(columns, row, strict=True))
            found.append((place, row[0] if len(columns) == 1 else whole))
    except csv.Error as error:
        raise BadInput(f"{name}: not readable as CSV ({error}); close every quote") from None
    return found
