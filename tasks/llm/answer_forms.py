"""Structured output: the form that an answer must have, and its exact reading.

Here: forms made of a pydantic model or a JSON Schema, and which answers fit them. Not here: strict
schemas (`llm.strict_schemas`), prompts, calls.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from jsonschema.exceptions import ValidationError as Misfit
from pydantic import BaseModel, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.llm.strict_schemas import Json, strict_schema
from prefect_llm_reports.tasks.text.foreign import shown, strict_json

_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)\n?\s*```", re.DOTALL)
_LOOKS_LIKE_ONE = re.compile(r'\{\s*["}\']')


class Invalid(Exception):
    """The answer does not fit; the text explains it to the model."""


def one_object(text: str) -> str:
    """Find the one JSON object in an answer: bare, in a code fence, or inside prose.

    Raises:
        Invalid: There is none, or more than one, or a broken one.
    """
    text = text.strip().removeprefix("\ufeff")
    if text.startswith("{") and text.endswith("}") and _object_ends(text, 0) == len(text):
        return text
    if len(fences := _FENCED.findall(text)) == 1 and "{" not in _FENCED.sub("", text):
        return fences[0].strip()
    if text.startswith("[") and text.endswith("]"):
        raise Invalid("it holds no JSON object but a list; exactly one object is wanted.")
    found: list[str] = []
    at = text.find("{")
    while at >= 0 and len(found) < 2:
        end = _object_ends(text, at)
        if end:
            found.append(text[at:end])
        elif _LOOKS_LIKE_ONE.match(text, at):
            raise Invalid("it holds a broken JSON object; exactly one is wanted, whole.")
        at = text.find("{", end or at + 1)
    if len(found) != 1:
        count = "no JSON object" if not found else "more than one JSON object"
        raise Invalid(f"it holds {count}; exactly one is wanted.")
    return found[0]


def _object_ends(text: str, at: int) -> int | None:
    """The end of the JSON object that begins at `at`; None: no object begins there."""
    try:
        found, end = json.JSONDecoder().raw_decode(text, at)
    except (ValueError, RecursionError):
        return None
    return end if isinstance(found, dict) else None


@dataclass(frozen=True)
class Form:
    """The form that an answer must have.

    Attributes:
        declared: The JSON Schema as it was given; answers are checked against it.
        model: The pydantic model that the schema comes from, which checks answers instead; None:
            there is none.
    """

    declared: Json
    model: type[BaseModel] | None = None

    @cached_property
    def schema(self) -> Json:
        """The strict JSON Schema, as endpoints take it for structured output.

        Raises:
            BadInput: A strict schema cannot express it; the message names every place.
        """
        return strict_schema(self.declared)

    @cached_property
    def bounded(self) -> Json:
        """The strict JSON Schema with the bounds of its values, for endpoints that take them."""
        return strict_schema(self.declared, bounds=True)

    def accept(self, text: str) -> str:
        """Read an answer into the text that is kept: one JSON object, as the model gave it.

        Raises:
            Invalid: It is not exactly one object of this form. Nothing is clamped or repaired.
        """
        try:
            found = strict_json(one_object(text))
        except ValueError as error:
            raise Invalid(f"it is not valid JSON: {shown(str(error), 120)}.") from None
        kept = json.dumps(found, ensure_ascii=False)
        try:
            kept.encode()
        except UnicodeEncodeError:
            raise Invalid("it holds half of a character, a lone surrogate escape.") from None
        if problems := self._problems(found, kept):
            raise Invalid(f"it does not fit the schema: {'; '.join(problems[:5])}.")
        return kept

    def value(self, kept: str) -> Any:
        """A kept answer as a Python value: an instance of the model, else plain JSON values."""
        if self.model is None:
            return json.loads(kept)
        return self.model.model_validate_json(kept, strict=True)

    def _problems(self, found: Any, kept: str) -> list[str]:
        if self.model is None:
            misfits = sorted(
                cast("list[Misfit]", list(self._validator.iter_errors(found))),  # pyright: ignore[reportUnknownMemberType]
                key=_place,
            )
            return [_said([*m.absolute_path], shown(m.message, 120)) for m in misfits]
        try:
            self.model.model_validate_json(kept, strict=True)
        except ValidationError as error:
            return [
                _said([*e["loc"]], e["msg"])
                for e in error.errors(include_url=False, include_input=False)
            ]
        return []

    @cached_property
    def _validator(self) -> Draft202012Validator:
        return Draft202012Validator(self.declared)


def _place(misfit: Misfit) -> list[str]:
    return list(map(str, misfit.absolute_path))


def _said(path: list[Any], message: str) -> str:
    return f"{shown('.'.join(map(str, path)), 60) or 'the object'}: {message}"


def model_form(model: type[BaseModel]) -> Form:
    """The form of a pydantic model.

    Raises:
        BadInput: The model has no JSON Schema.
    """
    try:
        return Form(model.model_json_schema(), model)
    except (PydanticInvalidForJsonSchema, PydanticUserError) as error:
        said = shown(str(error).partition("\n")[0])
        raise BadInput(f"{model.__name__} has no JSON Schema: {said}; change that field") from None


def schema_form(schema: Json) -> Form:
    """The form of a JSON Schema, draft 2020-12.

    Raises:
        BadInput: It is not a valid schema.
    """
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        where = shown(".".join(map(str, error.absolute_path)), 60) or "the root"
        raise BadInput(f"not a JSON Schema: {where}: {shown(error.message)}; correct it") from None
    return Form(schema)
