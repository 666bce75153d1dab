"""Answers of the embedded engine to any JSON Schema: valid, deterministic, and not researched.

Here: objects, arrays, choices, references and limits. Not here: requests, reports, prompts.
Numbers and choices follow from a hash of the question; a free text says that it was filled in.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote

from prefect_llm_reports.tasks.offline.phrases import number, one_line, shorten

Json = dict[str, Any]

_PHRASES = (
    "From the offline rule-based engine, without a language model. On “{query}” it knows no facts; "
    "{field} stands here in the form asked for: {asked}.",
    "{asked}: the offline rule-based engine has no researched answer to “{query}” for {field}.",
    "The offline rule-based engine filled in {field} ({asked}) for “{query}” and researched "
    "nothing.",
)
_SHAPES = {"$ref", "anyOf", "oneOf", "allOf", "enum", "const"}
_SPARSE_DEPTH, _DEEPEST = 6, 12
_FORMATS = {
    "date-time": "2000-01-01T00:00:00Z",
    "date": "2000-01-01",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "offline@example.invalid",
    "hostname": "offline.invalid",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://offline.invalid/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_SPECIMENS = ("offline", "Offline", "OFFLINE", "0", "1", "10", "0.5", "A", "a", "A1", "a-1", "AA",
              "AAA", "00", "000", "0000", "00000", "#000000", "2000-01-01", "1.0.0")  # fmt: skip


def mapping(value: Any) -> Json:
    """The value if it is a JSON object, else an empty one."""
    return cast(Json, value) if isinstance(value, dict) else {}


@dataclass(frozen=True)
class Form:
    """Fills in a JSON Schema: every field valid, and every text says where it comes from.

    Attributes:
        schema: The JSON Schema; references point into it.
        query: What was asked, quoted in free texts.
        seed: Whatever else the answer may depend on.
    """

    schema: Json
    query: str
    seed: str

    def filled(self) -> Any:
        """An object, unless the schema asks for something else."""
        whole = self.schema if self.schema.keys() & _SHAPES else {"type": "object", **self.schema}
        return self._fill(whole, "answer", "", 0)

    def _fill(self, schema: Any, name: str, path: str, depth: int) -> Any:
        field = self._resolved(mapping(schema))
        choice = self._number(path, 1 << 32)
        if depth > _DEEPEST:
            return None
        if "const" in field:
            return field["const"]
        if field.get("enum"):
            return field["enum"][choice % len(field["enum"])]
        for key in ("anyOf", "oneOf"):
            if options := [self._resolved(mapping(option)) for option in field.get(key, ())]:
                shared = {k: v for k, v in field.items() if k != key}
                chosen = {**shared, "allOf": [_preferred(options, depth)]}
                return self._fill(chosen, name, path, depth + 1)
        kinds: Any = field.get("type") or _kind(field)
        if isinstance(kinds, list):
            kinds = next((kind for kind in cast(list[str], kinds) if kind != "null"), "null")
        match kinds:
            case "object":
                return self._object(field, path, depth)
            case "array":
                return self._array(field, name, path, depth)
            case "integer" | "number":
                return _figure(field, name, choice, whole=kinds == "integer")
            case "boolean":
                return choice % 2 == 0
            case "null":
                return None
            case _:
                return self._string(field, name, path)

    def _number(self, path: str, below: int) -> int:
        return number(f"{self.seed}\0{path}", below)

    def _resolved(self, schema: Json, depth: int = 0) -> Json:
        """The schema with references followed and `allOf` merged in."""
        for _ in range(_DEEPEST):
            if not isinstance(schema.get("$ref"), str):
                break
            found: Any = self.schema
            for step in str(schema["$ref"]).removeprefix("#").split("/")[1:]:
                found = mapping(found).get(unquote(step).replace("~1", "/").replace("~0", "~"))
            schema = {**mapping(found), **{k: v for k, v in schema.items() if k != "$ref"}}
        merged = {k: v for k, v in schema.items() if k != "allOf"}
        for option in schema.get("allOf", ()) if depth < _DEEPEST else ():
            part = self._resolved(mapping(option), depth + 1)
            properties = {**mapping(merged.get("properties")), **mapping(part.get("properties"))}
            required = [*merged.get("required", ()), *part.get("required", ())]
            merged |= part
            if properties:
                merged |= {"properties": properties, "required": required}
        return merged

    def _object(self, field: Json, path: str, depth: int) -> Json:
        properties = mapping(field.get("properties"))
        wanted = dict.fromkeys([*(() if depth > _SPARSE_DEPTH else properties),
                                *field.get("required", ())])  # fmt: skip
        filled = {k: self._fill(properties.get(k), k, f"{path}/{k}", depth + 1) for k in wanted}
        rest = mapping(field.get("additionalProperties"))
        for i in range(len(filled), field.get("minProperties", 0)):
            filled[f"item_{i + 1}"] = self._fill(rest, f"item {i + 1}", f"{path}/+{i}", depth + 1)
        return filled

    def _array(self, field: Json, name: str, path: str, depth: int) -> list[Any]:
        fixed = cast(list[Any], field.get("prefixItems", []))
        items = [self._fill(s, name, f"{path}/{i}", depth + 1) for i, s in enumerate(fixed)]
        least = field.get("minItems", 0)
        usual = 0 if depth > _SPARSE_DEPTH or field.get("items", not fixed) is False else 3
        count = min(max(least, usual), field.get("maxItems", max(least, usual)))
        for i in range(len(items), len(items) + 30 * count):
            if len(items) >= count:
                break
            item = self._fill(field.get("items"), f"{name} {i + 1}", f"{path}/{i}", depth + 1)
            if not (field.get("uniqueItems") and item in items):
                items.append(item)
        return items

    def _string(self, field: Json, name: str, path: str) -> str:
        if (form := field.get("format")) in _FORMATS:
            return _FORMATS[str(form)]
        least, most = field.get("minLength", 0), field.get("maxLength", 100_000)
        if pattern := field.get("pattern"):
            fitting = (s for s in _SPECIMENS if least <= len(s) <= most and _fits(pattern, s))
            return next(fitting, "offline")
        asked = shorten(one_line(str(field.get("description") or name.replace("_", " "))), 120)
        phrase = _PHRASES[self._number(path, len(_PHRASES))]
        named = {"field": name.replace("_", " "), "asked": asked.rstrip("."), "query": self.query}
        text = re.sub(r"\{(\w+)\}", lambda m: named[m[1]], phrase)
        return shorten(text, most)[:most].ljust(least, ".")


def _preferred(options: list[Json], depth: int) -> Json:
    """The first option that says something; deep down, the one that ends soonest."""
    if depth > _SPARSE_DEPTH:
        return min(options, key=lambda o: (o.get("type") != "null", len(json.dumps(o))))
    return next((option for option in options if option.get("type") != "null"), options[0])


def _fits(pattern: str, specimen: str) -> bool:
    try:
        return re.search(pattern, specimen) is not None
    except re.error:  # JSON Schema's dialect knows more than Python's
        return False


def _kind(field: Json) -> str:
    """The type of a schema that does not name one."""
    signs = {"properties": "object", "items": "array", "prefixItems": "array",
             "minimum": "number", "maximum": "number"}  # fmt: skip
    return next((kind for sign, kind in signs.items() if sign in field), "string")


def _figure(field: Json, name: str, choice: int, *, whole: bool) -> int | float:
    """A number within the schema's limits; it measures nothing."""
    low, high = field.get("minimum"), field.get("maximum")
    above, below = field.get("exclusiveMinimum"), field.get("exclusiveMaximum")
    if whole or "score" in name.lower() or "rating" in name.lower():
        step = int(field.get("multipleOf", 1)) or 1
        firsts = [math.ceil(low)] if low is not None else []
        firsts += [math.floor(above) + 1] if above is not None else []
        lasts = [math.floor(high)] if high is not None else []
        lasts += [math.ceil(below) - 1] if below is not None else []
        last = min(lasts, default=None)
        first = max(firsts, default=1 if last is None or last >= 1 else last - 9 * step)
        first = -(-first // step) * step
        last = first + 9 * step if last is None else last
        if first <= last:
            return first + step * (choice % ((last - first) // step + 1))
    most = min((v for v in (high, below) if v is not None), default=None)
    least = max((v for v in (low, above) if v is not None),
                default=0 if most is None or most > 0 else most - 10)  # fmt: skip
    most = least + 10 if most is None else most
    value = least + (most - least) * (1 + choice % 9) / 10
    if step := field.get("multipleOf"):
        return math.floor(value / step) * step
    return round(value, 3) if least < round(value, 3) < most else value
