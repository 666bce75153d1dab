"""The wording of problems in people's input: shortened, counted, with the value seen.

Here: wording alone. Not here: the rules that input must keep.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar, cast, get_args

from pydantic import BaseModel, ValidationError

from prefect_llm_reports.tasks.text.complaints import any_of
from prefect_llm_reports.tasks.text.foreign import shown
from prefect_llm_reports.tasks.text.spelling import did_you_mean

LISTED = 20
"""Problems that are listed in full."""

ELSEWHERE = {
    "extra_headers": "is not an option, because headers may hold secrets, which a run would keep;"
    " save them in an LLM endpoint block, and name it as the endpoint",
    "api_key": "is not an option, because a run would keep it; put the key into OPENAI_API_KEY or"
    " an LLM endpoint block",
}
"""Names that people give as options, and the place where each belongs."""

Model = TypeVar("Model", bound=BaseModel)
Path = tuple[int | str, ...]


class Misplaced:
    """Something that stands where a text belongs: `42`, `5 cells for the columns title`.

    Args:
        found: The thing, as written or in words.
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


def problems_of(
    error: ValidationError, prefix: str = "", kind: type[BaseModel] | None = None
) -> list[str]:
    """What a model found wrong, one sentence each: field, problem, value, next action.

    Args:
        error: From pydantic.
        prefix: Begins each sentence, in front of the field's name.
        kind: The model, for what a person may have meant by an unknown name.
    """
    said: dict[str, list[tuple[str, str]]] = {}
    kinds: set[str] = set()
    for wrong in error.errors(include_url=False):
        where = ".".join(named := [str(part) for part in wrong["loc"] if not _is_kind(part)])
        if len(named) + 1 == len(wrong["loc"]) and _is_kind(wrong["loc"][-1]):
            kinds.add(where)
        beside = _names_beside(kind, wrong["loc"]) if kind else ()
        said.setdefault(where, []).append(_problem(wrong, beside))
    return [
        f"{prefix}{where}: {any_of([what for what, _ in found])}{found[0][1]}"
        for where, found in said.items()
        # A problem inside a list says more than that the value is not of the other kind.
        if not (where in kinds and any(other.startswith(f"{where}.") for other in said))
    ]


def _names_beside(kind: type[BaseModel], path: Path) -> set[str]:
    """The names of the fields of the model, within `kind`, in which a path ends."""
    at: list[type[BaseModel]] = [kind]
    for name in path[:-1]:
        if isinstance(name, str) and not _is_kind(name):
            fields = [model.model_fields[name] for model in at if name in model.model_fields]
            at = [model for field in fields for model in _models_in(field.annotation)] or at
    return {name for model in at for name in model.model_fields}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _is_kind(part: int | str) -> bool:
    """Whether a part of a field's path is pydantic's name for one kind of value, as `list[x]`."""
    return isinstance(part, str) and any(mark in part for mark in "[(")


def _problem(wrong: Any, known: Collection[str]) -> tuple[str, str]:
    """A problem, and what was seen with what to do about it.

    Args:
        wrong: From pydantic.
        known: The names that would have been right where this one is unknown.
    """
    match wrong["type"]:
        case "missing":
            return "is missing", "; add it"
        case "extra_forbidden":
            name = str(wrong["loc"][-1])
            if elsewhere := ELSEWHERE.get(name):
                return elsewhere, ""
            near = did_you_mean(name, known)
            return "unknown name", near or "; correct its spelling or remove it"
        case "value_error":
            return str(wrong["ctx"]["error"]), ""
        case _:
            return wrong["msg"], f", found {shown(seen(wrong['input']))}; correct it"


def read_model(
    kind: type[Model], given: Mapping[str, Any], problems: list[str], prefix: str = ""
) -> Model:
    """Read values as a model; a wrong value becomes a problem, and its field keeps the default.

    A check of the rest then finds all other problems, and no false ones.

    Args:
        kind: The model; each of its fields has a default.
        given: Values by field.
        problems: Receives a sentence for each wrong value.
        prefix: Begins each problem, in front of the field's name.
    """
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        problems += problems_of(error, prefix, kind)
        wrong = {_within(given, one["loc"]) for one in error.errors(include_input=False)}
    try:
        return kind.model_validate(_without(given, wrong))
    except ValidationError:  # fields that are wrong together
        return kind()


def _within(given: Mapping[str, Any], path: Path) -> Path:
    """The part of a path that leads through objects to a value that is there."""
    at: Any = given
    found: list[int | str] = []
    for name in path:
        if not isinstance(at, Mapping) or name not in at:
            break
        found.append(name)
        at = cast("Mapping[Any, Any]", at)[name]
    return tuple(found)


def _without(given: Mapping[str, Any], paths: Collection[Path], at: Path = ()) -> dict[str, Any]:
    """Values without those at the ends of paths."""
    return {
        name: _without(cast("Mapping[str, Any]", value), paths, (*at, name))
        if isinstance(value, Mapping)
        else value
        for name, value in given.items()
        if (*at, name) not in paths
    }
