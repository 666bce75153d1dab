"""Checks that every request shares: options, endpoints, prices, output, store.

Here: checks made before any call; each names a problem and the next action. Not here: the choice of
checks for a request (`reports.checking`, `branches.checking`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import SecretStr

from prefect_llm_reports.tasks.answers.locks import LOCKS, FileLocks
from prefect_llm_reports.tasks.contract.call_options import CallOptions
from prefect_llm_reports.tasks.contract.choices import DEFAULT_MODEL
from prefect_llm_reports.tasks.contract.errors import BadInput, StorageError
from prefect_llm_reports.tasks.contract.records import OFFLINE
from prefect_llm_reports.tasks.contract.settings import Settings, checked_base_url
from prefect_llm_reports.tasks.inputs.problems import read_model
from prefect_llm_reports.tasks.llm.endpoint import Endpoint
from prefect_llm_reports.tasks.llm.pricing import PriceList
from prefect_llm_reports.tasks.llm.transport import OFFLINE_URL, system_proxy
from prefect_llm_reports.tasks.storage.places import Place, open_place

if TYPE_CHECKING:
    from prefect_llm_reports.tasks.llm.blocks import LLMEndpoint

UNUSED = ".not-there"
"""Name of a file that no place has; looking for it shows whether the place can be read."""
OPENAI_URL = "https://api.openai.com/v1"

T = TypeVar("T")
Options = TypeVar("Options", bound=CallOptions)
Saved = Mapping[str, "LLMEndpoint"]
"""Saved endpoints by name."""


class Collected:
    """Runs checks one after the other and collects the problems that they find.

    Attributes:
        problems: One sentence each, in the order in which they were found.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []

    def __call__(self, check: Callable[[], T]) -> T | None:
        """The result of a check; None where it found problems."""
        try:
            return check()
        except BadInput as bad:
            self.problems += bad.problems
        return None

    def refuse(self) -> None:
        """Refuse the request if it has any problem.

        Raises:
            BadInput: With every problem, once each.
        """
        if self.problems:
            raise BadInput(*dict.fromkeys(self.problems))


def checked_options(
    kind: type[Options], options: Options | Mapping[str, Any] | None, problems: list[str]
) -> Options:
    """Options as a model; wrong ones are added to the problems and keep their defaults.

    Args:
        kind: The model.
        options: As given; None: the defaults.
        problems: Receives a sentence for each wrong option.
    """
    if isinstance(options, kind):
        return options
    given: Any = options or {}
    return read_model(kind, given, problems, "option ")


def model_named(model: str | None, endpoint: str | None, saved: Saved) -> str:
    """The model of a request: its own, else its saved endpoint's, else the project's default.

    Args:
        model: The request's; None or empty: it names none.
        endpoint: Name of its saved endpoint; None or empty: it names none.
        saved: The saved endpoints.

    Raises:
        BadInput: The name is blank.
    """
    found = model or (saved[endpoint].model if endpoint else None) or DEFAULT_MODEL
    if not found.strip():
        raise BadInput("model is blank; name one, or use the model 'offline'")
    return found


def endpoint_for(model: str, endpoint: Endpoint | None, settings: Settings) -> Endpoint:
    """The endpoint that a model is asked at.

    Args:
        model: "offline" is asked of the embedded engine, wherever else the request points.
        endpoint: A saved endpoint; None: the environment's.
        settings: The environment.

    Raises:
        BadInput: There is none, or its address or its proxy is not acceptable.
    """
    if model == OFFLINE:
        return Endpoint(OFFLINE_URL)
    if endpoint is None:
        key, url = settings.openai_api_key, settings.openai_base_url
        if not url and not (key and key.get_secret_value()):
            raise BadInput(
                "no endpoint: set OPENAI_API_KEY, or OPENAI_BASE_URL (--base-url) for a server"
                " that needs no key, or name a saved endpoint; --model offline runs without one"
            )
        endpoint = Endpoint(url or OPENAI_URL, key or SecretStr("none"))
    checked_base_url(endpoint.base_url, allow_http=settings.allow_http)
    system_proxy(endpoint.base_url)
    return replace(
        endpoint,
        base_url=endpoint.base_url.strip().rstrip("/"),
        prices={**settings.prices, **endpoint.prices},
    )


def endpoints_for(
    model: str, name: str | None, options: CallOptions, saved: Saved, settings: Settings
) -> list[Endpoint]:
    """The endpoints that a model is asked at, in order: the chosen one, then the fallbacks.

    Args:
        model: The model.
        name: Name of the chosen endpoint; None or empty: the environment's.
        options: Name the fallbacks.
        saved: The saved endpoints.
        settings: The environment.

    Raises:
        BadInput: One is missing, or its address is not acceptable.
    """
    if options.quote:  # nothing is asked, so no key is needed
        key = settings.openai_api_key or SecretStr("none")
        settings = settings.model_copy(update={"openai_api_key": key})
    chosen = endpoint_for(model, saved[name].endpoint() if name else None, settings)
    found = [chosen]
    for other in options.fallbacks:
        at = chosen
        if other.endpoint:
            at = endpoint_for(other.model, saved[other.endpoint].endpoint(), settings)
        found.append(replace(at, model=other.model))
    return found


def writable_place(location: str, *, private: bool = False, only_read: bool = False) -> Place:
    """A place that a probe could write to.

    Args:
        location: A folder, or an address in S3.
        private: It is a store of answers: files are for this user only, and each is created once.
        only_read: Nothing will be written: it is not probed, and a missing folder stays missing.

    Raises:
        BadInput: It cannot be written to, or not read, or cannot be a store.
    """
    place = open_place(location, private=private)
    if only_read:
        try:
            place.read(UNUSED)
        except StorageError as error:
            raise BadInput(f"{place.where} is not readable: {error}") from error
        return place
    place.probe()
    if private and not place.conditional:
        raise BadInput(
            f"store {place.where}: the S3 server does not support conditional writes"
            " (If-None-Match, If-Match), so two processes could pay for one answer; keep the store"
            " in a folder (LLM_REPORTS_STORE), or in a bucket of another server"
        )
    if private and not place.on_network:
        try:
            FileLocks.at(Path(place.path(LOCKS))).check()
        except StorageError as error:
            raise BadInput(f"store {place.where}: {error}") from None
    return place


def check_priced(
    options: CallOptions, models: Iterable[str], endpoints: Sequence[Endpoint]
) -> None:
    """Check that every model has the prices, at each endpoint, that the options rely on.

    Args:
        options: With or without a budget; at the standard price or another.
        models: The models that are asked where an endpoint has none of its own.
        endpoints: Where they are asked, with the fallbacks; the embedded engine costs nothing.

    Raises:
        BadInput: A price is unknown, or flex is asked for and is not cheaper.
    """
    names = set(models)
    problems: list[str] = []
    for endpoint in endpoints:
        if endpoint.base_url == OFFLINE_URL:
            continue
        prices = PriceList(endpoint.base_url, {**endpoint.prices, **options.prices})
        asked = sorted({endpoint.model} if endpoint.model else names)
        dear = [name for name in asked if not prices.cheaper(name, "flex")]
        if options.price == "flex" and dear:
            problems.append(
                f"price: flex is not cheaper than standard for {', '.join(dear)} at"
                f" {endpoint.base_url}; leave `price` out, choose another model, or give its flex"
                " price in the option `prices`"
            )
        unpriced = [name for name in asked if prices.worst(name, 1, 1) is None]
        if options.budget_usd is not None and unpriced:
            problems.append(
                f"budget: the price of {', '.join(unpriced)} at {endpoint.base_url} is unknown, so"
                " no budget can be kept; give it in the option `prices` or in LLM_REPORTS_PRICES,"
                " or leave the budget out"
            )
    if problems:
        raise BadInput(*dict.fromkeys(problems))
