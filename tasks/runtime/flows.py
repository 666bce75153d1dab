"""Flows that say in our words what is wrong with their parameters.

Parameters may hold JSON Schemas with references, too: Prefect takes `{"$ref": ...}` anywhere in
them for a saved block, and fails to load it. Not here: the flows themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar, cast

from prefect import Flow
from prefect.exceptions import ParameterTypeError

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.json_refs import unusable, without_refs
from prefect_llm_reports.tasks.text.complaints import any_of
from prefect_llm_reports.tasks.text.foreign import shown

_PART = re.compile(r"(?:[^.\[(]|\[[^\]]*\]|\([^)]*\))+")
_KIND = re.compile(r"none|str|int|float|bool|dict|.*[\[(].*|[A-Z]\w*")
"""Parts of a place that are pydantic's names of types, not names that a person wrote."""
_PLAIN = {
    "Field required": "is missing; add it",
    "Extra inputs are not permitted": "unknown name; correct its spelling or remove it",
}

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
            raise BadInput(*_problems(str(error))) from None

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


def _problems(said: str) -> list[str]:
    """What Prefect says of parameters, one sentence a place, without its names of types."""
    found: dict[str, list[str]] = {}
    for line in said.splitlines():
        place, colon, what = line.removeprefix(" - ").partition(": ")
        if line.startswith(" - ") and colon:
            parts = [part for part in _PART.findall(place) if not _KIND.fullmatch(part)]
            plain = _PLAIN.get(what) or f"{what.removeprefix('Value error, ')}; correct it"
            found.setdefault(".".join(parts), []).append(plain)
    problems: list[str] = []
    for place, whats in found.items():
        deeper = any(other.startswith(f"{place}.") for other in found)
        real = [what for what in whats if what != "Input should be None; correct it"]
        if real and not (deeper and all("valid" in what for what in real)):
            problems.append(f"{place}: {_any_of(real)}")
    return problems or [shown(said)]


def _any_of(whats: list[str]) -> str:
    """Problems of one value, which is of none of several kinds."""
    end = "; correct it" if whats[0].endswith("; correct it") else ""
    return any_of([what.removesuffix("; correct it") for what in whats]) + end


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
