"""The tables of options in flows/README.md, made from the code that reads these options.

After a change of an option, a parameter or a command, `python -m tests.harness.option_tables`
writes the tables again; a test compares them with the file. Not here: the text around the tables.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Iterable
from decimal import Decimal
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from prefect import Flow
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import SkipJsonSchema

from prefect_llm_reports import flows
from prefect_llm_reports.flows import BranchOptions, ReportOptions, Topic, Use
from prefect_llm_reports.flows.cli.arguments import parser
from prefect_llm_reports.tasks.contract.branches import Branch, OutputField
from prefect_llm_reports.tasks.contract.call_options import Fallback
from prefect_llm_reports.tasks.contract.options import Critic
from prefect_llm_reports.tasks.contract.records import Price, Rates, Usage
from prefect_llm_reports.tasks.inputs.requests import OPENAI_URL
from prefect_llm_reports.tasks.llm.pricing import STANDARD_TIERS, PriceList
from tests.harness import ROOT

PRICED = "gpt-5-mini"
"""The model whose prices show what the tiers cost."""

README = ROOT / "flows/README.md"
FLOWS = ("report_batch", "parallel_branches", "branch_batch", "report_shard")
MODELS: tuple[type[BaseModel], ...] = (
    *(Topic, ReportOptions, Critic, Fallback, Price, Rates),
    *(BranchOptions, Branch, OutputField, Use),
)
_KINDS = {
    str: "text",
    int: "whole number",
    float: "number",
    Decimal: "number",
    bool: "`true` or `false`",
    dict: "object",
    Any: "anything",
}
_PLACE = re.compile(r"(?<=<!-- table: )(.+?)( -->\n).*?(?=<!-- end -->)", re.DOTALL)


def tables() -> dict[str, str]:
    """Every table, by the name it has in the file."""
    found = {name: _flow(getattr(flows, name)) for name in FLOWS}
    found |= {model.__name__: _model(model) for model in MODELS}
    found["tiers"] = _tiers()
    return found | {f"llm-reports {name}": _command(one) for name, one in _commands().items()}


def _tiers() -> str:
    """The tiers that are priced, and what one model costs in each."""
    prices, usage = PriceList(OPENAI_URL, {}), Usage(input_tokens=1_000, output_tokens=1_000)
    standard = prices.cost(PRICED, usage)
    assert standard is not None
    names = ", ".join(f"`{name}`" for name in STANDARD_TIERS if name)
    rows = [f"| standard | {names}, or nothing | `input`, `output`, … | 1 |"]
    for tier in get_args(get_args(Price.model_fields["tiers"].annotation)[0]):
        usd = prices.cost(PRICED, usage, tier)
        assert usd is not None
        share = f"{(usd / standard).normalize():f}"
        rows.append(f"| {tier} | `{tier}` | `tiers: {{{tier}: …}}` | {share} |")
    head = f"| tier | response's `service_tier` | own price | {PRICED} at OpenAI |"
    return "\n".join([head, "| --- | --- | --- | --- |", *rows])


def filled(text: str) -> str:
    """The text with its tables made anew.

    Args:
        text: A page with places as `<!-- table: NAME -->` and `<!-- end -->`.

    Raises:
        KeyError: A place has a name that no table has.
    """
    known = tables()
    return _PLACE.sub(lambda place: f"{place[1]}{place[2]}{known[place[1]]}\n", text)


def places(text: str) -> list[str]:
    """The names of the tables that a page has."""
    return [name for name, _ in _PLACE.findall(text)]


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _flow(flow: Flow[..., Any]) -> str:
    described = flow.parameters.properties
    return _table(
        ("parameter", "values", "default", "meaning"),
        (
            (
                f"`{name}`",
                _values(parameter.annotation),
                _default(parameter.default, required=parameter.default is parameter.empty),
                described[name]["description"],
            )
            for name, parameter in inspect.signature(flow.fn).parameters.items()
        ),
    )


def _model(model: type[BaseModel]) -> str:
    return _table(
        ("option", "values", "default", "meaning"),
        (
            (
                f"`{name}`",
                _values(field.annotation, field.metadata),
                _default(field.default, required=field.is_required()),
                field.description or "",
            )
            for name, field in _in_order(model)
        ),
    )


def _in_order(model: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    """The fields as a run form shows them."""
    shown = model.model_json_schema()["properties"]
    return sorted(model.model_fields.items(), key=lambda item: shown[item[0]]["position"])


def _default(value: Any, *, required: bool) -> str:
    if required:
        return "required"
    if value is None or value in ("", (), {}):
        return ""
    return f"`{str(value).lower()}`" if isinstance(value, bool) else f"`{value}`"


def _values(kind: Any, metadata: Iterable[Any] = ()) -> str:
    """What a value may be, in words."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _values(inner[0], [*inner[1:], *metadata])
    if origin in (Union, UnionType):
        parts = [_values(part, metadata) for part in inner if not _unsaid(part)]
        return " or ".join(part for part in dict.fromkeys(parts) if part)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in (list, tuple):
        return f"list: {_values(inner[0])}"
    if origin is dict and inner[1] is not Any:
        return f"object: name to {_values(inner[1])}"
    if inspect.isclass(kind) and issubclass(kind, BaseModel):
        return f"[{kind.__name__}](#{kind.__name__.lower()})"
    return _KINDS[origin or kind] + _bounds(metadata)


def _unsaid(kind: Any) -> bool:
    """Whether a kind of value is for Python only, or stands for a value that is left out."""
    if get_origin(kind) is Annotated:
        return any(isinstance(one, SkipJsonSchema) for one in get_args(kind)) or _unsaid(
            get_args(kind)[0]
        )
    return kind is NoneType


def _bounds(metadata: Iterable[Any]) -> str:
    known: dict[str, Any] = {}
    for one in metadata:
        parts = one.metadata if isinstance(one, FieldInfo) else [one]
        for part in parts:
            for bound in (annotated_types.Ge, annotated_types.Gt, annotated_types.Le):
                if isinstance(part, bound):
                    known[bound.__name__] = getattr(part, bound.__name__.lower())
    if known.keys() == {"Ge", "Le"}:
        return f", {known['Ge']} to {known['Le']}"
    words = {"Ge": "at least", "Gt": "above", "Le": "at most"}
    return "".join(f", {words[name]} {value}" for name, value in known.items())


def _commands() -> dict[str, argparse.ArgumentParser]:
    [commands] = [
        action
        for action in parser()._actions  # argparse has no public list
        if isinstance(action, argparse._SubParsersAction)
    ]
    return dict(commands.choices)


def _command(command: argparse.ArgumentParser) -> str:
    return _table(
        ("argument", "meaning"),
        (
            (f"`{_written(action)}`", (action.help or "") % vars(action))
            for action in command._actions
            if action.dest != "help"
        ),
    )


def _written(action: argparse.Action) -> str:
    value = action.metavar or "|".join(action.choices or ())
    if action.option_strings:
        return f"{action.option_strings[-1]} {value}".strip()
    return str(value) if action.nargs is None else f"[{value}{' ...' * (action.nargs == '*')}]"


if __name__ == "__main__":
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{README}: {len(tables())} tables\n")
