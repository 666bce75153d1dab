"""`llm-reports doctor`: is everything there that a run needs, and what to do where it is not.

Nothing here costs money: the endpoint is asked for its list of models. Not here: the checks of a
run's request, which a run makes itself (`tasks.reports.checking`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from prefect.settings import get_current_settings
from rich.console import Console

from prefect_llm_reports.flows.cli import statuses
from prefect_llm_reports.flows.cli.server import reach_server
from prefect_llm_reports.tasks.contract.errors import BadInput, CallError, StorageError
from prefect_llm_reports.tasks.contract.records import OFFLINE
from prefect_llm_reports.tasks.contract.settings import Settings, store_location
from prefect_llm_reports.tasks.inputs.requests import endpoint_for, model_named, writable_place
from prefect_llm_reports.tasks.llm.blocks import LLMEndpoint, saved_endpoints
from prefect_llm_reports.tasks.llm.client import Client
from prefect_llm_reports.tasks.llm.endpoint import Endpoint
from prefect_llm_reports.tasks.llm.pricing import PriceList
from prefect_llm_reports.tasks.llm.transport import host_of
from prefect_llm_reports.tasks.text.figures import counted
from prefect_llm_reports.tasks.text.foreign import printable, printable_json
from prefect_llm_reports.tasks.text.spelling import did_you_mean

State = Literal["good", "note", "bad"]
MARKS: dict[State, str] = {"good": "✓", "note": "·", "bad": "✗"}
EXTRAS = {
    "pdf": "typst",
    "docx": "docx",
    "xlsx": "openpyxl",
    "otel": "opentelemetry.sdk",
    "dask": "prefect_dask",
    "server": "prefect_redis",
}
"""The module that shows whether an extra is installed."""
LEAST_FREE = 1_000_000_000
"""Bytes on the disk of the store below which there is a note."""
MILLION = 1_000_000


class Check(NamedTuple):
    """One line of the doctor's.

    Attributes:
        name: What was looked at.
        state: `bad`: no run can begin; `note`: worth knowing.
        found: What was found, with what to do where it is bad.
    """

    name: str
    state: State
    found: str


def doctor(chosen: argparse.Namespace) -> int:
    """Look at everything, say what is there, and return the exit status.

    Args:
        chosen: The parsed command line.
    """
    if chosen.base_url:
        os.environ["OPENAI_BASE_URL"] = chosen.base_url
    found: list[Check] = []
    for check in _checks(chosen):
        found.append(check)
        if not chosen.json:
            line = f"{MARKS[check.state]} {check.name}: {check.found}"
            sys.stdout.write(printable(line) + "\n")
            sys.stdout.flush()
    if chosen.json:
        document = {"good": _all_good(found), "checks": [check._asdict() for check in found]}
        sys.stdout.write(printable_json(json.dumps(document, indent=2)) + "\n")
    return statuses.COMPLETE if _all_good(found) else statuses.BAD_INPUT


def _all_good(found: list[Check]) -> bool:
    return all(check.state != "bad" for check in found)


def _checks(chosen: argparse.Namespace) -> Iterator[Check]:
    names = ("prefect-llm-reports", "prefect", "openai")
    yield Check("Python", "good", f"{platform.python_version()}, {sys.executable}")
    yield Check("versions", "good", ", ".join(f"{name} {version(name)}" for name in names))
    server = _looked_at("Prefect server", _server)
    yield server
    yield Check("Prefect home", *_home())
    yield from _of_the_endpoint(chosen, server)
    yield _looked_at("store", _store)
    yield _looked_at("output", lambda: ("good", _place(chosen.output, private=False)))
    yield Check("extras", "note", _extras())


def _looked_at(name: str, look: Callable[[], tuple[State, str]]) -> Check:
    """A check whose problem is what a run would say."""
    try:
        return Check(name, *look())
    except BadInput as bad:
        return Check(name, "bad", "; ".join(bad.problems))
    except StorageError as error:
        return Check(name, "bad", str(error))


def _server() -> tuple[State, str]:
    settings = get_current_settings()
    url = settings.api.url
    if url or not settings.server.ephemeral.enabled:
        reach_server(Console(stderr=True), embedded=False)
        return "good", f"answers at {host_of(str(url))}"
    return "good", "none is set; each run starts an embedded one (set PREFECT_API_URL for your own)"


def _home() -> tuple[State, str]:
    home = get_current_settings().home
    at = next((folder for folder in (home, *home.parents) if folder.exists()), home)
    if not os.access(at, os.W_OK):
        return "bad", f"{home} is not writable; set PREFECT_HOME to a folder of yours"
    return "good", str(home)


def _of_the_endpoint(chosen: argparse.Namespace, server: Check) -> Iterator[Check]:
    """Address, key, model and price of the endpoint that a run would ask."""
    settings, name = Settings(), chosen.endpoint
    saved: dict[str, LLMEndpoint] = {}
    try:
        if name:
            if server.state == "bad" or not get_current_settings().api.url:
                raise BadInput(
                    f"the block {name} cannot be read without a Prefect server of yours; set"
                    " PREFECT_API_URL"
                )
            saved = asyncio.run(saved_endpoints([name]))
        model = model_named(chosen.model, name, saved)
        endpoint = endpoint_for(model, saved[name].endpoint() if name else None, settings)
    except BadInput as bad:
        yield Check("endpoint", "bad", "; ".join(bad.problems))
        return
    if model == OFFLINE:
        yield Check("endpoint", "good", "the embedded engine: no network, no key, no cost")
        return
    key = "with a key" if endpoint.api_key.get_secret_value() != "none" else "without a key"
    state, said, models = asyncio.run(_asked(endpoint))
    yield Check("endpoint", state, f"{host_of(endpoint.base_url)}, {key}: {said}")
    yield Check("model", *_model(model, models))
    yield Check("price", *_price(model, endpoint))


async def _asked(endpoint: Endpoint) -> tuple[State, str, list[str]]:
    """What the endpoint answers to a request for its models, and their names."""
    async with AsyncExitStack() as resources:
        try:
            client = await Client.opened(endpoint, 1, resources)
            response = await client.models()
        except TimeoutError:
            return "bad", "no answer in time; check the address and the network", []
        except CallError as error:
            said = str(error)
            mend = "" if ";" in said else "; check the address and that the endpoint is running"
            return "bad", f"{said}{mend}", []
    if response.status in (401, 403):
        return (
            "bad",
            f"refuses the key ({response.status}); correct OPENAI_API_KEY or the block",
            [],
        )
    if response.status >= 500:
        return "bad", f"answers {response.status}; try again, or look at its log", []
    try:
        listed: Any = json.loads(response.body)
        found = [str(one["id"]) for one in listed["data"]]
    except (ValueError, TypeError, KeyError):
        found = cast("list[str]", [])
    if response.status != 200 or not found:
        return "note", f"answers, and lists no models ({response.status}); a run will tell", []
    return "good", f"answers, {counted(len(found), 'model')}", found


def _model(model: str, known: list[str]) -> tuple[State, str]:
    if not known:
        return "note", f"{model}; whether the endpoint has it cannot be told"
    if model in known:
        return "good", model
    near = did_you_mean(model, known)
    return "note", f"{model} is not in the endpoint's list{near or '; choose one with --model'}"


def _price(model: str, endpoint: Endpoint) -> tuple[State, str]:
    prices = PriceList(endpoint.base_url, endpoint.prices)
    sent, written = prices.worst(model, MILLION, 0), prices.worst(model, 0, MILLION)
    if sent is None or written is None:
        return "note", (
            f"of {model} unknown, so costs are unknown and no budget can be kept; give it in"
            " LLM_REPORTS_PRICES or the option `prices`"
        )
    flex = ", flex is cheaper" if prices.cheaper(model, "flex") else ""
    return "good", (f"at most {sent:.2f} USD for a million tokens in, {written:.2f} USD out{flex}")


def _store() -> tuple[State, str]:
    location = store_location(None, Settings())
    said = _place(location, private=True)
    path = Path(location)
    if path.is_dir() and (free := shutil.disk_usage(path).free) < LEAST_FREE:
        return "note", f"{said}; {free / MILLION:,.0f} MB are free on its disk"
    return "good", said


def _place(location: str, *, private: bool) -> str:
    place = writable_place(location, private=private)
    return "; ".join([f"{place.where} is writable", *place.warnings])


def _extras() -> str:
    there = [name for name, module in EXTRAS.items() if _is_there(module)]
    missing = [name for name in EXTRAS if name not in there]
    said = f"installed: {', '.join(there) or 'none'}"
    if missing:
        said += f"; not: {', '.join(missing)} (pip install 'prefect-llm-reports[{missing[0]}]')"
    return said


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
