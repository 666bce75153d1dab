"""Structured output: strict schemas of any form, and answers that come back as they were given."""

from __future__ import annotations

import datetime
import enum
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Literal

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from prefect_llm_reports.tasks.branches.forms import form_of
from prefect_llm_reports.tasks.contract.branches import OutputField
from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.reports import Critique
from prefect_llm_reports.tasks.llm.answer_forms import Invalid, model_form, schema_form
from prefect_llm_reports.tasks.llm.schema_fields import misfits, outline
from prefect_llm_reports.tasks.llm.strict_schemas import strict_schema

BOUNDS = {"minimum", "maximum", "default", "title", "minLength", "maxLength", "minItems", "format"}


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for name, value in schema.items():
            if name in ("properties", "$defs"):
                for part in value.values():
                    yield from nodes(part)
            else:
                yield from nodes(value)
    elif isinstance(schema, list):
        for part in schema:
            yield from nodes(part)


class Part(BaseModel):
    """A part."""

    title: str = Field(default="t", min_length=1)
    names: list[str] = Field(default=[], max_length=3)


class Whole(BaseModel):
    """Not for the endpoint."""

    default: Part = Part()
    parts: list[Part] | None = Field(default=None, description="All parts.")
    size: float = Field(default=1, gt=0, multiple_of=0.5)


@pytest.mark.parametrize("model", [Critique, Whole])
def test_the_schema_is_strict(model: type[BaseModel]) -> None:
    """Every object requires all its fields and no others; bounds and defaults are left out."""
    schema = model_form(model).schema
    assert schema["required"] == list(model.model_fields)
    assert "description" not in schema
    for node in nodes(schema):
        assert not BOUNDS & node.keys()
        if node.get("type") == "object":
            assert node["additionalProperties"] is False
            assert node["required"] == list(node["properties"])


def test_the_schema_keeps_what_the_model_needs_to_read() -> None:
    """Fields named like a bound stay, and so do the descriptions of fields."""
    schema = model_form(Whole).schema
    assert list(schema["$defs"]["Part"]["properties"]) == ["title", "names"]
    assert schema["properties"]["parts"]["description"] == "All parts."
    assert all(field["description"] for field in model_form(Critique).schema["properties"].values())


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Tree(BaseModel):
    """A recursive model."""

    name: str
    children: list[Tree] = []


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(ge=1, le=9, description="Lives left.")


class Dog(BaseModel):
    kind: Literal["dog"]
    good: bool


class Everything(BaseModel):
    """All that has to work."""

    tree: Tree = Field(description="The tree, told here.")
    pet: Cat | Dog = Field(discriminator="kind")
    colour: Colour
    when: datetime.date
    price: Decimal
    note: str | None = None
    tags: set[str] = set()


def test_all_kinds_of_fields_are_expressed() -> None:
    """Recursion, unions, enums, dates and sets become a schema that endpoints take."""
    schema = model_form(Everything).schema
    Draft202012Validator.check_schema(schema)
    assert schema["properties"]["tree"]["description"] == "The tree, told here."
    assert schema["properties"]["tree"]["properties"]["children"]["items"] == {
        "$ref": "#/$defs/Tree"
    }
    assert "discriminator" not in json.dumps(schema)
    assert schema["$defs"]["Cat"]["properties"]["lives"]["description"] == (
        "Lives left. (at least 1, at most 9)"
    )
    assert "no item twice" in schema["properties"]["tags"]["description"]


class Dictionary(BaseModel):
    scores: dict[str, int]


class Anything(BaseModel):
    inner: list[Any]


class Pair(BaseModel):
    both: tuple[int, str]


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        (Dictionary.model_json_schema(), "scores: a dictionary with free keys"),
        (Anything.model_json_schema(), "inner[]: anything goes there"),
        (Pair.model_json_schema(), "both: prefixItems: a tuple"),
        ({"type": "array", "items": {"type": "string"}}, "the root is not an object"),
        ({"type": "object", "properties": {"a": True}}, "a: anything goes there"),
        ({"type": "object", "properties": {"a": {"type": "array"}}}, "a: a list of anything"),
        ({"type": "object", "properties": {"a": {"$ref": "#/no"}}}, "'#/no' leads nowhere"),
        ({"type": "object", "properties": {"a": {"$ref": "http://x/"}}}, "leads nowhere"),
        ({"type": "object", "properties": {"a": {"not": {}, "type": "null"}}}, "a: not:"),
        (
            {"type": "object", "properties": {"a": {"allOf": [{"type": "null"}, {}]}}},
            "a: allOf of several",
        ),
    ],
)
def test_what_a_strict_schema_cannot_express_is_named(declared: Any, problem: str) -> None:
    """Free keys, tuples, anything and lost references are refused, each by its place."""
    with pytest.raises(BadInput) as bad:
        strict_schema(declared)
    assert problem in str(bad.value)


def test_every_problem_of_a_schema_is_named_at_once() -> None:
    """Two places that cannot be expressed are two problems."""
    declared = {"type": "object", "properties": {"a": {}, "b": {"type": "array"}}}
    with pytest.raises(BadInput) as bad:
        strict_schema(declared)
    assert len(bad.value.problems) == 2


@pytest.mark.parametrize(
    "text", ['{"x": "8"}', '{"x": true}', '{"x": 11}', '{"x": 1, "x": 2}', "{}"]
)
def test_bounds_that_are_not_sent_hold_for_the_answer(text: str) -> None:
    """Wrong types, values out of bounds, repeated and missing keys are not accepted."""
    properties = {"x": {"type": "integer", "minimum": 1, "maximum": 10}}
    form = schema_form({"type": "object", "properties": properties, "required": ["x"]})
    with pytest.raises(Invalid):
        form.accept(text)
    assert form.value(form.accept('Sure: {"x": 10}')) == {"x": 10}


FIELDS = [
    OutputField(name="title", description="A title."),
    OutputField(name="grade", type="choice", choices=("good", "bad")),
    OutputField(name="sizes", type="number", many=True, optional=True),
]


def test_fields_of_a_form_become_a_schema() -> None:
    """Named, typed, described fields are a strict schema, and told as lines to read."""
    form = form_of(FIELDS, Critique)
    assert form.schema["required"] == ["title", "grade", "sizes"]
    told = [(field.name, field.kind, field.description) for field in outline(form.schema)]
    assert told == [
        ("title", "text", "A title."),
        ("grade", "one of good, bad", ""),
        ("sizes", "list of number or nothing", ""),
    ]
    assert form.value(form.accept('{"title": "t", "grade": "bad", "sizes": null}'))["sizes"] is None
    with pytest.raises(Invalid):
        form.accept('{"title": "t", "grade": "poor", "sizes": null}')


@pytest.mark.parametrize(
    ("source", "wanted", "fits"),
    [
        ({"type": "integer"}, {"type": "number"}, True),
        ({"type": "number"}, {"type": "integer"}, False),
        ({"type": "string"}, {"anyOf": [{"type": "string"}, {"type": "null"}]}, True),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": "string"}, False),
        ({"type": "string", "enum": ["a"]}, {"type": "string", "enum": ["a", "b"]}, True),
        ({"type": "string"}, {"type": "string", "enum": ["a"]}, False),
        ({"type": "string", "enum": ["a"]}, {"type": "string"}, True),
        (
            {"type": "array", "items": {"type": "integer"}},
            {"type": "array", "items": {"type": "number"}},
            True,
        ),
        (
            {"type": "array", "items": {"type": "string"}},
            {"type": "array", "items": {"type": "number"}},
            False,
        ),
        (
            {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "null"}}},
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            True,
        ),
        (
            {"type": "object", "properties": {}},
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            False,
        ),
    ],
)
def test_one_form_fits_another_when_all_its_values_do(source: Any, wanted: Any, fits: bool) -> None:
    """Types, choices, lists and objects are compared; a message describes each misfit."""
    found = misfits(source, source, wanted, wanted, "x")
    assert (not found) == fits
    assert all("x" in problem for problem in found)


def test_recursive_forms_are_compared_to_an_end() -> None:
    """A form that contains itself fits itself."""
    schema = model_form(Tree).schema
    assert misfits(schema, schema, schema, schema) == []


# Any model survives the way through schema, answer, cache and file
