"""JSON Schemas in the strict form that endpoints take for structured output.

Not here: reading such schemas (`llm.schema_fields`), answers (`llm.answer_forms`).
"""

from __future__ import annotations

import json
from typing import Any, cast
from urllib.parse import unquote

from prefect_llm_reports.tasks.contract.errors import BadInput

Json = dict[str, Any]

_IN_WORDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "pattern": "matching the pattern {}",
    "format": "in the format {}",
}
"""Bounds that some endpoints reject in a strict schema: moved into the field's description."""
_DROPPED = frozenset(
    {"title", "default", "examples", "discriminator", "readOnly", "writeOnly", "deprecated"}
    | {"$schema", "$id", "$comment", "uniqueItems", "unevaluatedProperties", *_IN_WORDS}
)
_INEXPRESSIBLE = {
    "patternProperties": "keys by pattern",
    "propertyNames": "rules for keys",
    "dependentRequired": "fields that depend on others",
    "dependentSchemas": "fields that depend on others",
    "prefixItems": "a tuple; use an object with a field for each position, or a list",
    "contains": "a rule for some items",
    "not": "an exclusion",
    "if": "a condition",
    "minProperties": "a number of keys",
    "maxProperties": "a number of keys",
}
_KINDS = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})


def strict_schema(declared: Json, *, bounds: bool = False) -> Json:
    """Convert a JSON Schema for strict structured output.

    Every field is required and no other is allowed. Bounds, which some endpoints reject, move into
    the field's description; they are enforced when the answer is read.

    Args:
        declared: The schema.
        bounds: Keep the bounds where they stand, too.

    Raises:
        BadInput: A strict schema cannot express it; the message names every place.
    """
    made = _Strict(declared, _DROPPED - _IN_WORDS.keys() if bounds else _DROPPED)
    root = made.node({**declared, **made.target(declared)}, "")
    if root.get("type") != "object":
        made.problems.append("the root is not an object; put the value into a field of one")
    if made.problems:
        raise BadInput(*made.problems)
    for name in ("$defs", "definitions"):
        if root.get(name) and f'"#/{name}/' not in json.dumps(root):
            del root[name]
    root.pop("description", None)
    return root


MOST_NUMBERS = 100
"""Whole numbers between two bounds that are listed instead."""


def with_enums(schema: Json) -> Json:
    """A strict schema without bounds, in which whole numbers of a small range are listed."""

    def node(found: Any) -> Any:
        if isinstance(found, list):
            return [node(part) for part in cast("list[Any]", found)]
        if not isinstance(found, dict):
            return found
        given = cast("Json", found)
        made: Json = {}
        for word, value in given.items():
            if word in ("properties", "$defs", "definitions"):
                made[word] = {name: node(part) for name, part in value.items()}
            elif word not in _IN_WORDS:
                made[word] = node(value) if word in ("items", "anyOf") else value
        low: Any = given.get("minimum")
        high: Any = given.get("maximum")
        whole = given.get("type") == "integer" and isinstance(low, int) and isinstance(high, int)
        if whole and 0 <= high - low < MOST_NUMBERS and "enum" not in made:
            made["enum"] = [*range(low, high + 1)]
        return made

    return cast("Json", node(schema))


class _Strict:
    """One conversion; `problems` collects the parts that a strict schema cannot express."""

    def __init__(self, root: Json, dropped: frozenset[str]) -> None:
        self.root = root
        self._dropped = dropped
        self.problems: list[str] = []
        self._inlined: list[str] = []

    def target(self, node: Json) -> Json:
        """The target of a node's reference; empty without one."""
        if not isinstance(ref := node.get("$ref"), str):
            return {}
        found: Any = self.root
        try:
            if not ref.startswith("#"):
                raise KeyError(ref)
            for step in ref[1:].split("/")[1:]:
                found = found[unquote(step).replace("~1", "/").replace("~0", "~")]
        except (KeyError, TypeError):
            self.problems.append(f"the reference {ref[:80]!r} leads nowhere in the schema")
            return {"type": "null"}
        return cast("Json", found) if isinstance(found, dict) else {"type": "null"}

    def node(self, node: Any, path: str) -> Json:
        """A schema node in its strict form."""
        if not isinstance(node, dict):
            self._cannot(path, "anything goes there; give it a type")
            return {}
        node = cast("Json", node)
        rest = {k: v for k, v in node.items() if k not in self._dropped and k != "$ref"}
        if isinstance(ref := node.get("$ref"), str) and path:
            target = self.target(node)
            if not rest or ref in self._inlined:
                return {"$ref": ref}
            self._inlined.append(ref)  # a reference takes nothing beside it
            try:
                return self.node({**target, **rest}, path)
            finally:
                self._inlined.pop()
        if isinstance(parts := node.get("allOf"), list):
            if len(cast("list[Any]", parts)) > 1:
                self._cannot(path, "allOf of several schemas; write them as one")
                return {}
            return self.node({**{k: v for k, v in node.items() if k != "allOf"}, **parts[0]}, path)
        for word in _INEXPRESSIBLE.keys() & node.keys():
            self._cannot(path, f"{word}: {_INEXPRESSIBLE[word]}")
        return self._described(self._shape(node, path), node)

    def _shape(self, node: Json, path: str) -> Json:
        found: Json = {}
        for word, value in node.items():
            if word in self._dropped or word in ("additionalProperties", "$ref", "required"):
                continue
            if word in ("properties", "$defs", "definitions"):
                inside = path if word == "properties" else f"{word}:"
                found[word] = {k: self.node(v, f"{inside}.{k}") for k, v in value.items()}
            elif word in ("anyOf", "oneOf"):
                found["anyOf"] = [self.node(option, path or "|") for option in value]
            elif word == "items":
                found[word] = self.node(value, f"{path}[]")
            else:
                found[word] = value
        if "const" in found and "type" not in found:
            found["enum"] = [found.pop("const")]
        kinds: Any = found.get("type")
        kinds = cast("list[Any]", kinds) if isinstance(kinds, list) else [kinds]
        if not {"type", "anyOf", "enum"} & found.keys() or not _KINDS.issuperset(
            kind for kind in kinds if kind is not None
        ):
            self._cannot(path, "anything goes there; give it a type")
        if "array" in kinds and "items" not in found:
            self._cannot(path, "a list of anything; say what its items are")
        if "object" in kinds:
            self._object(found, node, path)
        return found

    def _object(self, found: Json, node: Json, path: str) -> None:
        free: Any = node.get("additionalProperties", "properties" not in node)
        if isinstance(free, dict) or (free and not node.get("properties")):
            self._cannot(path, "a dictionary with free keys; use a list of entries with a key each")
        found.setdefault("properties", {})
        found["required"] = list(found["properties"])
        found["additionalProperties"] = False

    def _described(self, found: Json, node: Json) -> Json:
        bounds = [said.format(node[word]) for word, said in _IN_WORDS.items() if word in node]
        if node.get("uniqueItems"):
            bounds.append("no item twice")
        if bounds:
            told = ", ".join(bounds)
            before = str(found.get("description", "")).rstrip()
            found["description"] = f"{before} ({told})".lstrip()
        return found

    def _cannot(self, path: str, problem: str) -> None:
        self.problems.append(f"{path.lstrip('.') or 'the root'}: {problem}")


def resolved(schema: Json, node: Json) -> Json:
    """A node with its reference followed."""
    for _ in range(20):
        if "$ref" not in node:
            break
        node = _Strict(schema, _DROPPED).target(node)
    return node
