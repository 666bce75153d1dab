"""References of schemas are written out, and what cannot be is said."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from prefect_llm_reports.tasks.contract.json_refs import unusable, without_refs


class Risk(BaseModel):
    name: str
    level: int


class Answer(BaseModel):
    risks: list[Risk]
    worst: Risk | None = None


POINT = {"type": "object", "properties": {"x": {"type": "number"}}}


def test_a_models_schema_holds_no_reference() -> None:
    """Every use of a nested model stands written out; the definitions are gone."""
    found = without_refs(Answer.model_json_schema())
    assert "$ref" not in str(found)
    assert "$defs" not in found
    assert found["properties"]["risks"]["items"]["properties"]["level"]["type"] == "integer"
    assert found["properties"]["worst"]["anyOf"][0]["required"] == ["name", "level"]


WRITTEN_OUT: list[tuple[Any, Any]] = [
    (None, None),
    ([], []),
    ("text", "text"),
    ({"type": "string"}, {"type": "string"}),
    (
        {"properties": {"a": {"$ref": "#/definitions/P"}}, "definitions": {"P": POINT}},
        {"properties": {"a": POINT}},
    ),
    (
        {"properties": {"a": {"$ref": "#/$defs/a~1b"}}, "$defs": {"a/b": POINT}},
        {"properties": {"a": POINT}},
    ),
    (
        {"items": {"$ref": "#/$defs/P", "description": "mine"}, "$defs": {"P": POINT}},
        {"items": {**POINT, "description": "mine"}},
    ),
    ({"$ref": "#/$defs/P", "$defs": {"P": POINT}}, POINT),
    ({"properties": {"$ref": {"type": "string"}}}, {"properties": {"$ref": {"type": "string"}}}),
]


@pytest.mark.parametrize(("schema", "wanted"), WRITTEN_OUT)
def test_references_are_written_out(schema: Any, wanted: Any) -> None:
    """Under both names of definitions, with escapes and siblings; others stay as they are."""
    assert without_refs(schema) == wanted


WRONG: list[tuple[Any, str]] = [
    ({"properties": {"a": {"$ref": "#/$defs/Q"}}}, "refers to #/$defs/Q, which it does not hold"),
    ({"properties": {"a": {"$ref": "https://x.example/s"}}}, "refers to https://x.example/s"),
    (
        {"$ref": "#/$defs/N", "$defs": {"N": {"properties": {"n": {"$ref": "#/$defs/N"}}}}},
        "refers to itself",
    ),
    ({"properties": {"a": {"$ref": "#"}}}, "refers to #"),
    (unusable(ValueError("because")), "because"),
]


@pytest.mark.parametrize(("schema", "wanted"), WRONG)
def test_a_reference_that_leads_nowhere_is_refused(schema: Any, wanted: str) -> None:
    """Out of the schema, to nothing, or to itself."""
    with pytest.raises(ValueError, match=wanted.replace("$", r"\$")):
        without_refs(schema)
