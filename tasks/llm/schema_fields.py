"""The fields of strict schemas: listed for people, found by a path, compared with each other.

Not here: making a schema strict (`llm.strict_schemas`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from prefect_llm_reports.tasks.llm.strict_schemas import Json, resolved


class Field(NamedTuple):
    """One field of a schema, for people.

    Attributes:
        name: Its name.
        kind: Its type in words: `text`, `list of integer`, `text or nothing`.
        description: The schema's description of it.
        depth: 0 for a field of the root, 1 for a field of that, and so on.
    """

    name: str
    kind: str
    description: str
    depth: int


_WORDS = {"string": "text", "null": "nothing", "boolean": "yes or no", "array": "list"}


def outline(schema: Json) -> list[Field]:
    """A strict schema's fields in order, each before its own fields; recursion is followed once."""

    def fields(node: Json, depth: int, seen: tuple[int, ...]) -> Iterator[Field]:
        for name, given in cast("Json", node.get("properties", {})).items():
            part = resolved(schema, given)
            said = str(given.get("description") or part.get("description") or "")
            yield Field(name, kind_of(schema, given), said, depth)
            for inner in _objects_in(schema, part):
                if id(inner) not in seen:
                    yield from fields(inner, depth + 1, (*seen, id(inner)))

    return list(fields(schema, 0, (id(schema),)))


def _objects_in(schema: Json, node: Json) -> Iterator[Json]:
    """The objects in a value of this schema: directly, in a list, or in a choice."""
    node = resolved(schema, node)
    if node.get("properties"):
        yield node
    elif "items" in node:
        yield from _objects_in(schema, node["items"])
    for option in node.get("anyOf", ()):
        yield from _objects_in(schema, option)


def kind_of(schema: Json, node: Json) -> str:
    """A node's type in words."""
    named = str(node.get("$ref", "")).rpartition("/")[2]
    node = resolved(schema, node)
    if "const" in node:
        return json.dumps(node["const"], ensure_ascii=False)
    if "enum" in node:
        return "one of " + ", ".join(str(value) for value in node["enum"])
    if "anyOf" in node:
        return " or ".join(kind_of(schema, option) for option in node["anyOf"])
    kinds: Any = node.get("type")
    if isinstance(kinds, list):
        return " or ".join(_WORDS.get(kind, kind) for kind in cast("list[str]", kinds))
    if kinds == "array":
        return f"list of {kind_of(schema, node.get('items', {}))}"
    return named if kinds == "object" and named else _WORDS.get(kinds, str(kinds))


def at_path(schema: Json, path: list[str]) -> Json | None:
    """Find the node of a field by its path from the root; None: there is no such field."""
    node = schema
    for name in path:
        properties: Json = resolved(schema, node).get("properties", {})
        if name not in properties:
            return None
        node = properties[name]
    return node


def misfits(source: Json, given: Json, wanted_root: Json, wanted: Json, at: str = "") -> list[str]:
    """List the reasons why values of one schema may not fit another; empty: all fit.

    Args:
        source: Root of the values' schema.
        given: The values' node in it.
        wanted_root: Root of the schema that they must fit.
        wanted: The node in it that they must fit.
        at: Path of this node, for the messages.
    """
    return _misfits(source, given, wanted_root, wanted, at, frozenset())


def _misfits(
    source: Json, given: Json, root: Json, wanted: Json, at: str, seen: frozenset[tuple[int, int]]
) -> list[str]:
    given, wanted = resolved(source, given), resolved(root, wanted)
    pair = (id(given), id(wanted))
    if pair in seen:
        return []
    seen |= {pair}

    def fits(one: Json, other: Json) -> list[str]:
        return _misfits(source, one, root, other, at, seen)

    if "anyOf" in given:
        return [problem for option in given["anyOf"] for problem in fits(option, wanted)][:1]
    if "anyOf" in wanted:
        tried = [fits(given, option) for option in wanted["anyOf"]]
        return [] if any(not found for found in tried) else tried[0]
    here, there = _values(given), _values(wanted)
    if there is not None:
        if here is not None and all(value in there for value in here):
            return []
        return [f"{at or 'the value'} is {kind_of(source, given)}, wanted {kind_of(root, wanted)}"]
    given_kinds, wanted_kinds = _kinds(given), _kinds(wanted)
    if "number" in wanted_kinds:
        wanted_kinds = wanted_kinds | {"integer"}
    if not given_kinds <= wanted_kinds:
        return [f"{at or 'the value'} is {kind_of(source, given)}, wanted {kind_of(root, wanted)}"]
    if "array" in given_kinds:
        inside = f"{at}[]"
        return _misfits(source, given.get("items", {}), root, wanted.get("items", {}), inside, seen)
    found: list[str] = []
    if "object" in given_kinds:
        has: Json = given.get("properties", {})
        for name, part in cast("Json", wanted.get("properties", {})).items():
            inside = f"{at}.{name}".lstrip(".")
            if name in has:
                found += _misfits(source, has[name], root, part, inside, seen)
            elif name in wanted.get("required", ()):
                found.append(f"{inside} is missing")
    return found


def _values(node: Json) -> list[Any] | None:
    return [node["const"]] if "const" in node else node.get("enum")


def _kinds(node: Json) -> frozenset[str]:
    if (values := _values(node)) is not None:
        return frozenset(_kind_of_value(value) for value in values)
    kinds: Any = node.get("type")
    return frozenset(cast("list[str]", kinds) if isinstance(kinds, list) else [kinds])


def _kind_of_value(value: Any) -> str:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    return kinds.get(cast("type[Any]", type(value)), "object")
