"""What a run needs, checked before any call: input, options, endpoint, prices, output, store.

All problems are found together, so that a person corrects them in one go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import SecretStr, ValidationError

from prefect_llm_reports.tasks.contract.errors import BadInput, StorageError
from prefect_llm_reports.tasks.contract.options import CallOptions
from prefect_llm_reports.tasks.contract.records import OFFLINE
from prefect_llm_reports.tasks.contract.settings import Settings, checked_base_url
from prefect_llm_reports.tasks.llm.endpoint import Endpoint
from prefect_llm_reports.tasks.llm.pricing import PriceList
from prefect_llm_reports.tasks.llm.transport import OFFLINE_URL
from prefect_llm_reports.tasks.storage.places import Place, open_place

OPENAI_URL = "https://api.openai.com/v1"

T = TypeVar("T")
Options = TypeVar("Options", bound=CallOptions)


class Collected:
    """Runs checks one after the other and collects what they find wrong."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems

    def __call__(self, check: Callable[[], T]) -> T | None:
        """The result of a check; None when it found problems, which are kept."""
        try:
            return check()
        except BadInput as bad:
            self.problems.extend(bad.problems)
        return None


def fallback_endpoints(
    options: CallOptions, reached: Endpoint, saved: Mapping[str, Endpoint], settings: Settings
) -> list[Endpoint]:
    """The endpoints that the options name as fallbacks, in order."""
    return [
        replace(
            endpoint_for(other.model, saved[other.endpoint], settings)
            if other.endpoint
            else reached,
            model=other.model,
        )
        for other in options.fallbacks
    ]


def checked_options(kind: type[Options], options: Options | Mapping[str, Any] | None) -> Options:
    """Options as a model; BadInput with a line for each that is wrong."""
    if isinstance(options, kind):
        return options
    try:
        return kind.model_validate(options or {})
    except ValidationError as error:
        raise BadInput(
            *(
                f"option {'.'.join(str(part) for part in e['loc'])}: {e['msg']}"
                for e in error.errors(include_url=False, include_input=False)
            )
        ) from None


def file_given(name: str | None, what: str) -> tuple[str, bytes] | None:
    """The name and the bytes of a file that a person named, in a folder or in S3."""
    if not name:
        return None
    try:
        if name.startswith(("s3://", "s3-bucket/")):
            folder, _, last = name.rpartition("/")
            body = open_place(folder).read(last)
            if body is None:
                raise BadInput(f"{what} file {name}: no such object; check bucket and key")
            return name, body
        return name, Path(name).expanduser().read_bytes()
    except StorageError as error:
        raise BadInput(f"{what} file {name}: {error}") from None
    except OSError as error:
        raise BadInput(
            f"{what} file {name}: {error.strerror}; give the path of a readable file"
        ) from None


def endpoint_for(model: str, endpoint: Endpoint | None, settings: Settings) -> Endpoint:
    """Where a model is asked: the embedded engine, a saved endpoint, or the environment's."""
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


def writable_place(location: str, *, private: bool = False) -> Place:
    """A place that a probe could write to; BadInput or StorageError says what is in the way."""
    place = open_place(location, private=private)
    place.probe()
    return place


def check_priced(options: CallOptions, models: Iterable[str], endpoint: Endpoint) -> None:
    """A budget can only be kept when every model has a price."""
    if options.budget_usd is None:
        return
    prices = PriceList(endpoint.base_url, {**endpoint.prices, **options.prices})
    names = {*models, *(f.model for f in options.fallbacks)}
    unpriced = sorted(name for name in names if prices.worst(name, 1, 1) is None)
    if unpriced:
        raise BadInput(
            f"budget: the price of {', '.join(unpriced)} at {endpoint.base_url} is unknown, so no"
            " budget can be kept; give it in the option `prices` or in LLM_REPORTS_PRICES, or"
            " leave the budget out"
        )
