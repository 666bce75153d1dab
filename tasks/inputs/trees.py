"""YAML and JSON as trees of their values as written, and the meaning of those values.

Here: both parsers, their limits, and the values of plain words and numbers. Not here: the content
of a tree (`topics`, `queries`, `branches_file`), opening and decoding (`files`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, cast

import yaml

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.inputs.problems import Misplaced, short
from prefect_llm_reports.tasks.text.foreign import shown

MAX_ALIASES = 1_000
MAX_WRITTEN_OUT = 10_000_000
"""Characters that a YAML file may have with its aliases written out."""
MAX_DEPTH = 64
TOO_DEEP = f"nested too deeply, {MAX_DEPTH} levels are read; write it flatter"

_YAML_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_YAML = "tag:yaml.org,2002:"
_YAML_TAGS = {None, *(f"{_YAML}{kind}" for kind in ("str", "seq", "map"))}


class Pairs(tuple[tuple[Any, Any], ...]):
    """An object's keys and values as written, repeated keys included."""

    __slots__ = ()


class Items(list[Any]):
    """A list of a YAML file, with the line of each item."""

    def __init__(self, items: list[tuple[int, Any]]) -> None:
        super().__init__(value for _, value in items)
        self.lines = [line for line, _ in items]


class Plain(str):
    """A word of a YAML file without quotes: a text as written, or the value it is short for."""

    __slots__ = ()


class Numeral(Misplaced):
    """A number of a JSON file as written, `NaN` and the infinities included."""

    __slots__ = ()


def yaml_tree(name: str, text: str) -> Any:
    """Parse a YAML file into texts, `Pairs` and `Items`; an empty file is an empty text.

    No tag is obeyed. Depth, aliases and the text that they repeat are bounded before anything
    grows.

    Args:
        name: The file's name, for messages.
        text: Its content.

    Raises:
        BadInput: It cannot be read, with the line.
    """
    try:
        documents = list(_YamlDocuments(name, text))
    except yaml.YAMLError as error:
        mark: Any = getattr(error, "problem_mark", None)
        line, reason = mark.line + 1 if mark else 1, shown(str(getattr(error, "problem", error)))
        if isinstance(error, yaml.reader.ReaderError):
            code = int(error.character)
            line = 1 + text.count("\n", 0, text.find(chr(code)))
            reason = f"the character U+{code:04X} is not allowed"
        said = f"not readable as YAML ({reason}); correct it there"
        if "nesting depth" in reason:  # newer parsers have a limit of their own
            said = TOO_DEEP
        raise BadInput(f"{name} line {line}: {said}") from error
    if len(documents) > 1:
        raise BadInput(f"{name}: {len(documents)} YAML documents, wanted one; remove the --- lines")
    return documents[0] if documents else ""


def json_tree(name: str, text: str) -> Any:
    """Parse a JSON file into texts, `Pairs`, lists, `Numeral`, booleans and None.

    Args:
        name: The file's name, for messages.
        text: Its content.

    Raises:
        BadInput: It cannot be read, with line and column.
    """
    numbers: Any = dict.fromkeys(("parse_int", "parse_float", "parse_constant"), Numeral)
    try:
        return json.loads(text, object_pairs_hook=Pairs, **numbers)
    except json.JSONDecodeError as error:
        where = f"{name} line {error.lineno} column {error.colno}"
        raise BadInput(f"{where}: not readable as JSON ({error.msg}); correct it there") from error
    except RecursionError as error:
        raise BadInput(f"{name}: {TOO_DEEP}") from error


def value_of(place: str, tree: Any) -> Any:
    """A tree as the JSON value that it stands for.

    Words without quotes have the meaning that YAML gives them, but dates stay texts; `<<` merges
    objects.

    Args:
        place: Where the tree stands, for messages.
        tree: A tree, or a part of one.

    Raises:
        BadInput: A key is written twice, or JSON has no such number.
    """
    try:
        return _value(tree, 0)
    except ValueError as error:
        raise BadInput(f"{place}: {error}") from None


def _value(tree: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError(TOO_DEEP)
    match tree:
        case Plain():
            return _word(str(tree))
        case Numeral():
            return _number(tree.found)
        case Pairs():
            return _object(tree, depth)
        case list():
            return [_value(part, depth + 1) for part in cast("list[Any]", tree)]
        case _:
            return tree


def _object(pairs: Pairs, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    merged: dict[str, Any] = {}
    for key, part in pairs:
        if isinstance(key, Plain) and key == "<<":
            others = cast("list[Any]", part if isinstance(part, list) else [part])
            for other in others:
                if not isinstance(other, Pairs):
                    raise ValueError("<< merges objects only; give it the alias of an object")
                merged = {**_object(other, depth + 1), **merged}
        elif not isinstance(key, str):
            raise ValueError("a key is a list or an object; write it as a text")
        elif key in found:
            raise ValueError(f"the key {short(key)!r} is written twice; keep one of the two")
        else:
            found[str(key)] = _value(part, depth + 1)
    return {**merged, **found}


def _number(written: str) -> int | float:
    try:
        value = float(written) if set(written) & set(".eENI") else int(written)
    except ValueError:
        raise ValueError(f"{short(written)} has too many digits; shorten it") from None
    if not math.isfinite(value):
        raise ValueError(f"{short(written)} is not a JSON number; write it as a text")
    return value


class _Words(yaml.constructor.SafeConstructor, yaml.resolver.Resolver):
    """Gives the value that an unquoted word has in YAML."""

    def __init__(self) -> None:
        yaml.constructor.SafeConstructor.__init__(self)
        yaml.resolver.Resolver.__init__(self)


_WORDS: Any = _Words()


@lru_cache(maxsize=4096)
def _word(written: str) -> Any:
    tag = _WORDS.resolve(yaml.ScalarNode, written, (True, False)).removeprefix(_YAML)
    if tag not in ("null", "bool", "int", "float"):
        return written
    try:
        value = getattr(_WORDS, f"construct_yaml_{tag}")(yaml.ScalarNode(_YAML + tag, written))
    except ValueError:
        raise ValueError(f"{short(written)} is not readable; put it in quotes") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{short(written)} is not a JSON number; put it in quotes")
    return value


class _YamlDocuments:
    """A YAML file's documents, built from the parser's events so that nothing is expanded."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._events: Iterator[Any] = cast("Any", yaml).parse(text, Loader=_YAML_LOADER)
        self._anchored: dict[str, tuple[Any, int]] = {}
        self._aliases = 0
        self._size = 0

    def __iter__(self) -> Iterator[Any]:
        for event in self._events:
            if isinstance(event, yaml.NodeEvent):
                yield self._node(event)

    def _node(self, event: Any, depth: int = 0) -> Any:
        if isinstance(event, yaml.AliasEvent):
            return self._repeated(event)
        if event.tag not in _YAML_TAGS:
            said = f"the tag {short(event.tag)!r} is not accepted, only texts, lists and objects"
            raise self._refused(event, f"{said}; remove it")
        before = self._size
        self._anchored.pop(event.anchor, None)  # an alias inside has no value yet
        if isinstance(event, yaml.ScalarEvent):
            self._size += len(event.value) + 1
            found = Plain(event.value) if event.implicit[0] else event.value
        else:
            found = self._collection(event, depth)
        if event.anchor:
            self._anchored[event.anchor] = found, self._size - before
        return found

    def _collection(self, event: Any, depth: int) -> Any:
        if depth == MAX_DEPTH:
            raise self._refused(event, TOO_DEEP)
        self._size += 1
        items: list[tuple[int, Any]] = []
        while not isinstance(inner := next(self._events), yaml.CollectionEndEvent):
            items.append((inner.start_mark.line + 1, self._node(inner, depth + 1)))
        if isinstance(event, yaml.SequenceStartEvent):
            return Items(items)
        values = [value for _, value in items]
        return Pairs(zip(values[::2], values[1::2], strict=True))

    def _repeated(self, event: Any) -> Any:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise self._refused(event, f"more than {MAX_ALIASES:,} aliases; write the texts out")
        if event.anchor not in self._anchored:
            said = f"the alias *{short(event.anchor)} does not stand for an earlier text or object"
            raise self._refused(event, f"{said}; write it out")
        found, size = self._anchored[event.anchor]
        self._size += size
        if self._size > MAX_WRITTEN_OUT:
            most = f"more than {MAX_WRITTEN_OUT:,} characters with aliases written out"
            raise self._refused(event, f"{most}; use fewer of them")
        return found

    def _refused(self, event: Any, said: str) -> BadInput:
        return BadInput(f"{self._name} line {event.start_mark.line + 1}: {said}")
