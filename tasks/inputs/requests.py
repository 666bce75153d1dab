"""Checks that every request shares: options, endpoints, prices, output, store.

Here: checks made before any call, each of which says what is wrong and what to do. Not here: which
of them a request needs (`reports.checking`, `branches.checking`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import SecretStr

from prefect_llm_reports.tasks.contract.call_options import CallOptions
from prefect_llm_reports.tasks.contract.choices import DEFAULT_MODEL
from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.records import OFFLINE
from prefect_llm_reports.tasks.contract.settings import Settings, checked_base_url
from prefect_llm_reports.tasks.inputs.problems import read_model
from prefect_llm_reports.tasks.llm.endpoint import Endpoint
from prefect_llm_reports.tasks.llm.pricing import PriceList
from prefect_llm_reports.tasks.llm.transport import OFFLINE_URL
from prefect_llm_reports.tasks.storage.places import Place, open_place

if TYPE_CHECKING:
    from prefect_llm_reports.tasks.llm.blocks import LLMEndpoint

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
        """Refuse the request if anything is wrong with it.

        Raises:
            BadInput: With every problem, once each.
        """
        if self.problems:
            raise BadInput(*dict.fromkeys(self.problems))


def checked_options(
    kind: type[Options], options: Options | Mapping[str, Any] | None, problems: list[str]
) -> Options:
    """Options as a model; wrong ones are added to the problems and left at their defaults.

    Args:
        kind: The model.
        options: As given; None: the defaults.
        problems: Takes a sentence for each that is wrong.
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
        BadInput: There is none, or its address is not acceptable.
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
    chosen = endpoint_for(model, saved[name].endpoint() if name else None, settings)
    found = [chosen]
    for other in options.fallbacks:
        at = chosen
        if other.endpoint:
            at = endpoint_for(other.model, saved[other.endpoint].endpoint(), settings)
        found.append(replace(at, model=other.model))
    return found


def writable_place(location: str, *, private: bool = False) -> Place:
    """A place that a probe could write to.

    Args:
        location: A folder, or an address in S3.
        private: Files are for this user only.

    Raises:
        BadInput: It cannot be written to.
    """
    place = open_place(location, private=private)
    place.probe()
    return place


def check_priced(options: CallOptions, models: Iterable[str], endpoint: Endpoint) -> None:
    """Check that every model has a price, without which no budget can be kept.

    Args:
        options: With or without a budget.
        models: The models that are asked; fallbacks are added.
        endpoint: Where they are asked; the embedded engine costs nothing.

    Raises:
        BadInput: A price is unknown, or flex is asked for and is not cheaper.
    """
    if endpoint.base_url == OFFLINE_URL:
        return
    prices = PriceList(endpoint.base_url, {**endpoint.prices, **options.prices})
    models = {endpoint.model} if endpoint.model else set(models)
    dear = sorted(name for name in models if not prices.cheaper(name, "flex"))
    if options.price == "flex" and dear:
        raise BadInput(
            f"price: flex is not cheaper than standard for {', '.join(dear)} at"
            f" {endpoint.base_url}; leave `price` out, choose another model, or give its flex price"
            " in the option `prices`"
        )
    if options.budget_usd is None:
        return
    names = {*models, *(f.model for f in options.fallbacks)}
    unpriced = sorted(name for name in names if prices.worst(name, 1, 1) is None)
    if unpriced:
        raise BadInput(
            f"budget: the price of {', '.join(unpriced)} at {endpoint.base_url} is unknown, so no"
            " budget can be kept; give it in the option `prices` or in LLM_REPORTS_PRICES, or"
            " leave the budget out"
        )
