"""How problems of people's input are worded: shortened, counted, with the value that was seen.

Here: wording alone. Not here: what counts as a problem.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from prefect_llm_reports.tasks.text.foreign import shown

LISTED = 20
"""Problems that are listed in full."""

Model = TypeVar("Model", bound=BaseModel)
Path = tuple[int | str, ...]


class Misplaced:
    """Something that stands where a text belongs: `42`, `5 cells for the columns title`.

    Args:
        found: It, as written or in words.
    """

    __slots__ = ("found",)

    def __init__(self, found: str) -> None:
        self.found = found


def first(lines: Iterable[str]) -> list[str]:
    """The first lines, and how many more there are."""
    known = list(lines)
    rest = len(known) - LISTED
    return [*known[:LISTED], f"and {rest:,} more"] if rest > 0 else known


def short(text: str) -> str:
    """A text that may be long, cut for a message."""
    return text if len(text) <= 60 else f"{text[:57]}..."


def seen(value: Any) -> str:
    """A value that is not the wanted one, in the words of the file formats."""
    if isinstance(value, Misplaced):
        return short(value.found)
    if value is None or isinstance(value, str) or (isinstance(value, int) and abs(value) < 1e300):
        return short(json.dumps(value))
    if isinstance(value, float):
        return short(str(value))
    if isinstance(value, Mapping):
        return "an object"
    kind = type(cast("object", value)).__name__
    return {"Pairs": "an object", "list": "a list", "Items": "a list"}.get(kind, f"a Python {kind}")


def problems_of(error: ValidationError, prefix: str = "") -> list[str]:
    """What a model found wrong, one sentence each: field, problem, value, next action.

    Args:
        error: From pydantic.
        prefix: Begins each sentence, in front of the field's name.
    """
    found = error.errors(include_url=False)
    return list(dict.fromkeys(prefix + _problem(wrong) for wrong in found))


def _problem(wrong: Any) -> str:
    where = ".".join(str(part) for part in wrong["loc"])
    at = f"{where}: " if where else ""
    match wrong["type"]:
        case "missing":
            return f"{at}is missing; add it"
        case "extra_forbidden":
            return f"{at}unknown name; correct its spelling or remove it"
        case "value_error":
            return at + str(wrong["ctx"]["error"])
        case _:
            return f"{at}{wrong['msg']}, found {shown(seen(wrong['input']))}; correct it"


def read_model(
    kind: type[Model], given: Mapping[str, Any], problems: list[str], prefix: str = ""
) -> Model:
    """Read values as a model; what is wrong is added to the problems and left at its default.

    So that a check of the rest finds what else is wrong, and nothing that is not.

    Args:
        kind: The model; each of its fields has a default.
        given: Values by field.
        problems: Takes what is wrong.
        prefix: Begins each problem, in front of the field's name.
    """
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        problems += problems_of(error, prefix)
        for wrong in error.errors(include_url=False, include_input=False):
            given = _without(given, wrong["loc"])
    try:
        return kind.model_validate(given)
    except ValidationError:  # fields that are wrong together
        return kind()


def _without(given: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Values without the wrong one at the end of a path, or the innermost one around it."""
    name, *rest = path or ("",)
    kept = {key: value for key, value in given.items() if key != name}
    if rest and isinstance(name, str) and isinstance(inner := given.get(name), dict):
        smaller = _without(cast("dict[str, Any]", inner), tuple(rest))
        if smaller != inner:
            kept[name] = smaller
    return kept
