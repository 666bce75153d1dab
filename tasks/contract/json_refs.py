"""JSON Schemas without references: what `$ref` names stands where it is used.

Prefect takes an object with the key `$ref` in a flow's parameters for a saved block, so a form must
not hold one. Not here: which schemas models understand (`llm.strict_schemas`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

DEFINITIONS = ("$defs", "definitions")
UNUSABLE = "$unusable"


def without_refs(schema: Any) -> Any:
    """A schema in which every local reference is replaced by what it refers to.

    Args:
        schema: A JSON Schema; every value without a reference is returned as it is.

    Raises:
        ValueError: A reference leads out of the schema, to nothing, or to itself.
    """
    if isinstance(schema, Mapping) and (why := cast("Mapping[str, Any]", schema).get(UNUSABLE)):
        raise ValueError(why)
    return _replaced(schema, schema, ()) if _has_refs(schema) else cast("Any", schema)


def unusable(error: ValueError) -> dict[str, str]:
    """What stands for a schema that cannot be used, until its check says why.

    Args:
        error: What is wrong with it.
    """
    return {UNUSABLE: str(error)}


def _has_refs(node: Any) -> bool:
    if isinstance(node, Mapping):
        known = cast("Mapping[str, Any]", node)
        return isinstance(known.get("$ref"), str) or any(map(_has_refs, known.values()))
    return isinstance(node, list | tuple) and any(map(_has_refs, cast("list[Any]", node)))


def _replaced(node: Any, root: Any, within: tuple[str, ...]) -> Any:
    if isinstance(node, list | tuple):
        return [_replaced(part, root, within) for part in cast("list[Any]", node)]
    if not isinstance(node, Mapping):
        return node
    known = cast("Mapping[str, Any]", node)
    rest = {
        name: _replaced(part, root, within)
        for name, part in known.items()
        if name != "$ref" and not (node is root and name in DEFINITIONS)
    }
    ref = known.get("$ref")
    if not isinstance(ref, str):
        return rest if ref is None else {**rest, "$ref": ref}
    if ref in within:
        raise ValueError(
            f"the form refers to itself ({ref}); write out as many levels as an answer may have"
        )
    found: Any = _replaced(_found(ref, root), root, (*within, ref))
    return {**cast("dict[str, Any]", found), **rest} if isinstance(found, dict) else found


def _found(ref: str, root: Any) -> Any:
    at = root
    for step in ref.split("/")[1:] if ref.startswith("#/") else [None]:
        name = (step or "").replace("~1", "/").replace("~0", "~")
        if not isinstance(at, Mapping) or name not in at:
            raise ValueError(
                f"the form refers to {ref}, which it does not hold; add it under $defs, or write it"
                " out"
            )
        at = cast("Mapping[str, Any]", at)[name]
    return at
