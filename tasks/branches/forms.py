"""Forms of branches: of their answers, and of the inputs that they are given.

Here: one form by itself. Not here: whether the forms of a program fit together (`branches.graph`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel

from prefect_llm_reports.tasks.contract.branches import OutputField, OutputSpec, Query
from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.records import canonical_json
from prefect_llm_reports.tasks.llm.answer_forms import Form, model_form, schema_form
from prefect_llm_reports.tasks.llm.strict_schemas import Json

_KEYWORDS = frozenset(
    {"type", "properties", "anyOf", "allOf", "oneOf", "enum", "const", "items", "$ref"}
)
"""One of these says in a JSON Schema what there may be."""


def form_of(
    spec: OutputSpec | None, default: type[BaseModel], model: type[BaseModel] | None = None
) -> Form:
    """Make the form that a specification describes.

    Args:
        spec: Fields or a JSON Schema; None: the default.
        default: The model used without a specification.
        model: A pydantic model given in Python; it takes precedence.

    Raises:
        BadInput: The specification is not valid, or no strict schema can express it.
    """
    if model or spec is None:
        form = model_form(model or default)
    elif isinstance(spec, list):
        form = schema_form(_schema_of_fields(spec))
    else:
        if not _KEYWORDS & spec.keys():
            raise BadInput(
                "an object is read as a JSON Schema, and this one has no type, properties or $ref;"
                " write fields as a list of {name: answer, type: text, description: ...}"
            )
        form = schema_form(spec)
    assert form.schema is not None
    return form


def _schema_of_fields(fields: list[OutputField]) -> Json:
    twice = [name for name, count in Counter(f.name for f in fields).items() if count > 1]
    if twice:
        raise BadInput(f"the field {twice[0]} is given twice; rename one of them")
    return {
        "type": "object",
        "properties": {field.name: field.schema_of() for field in fields},
        "required": [field.name for field in fields],
        "additionalProperties": False,
    }


def schema_of(value: Any) -> Json:
    """Make a strict schema that an input fits; a text is an object with the field `query`."""
    if isinstance(value, BaseModel):
        return model_form(type(value)).schema
    return _schema_of_value({"query": value} if isinstance(value, str) else value)


def _schema_of_value(value: Any) -> Json:
    match value:
        case Mapping():
            items = cast("Mapping[str, Any]", value)
            properties = {name: _schema_of_value(part) for name, part in items.items()}
            return {"type": "object", "properties": properties, "required": list(properties)}
        case list() | tuple():
            parts = {canonical_json(s): s for s in map(_schema_of_value, cast("list[Any]", value))}
            options = list(parts.values())
            item = options[0] if len(options) == 1 else {"anyOf": options}
            return {"type": "array", "items": item}
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "integer"}
        case float():
            return {"type": "number"}
        case None:
            return {"type": "null"}
        case _:
            return {"type": "string", "const": str(value)}


def query_text(query: Any) -> str:
    """The text of an input in prompts: a text unchanged, everything else as JSON."""
    query = _plain(query)
    return query if isinstance(query, str) else json.dumps(query, ensure_ascii=False, indent=1)


def query_title(query: Any) -> str:
    """An input as people read it: `question: Build or buy?; team: small` of an object."""
    query = _plain(query)
    if not isinstance(query, Mapping):
        return query_text(query)
    cells = cast("Mapping[str, Any]", query).items()
    return "; ".join(f"{name}: {_cell(value)}" for name, value in cells if value not in (None, ""))


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _plain(query: Any) -> Any:
    """A text, or what JSON can hold."""
    if isinstance(query, Query):
        return query.query
    return query.model_dump(mode="json") if isinstance(query, BaseModel) else query
