"""Answers of the embedded engine to any JSON Schema: valid, deterministic and not researched.

Here: objects, arrays, choices, limits; numbers follow from a hash. Not here: requests, reports.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote

from prefect_llm_reports.tasks.offline.phrases import number, one_line, words

Json = dict[str, Any]

_SPARSE_DEPTH, _DEEPEST = 6, 12


def mapping(value: Any) -> Json:
    """The value if it is a JSON object, else an empty one."""
    return cast(Json, value) if isinstance(value, dict) else {}


@dataclass(frozen=True)
class Form:
    """Fills in a JSON Schema: every field valid; every text quotes the query and names us."""

    schema: Json
    query: str
    seed: str

    def filled(self) -> Any:
        """An object, unless the schema asks for something else."""
        return self._fill(self.schema, "answer", "", 0)

    def _fill(self, schema: Any, name: str, path: str, depth: int) -> Any:
        field = self._resolved(mapping(schema))
        if depth > _DEEPEST:
            return None
        choice = number(f"{self.seed}\0{path}")
        if values := [field["const"]] if "const" in field else field.get("enum"):
            return values[choice % len(values)]
        if either := next((key for key in ("anyOf", "oneOf") if field.get(key)), None):
            options = [self._resolved(mapping(option)) for option in field.pop(either)]
            if depth > _SPARSE_DEPTH:
                options.sort(key=lambda o: (o.get("type") != "null", len(json.dumps(o))))
            else:
                options.sort(key=lambda o: o.get("type") == "null")
            return self._fill({**field, "allOf": options[:1]}, name, path, depth + 1)
        kinds: Any = field.get("type", "object" if "properties" in field or not path else "string")
        if isinstance(kinds, list):
            kinds = next((kind for kind in cast(list[str], kinds) if kind != "null"), "null")
        match kinds:
            case "object":
                return self._object(field, path, depth)
            case "array":
                return self._array(field, name, path, depth)
            case "integer" | "number":
                return _figure(field, choice, whole=kinds == "integer")
            case "boolean":
                return choice % 2 == 0
            case "null":
                return None
            case _:
                return self._string(field, name)

    def _resolved(self, schema: Json, depth: int = 0) -> Json:
        """A copy of the schema with references followed and `allOf` merged in."""
        merged = dict(schema)
        for _ in range(_DEEPEST):
            if not isinstance(reference := merged.pop("$ref", None), str):
                break
            found: Any = self.schema
            for step in reference.removeprefix("#").split("/")[1:]:
                found = mapping(found).get(unquote(step).replace("~1", "/").replace("~0", "~"))
            merged = {**mapping(found), **merged}
        for option in merged.pop("allOf", ()) if depth < _DEEPEST else ():
            part = self._resolved(mapping(option), depth + 1)
            properties = {**mapping(merged.get("properties")), **mapping(part.get("properties"))}
            required = [*merged.get("required", ()), *part.get("required", ())]
            merged |= part
            if properties:
                merged |= {"properties": properties, "required": required}
        return merged

    def _object(self, field: Json, path: str, depth: int) -> Json:
        properties = mapping(field.get("properties"))
        wanted = [*(properties if depth <= _SPARSE_DEPTH else ()), *field.get("required", ())]
        filled = {k: self._fill(properties.get(k), k, f"{path}/{k}", depth + 1) for k in wanted}
        for i in range(len(filled), field.get("minProperties", 0)):
            name = f"item_{i + 1}"
            more = field.get("additionalProperties")
            filled[name] = self._fill(more, name, f"{path}/{name}", depth + 1)
        return filled

    def _array(self, field: Json, name: str, path: str, depth: int) -> list[Any]:
        fixed = cast(list[Any], field.get("prefixItems", []))
        items = [self._fill(s, name, f"{path}/{i}", depth + 1) for i, s in enumerate(fixed)]
        usual = 0 if depth > _SPARSE_DEPTH or field.get("items", not fixed) is False else 3
        count = min(max(field.get("minItems", 0), usual), field.get("maxItems", 1 << 32))
        for i in range(len(items), 30 * count):  # a unique item can take several tries
            if len(items) >= count:
                break
            item = self._fill(field.get("items"), f"{name} {i + 1}", f"{path}/{i}", depth + 1)
            if not (field.get("uniqueItems") and item in items):
                items.append(item)
        return items

    def _string(self, field: Json, name: str) -> str:
        if field.get("format") in words().formats:
            return words().formats[field["format"]]
        least, most = field.get("minLength", 0), field.get("maxLength", 100_000)
        if pattern := field.get("pattern"):
            for specimen in words().specimens:
                with suppress(re.error):  # JSON Schema's patterns know more than Python's
                    if least <= len(specimen) <= most and re.search(pattern, specimen):
                        return specimen
        about = one_line(str(field.get("description", "")), 120).rstrip(".")
        asked = name.replace("_", " ") + (f" ({about})" if about else "")
        text = f"The offline rule-based engine filled in {asked} for “{self.query}”, unresearched."
        return one_line(text, most)[:most].ljust(least, ".")


def _figure(field: Json, choice: int, *, whole: bool) -> int | float:
    """A number within the schema's limits; it measures nothing."""
    lows = [field[key] for key in ("minimum", "exclusiveMinimum") if key in field]
    highs = [field[key] for key in ("maximum", "exclusiveMaximum") if key in field]
    step = field.get("multipleOf") or 1
    low = max(lows, default=min(highs) - 9 * step if highs and min(highs) <= step else 1)
    high = min(highs, default=low + 9 * step)
    if not whole and "multipleOf" not in field:
        return low + (high - low) * (1 + choice % 9) / 10
    first, last = int(-(-low // step)), int(high // step)
    first += first * step == field.get("exclusiveMinimum")
    last -= last * step == field.get("exclusiveMaximum")
    value = step * (first + choice % max(1, last - first + 1))
    return int(value) if whole else value
