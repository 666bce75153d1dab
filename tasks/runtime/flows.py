"""Flows that say in our words what is wrong with their parameters.

Parameters may hold JSON Schemas with references, too: Prefect takes `{"$ref": ...}` anywhere in
them for a saved block, and fails to load it. Not here: the flows themselves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, ParamSpec, TypeVar, cast

from prefect import Flow
from prefect.exceptions import ParameterTypeError

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.json_refs import unusable, without_refs
from prefect_llm_reports.tasks.text.complaints import any_of
from prefect_llm_reports.tasks.text.foreign import shown
from prefect_llm_reports.tasks.text.spelling import did_you_mean

_PART = re.compile(r"(?:[^.\[(]|\[[^\]]*\]|\([^)]*\))+")
_KIND = re.compile(r"none|str|int|float|bool|dict|.*[\[(].*|[A-Z]\w*")
"""Parts of a place that are pydantic's names of types, not names that a person wrote."""
_UNKNOWN = "Extra inputs are not permitted"
_MISSING = "Field required"
_CORRECT = "; correct it"

P = ParamSpec("P")
R = TypeVar("R")
FORMS = ("output", "takes", "merge_output")
"""Parameters, at any depth, that hold forms of answers."""


class CheckedFlow(Flow[P, R]):
    """A flow that refuses parameters in our words, and takes forms with references."""

    def validate_parameters(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Validate parameters as Prefect does, with forms that hold no references.

        Raises:
            BadInput: With every parameter that is wrong, by its place.
        """
        try:
            return super().validate_parameters(_written_out(parameters))
        except ParameterTypeError as error:
            names = _names(self.parameters.model_dump())
            raise BadInput(*_problems(str(error), parameters, names)) from None

    def with_options(self, *args: Any, **options: Any) -> CheckedFlow[P, R]:
        """Make a flow of this kind with other options, as Prefect does."""
        made = super().with_options(*args, **options)
        made.__class__ = type(self)
        return cast("CheckedFlow[P, R]", made)


def checked_flow(**options: Any) -> Callable[[Callable[P, R]], Flow[P, R]]:
    """Make a function a flow of this kind, as `prefect.flow` makes others.

    Args:
        options: Those of `prefect.flow`.
    """
    return lambda function: CheckedFlow(function, **options)


def _problems(said: str, given: Mapping[str, Any], names: Collection[str]) -> list[str]:
    """What Prefect says of parameters, one sentence a place, without its names of types.

    Args:
        said: Prefect's error.
        given: The parameters.
        names: Every name that is known somewhere in them.
    """
    found: dict[str, list[str]] = {}
    for line in said.splitlines():
        place, colon, what = line.removeprefix(" - ").partition(": ")
        if line.startswith(" - ") and colon:
            parts = [part for part in _PART.findall(place) if not _KIND.fullmatch(part)]
            if what == _UNKNOWN:
                near = did_you_mean(parts[-1], names) or "; correct its spelling or remove it"
                what = f"unknown name{near}"
            elif what == _MISSING:
                what = "is missing; add it"
            else:
                what = what.removeprefix("Value error, ") + _CORRECT
            found.setdefault(".".join(parts), []).append(what)
    problems: list[str] = []
    for place, whats in found.items():
        deeper = any(other.startswith(f"{place}.") for other in found)
        real = [what for what in whats if what != f"Input should be None{_CORRECT}"]
        if real and not (deeper and all("valid" in what for what in real)):
            problems.append(f"{place}: {_any_of(real, _seen(given, place.split('.')))}")
    return problems or [shown(said)]


def _any_of(whats: list[str], seen: str) -> str:
    """Problems of one value, which is of none of several kinds."""
    if not whats[0].endswith(_CORRECT):
        return any_of(whats)
    wanted = any_of([what.removesuffix(_CORRECT) for what in whats])
    return wanted + (seen if wanted.startswith("wanted ") else "") + _CORRECT


def _seen(given: Any, place: list[str]) -> str:
    """`, found 0` of the value at a place, where it is short enough to be shown."""
    for name in place:
        parts = _parts(given)
        if name not in parts:
            return ""
        given = parts[name]
    plain = given is None or isinstance(given, str | int | float)
    return f", found {shown(json.dumps(given, ensure_ascii=False), 60)}" if plain else ""


def _names(schema: Any) -> set[str]:
    """The names of all fields of a schema, at any depth."""
    parts = _parts(schema)
    found = {*_parts(parts.get("properties"))}
    return found.union(*map(_names, parts.values()))


def _parts(value: Any) -> dict[str, Any]:
    """What an object or a list holds, by name or number."""
    if isinstance(value, list | tuple):
        return {str(at): part for at, part in enumerate(cast("list[Any]", value))}
    return {**cast("Mapping[str, Any]", value)} if isinstance(value, Mapping) else {}


def _written_out(value: Any) -> Any:
    """A value in which the forms hold no references; what is wrong stays for the check to say."""
    if isinstance(value, list | tuple):
        return [_written_out(part) for part in cast("list[Any]", value)]
    if not isinstance(value, Mapping):
        return value
    found: dict[str, Any] = {}
    for name, part in cast("Mapping[str, Any]", value).items():
        found[name] = _form(part) if name in FORMS else _written_out(part)
    return found


def _form(form: Any) -> Any:
    try:
        return without_refs(form)
    except ValueError as error:
        return unusable(error)
