"""What a run needs, checked before any call: input, options, endpoint, prices, output, store.

All problems are found together, so that a person corrects them in one go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from pydantic import SecretStr, ValidationError

from tasks.asking import Plan
from tasks.branches import Branch, BranchOptions
from tasks.errors import BadInput, StorageError
from tasks.exchange import Endpoint
from tasks.inquiries import Asker, Inquiry, gather_inquiries
from tasks.options import CallOptions, Format, ReportOptions
from tasks.page_templates import check_page_templates
from tasks.pricing import PriceList
from tasks.programs import check_program
from tasks.prompts import check_templates
from tasks.schemas import OFFLINE, Topic
from tasks.settings import Settings, checked_base_url, store_location
from tasks.storage import Place, open_place
from tasks.topics import gather_topics
from tasks.transport import OFFLINE_URL

OPENAI_URL = "https://api.openai.com/v1"
MADE_WITH: dict[Format, tuple[str, str]] = {
    "pdf": ("typst", "typst"),
    "docx": ("docx", "python-docx"),
}
"""What each optional format needs: a module, and the package that it comes in."""

T = TypeVar("T")
Options = TypeVar("Options", bound=CallOptions)


@dataclass(frozen=True)
class CheckedProgram:
    """A program of branches that can be started over its inputs.

    Attributes:
        asker: The program and where its questions go.
        inquiries: The inputs.
        endpoints: Where to ask, in order, by name of a saved endpoint; None: the run's.
        output: Where result directories go; None: nowhere.
        store: Where answers are kept.
        warnings: What a person should know.
    """

    asker: Asker
    inquiries: list[Inquiry]
    endpoints: dict[str | None, list[Endpoint]]
    output: Place | None
    store: str
    warnings: list[str]


@dataclass(frozen=True)
class CheckedBatch:
    """A batch that can be started.

    Attributes:
        location: The output, as other processes find it too.
    """

    topics: list[Topic]
    plan: Plan
    endpoints: list[Endpoint]
    output: Place
    store: str
    warnings: list[str]
    location: str


def check_batch(
    *,
    topics: Sequence[str | Mapping[str, Any] | Topic] | None,
    topics_file: str | None,
    max_iterations: int,
    quality_threshold: float,
    model: str,
    output: str,
    saved: Mapping[str, Endpoint],
    endpoint: str | None,
    options: ReportOptions | Mapping[str, Any] | None,
    settings: Settings,
) -> CheckedBatch:
    """Check a batch's request as a whole.

    Args:
        topics: Topics given directly.
        topics_file: Name of a file with topics.
        max_iterations: Critique rounds, 1 to 10.
        quality_threshold: Score to accept at, 1 to 10.
        model: Model of all steps that no option overrides; "offline" for the embedded engine.
        output: Where result directories go.
        saved: The saved endpoints that the request names.
        endpoint: Name of the endpoint to use; None: the environment's.
        options: Everything else.
        settings: The environment.

    Raises:
        BadInput: With every problem found.
    """
    problems: list[str] = []
    checked = _Collected(problems)
    if not 1 <= max_iterations <= 10:
        problems.append(f"max_iterations is {max_iterations}; give 1 to 10")
    if not 1 <= quality_threshold <= 10:
        problems.append(f"quality_threshold is {quality_threshold:g}; give 1 to 10")
    if not model.strip():
        problems.append("model is empty; name one, or use the model 'offline'")
    chosen = checked(lambda: _options(ReportOptions, options))
    gathered = checked(lambda: gather_topics(topics, _file(topics_file, "topics")))
    reached = checked(lambda: _endpoint(model, saved[endpoint] if endpoint else None, settings))
    place = checked(lambda: _writable(output))
    store = store_location(chosen.store if chosen else None, settings)
    checked(lambda: _writable(store, private=True))
    if chosen:
        checked(lambda: check_templates(chosen))
        checked(lambda: check_page_templates(chosen))
        checked(lambda: _makeable(chosen))
        if reached:
            names = [*chosen.models(model).values(), *(c.model or model for c in chosen.critics)]
            checked(lambda: _priced(chosen, names, reached))
    if problems or chosen is None or gathered is None or reached is None or place is None:
        raise BadInput(*problems)
    plan = Plan(
        endpoint=reached.base_url,
        model=model,
        max_iterations=max_iterations,
        quality_threshold=quality_threshold,
        options=chosen,
    )
    endpoints = [reached, *_fallbacks(chosen, reached, saved, settings)]
    location = output if place.on_network else place.where
    return CheckedBatch(gathered[0], plan, endpoints, place, store, gathered[1], location)


def check_branches(
    *,
    queries: Sequence[Any] | None,
    queries_file: str | None = None,
    branches: Sequence[Branch | Mapping[str, Any]] | None,
    merge: str,
    model: str,
    output: str | None,
    saved: Mapping[str, Endpoint],
    endpoint: str | None,
    options: BranchOptions | Mapping[str, Any] | None,
    settings: Settings,
) -> CheckedProgram:
    """Check a program of branches and its inputs as a whole.

    Args:
        queries: Inputs given directly.
        queries_file: Name of a file with inputs, added to those.
        branches: The branches; None: two of `AnswerWithThinking`.
        merge: How outputs are merged.
        model: Model of the branches that name none; "offline" for the embedded engine.
        output: Where result directories go; None: nowhere.
        saved: The saved endpoints that the request names.
        endpoint: Name of the endpoint to use; None: the environment's.
        options: Everything else.
        settings: The environment.

    Raises:
        BadInput: With every problem found.
    """
    problems: list[str] = []
    checked = _Collected(problems)
    if not model.strip():
        problems.append("model is empty; name one, or use the model 'offline'")
    chosen = checked(lambda: _options(BranchOptions, options)) or BranchOptions()
    program = checked(lambda: check_program(branches, merge, model, chosen))
    gathered = checked(lambda: gather_inquiries(queries, _file(queries_file, "queries")))
    endpoints: dict[str | None, list[Endpoint]] = {}
    nodes = program.nodes if program else ()
    for name in dict.fromkeys([None, *(node.branch.endpoint for node in nodes)]):
        reached = checked(
            lambda name=name: _endpoint(model, saved.get(name or endpoint or ""), settings)
        )
        if reached is None:
            continue
        endpoints[name] = [reached, *_fallbacks(chosen, reached, saved, settings)]
        models = {node.branch.model or model for node in nodes if node.branch.endpoint == name}
        if name is None and merge in ("best", "synthesize"):
            models.add(chosen.merge_model or model)
        checked(lambda models=models, reached=reached: _priced(chosen, models, reached))
    place = checked(lambda: _writable(output)) if output else None
    store = store_location(chosen.store, settings)
    checked(lambda: _writable(store, private=True))
    if program and gathered:
        for inquiry in gathered[0]:
            checked(lambda inquiry=inquiry: program.check_input(inquiry.query))
            if len(problems) > 20:
                break
    if problems or program is None or gathered is None:
        raise BadInput(*dict.fromkeys(problems))
    asker = Asker(program, {name: found[0].base_url for name, found in endpoints.items()})
    return CheckedProgram(asker, gathered[0], endpoints, place, store, gathered[1])


class _Collected:
    """Runs checks one after the other and collects what they find wrong."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems

    def __call__(self, check: Callable[[], T]) -> T | None:
        try:
            return check()
        except BadInput as bad:
            self.problems.extend(bad.problems)
        return None


def _fallbacks(
    options: CallOptions, reached: Endpoint, saved: Mapping[str, Endpoint], settings: Settings
) -> list[Endpoint]:
    return [
        replace(
            _endpoint(other.model, saved[other.endpoint], settings) if other.endpoint else reached,
            model=other.model,
        )
        for other in options.fallbacks
    ]


def _options(kind: type[Options], options: Options | Mapping[str, Any] | None) -> Options:
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


def _file(name: str | None, what: str) -> tuple[str, bytes] | None:
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


def _endpoint(model: str, endpoint: Endpoint | None, settings: Settings) -> Endpoint:
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


def _writable(location: str, *, private: bool = False) -> Place:
    place = open_place(location, private=private)
    place.probe()
    return place


def _makeable(options: ReportOptions) -> None:
    """Formats that need an extra are refused where it is not installed."""
    missing = [
        f"format {name}: needs {MADE_WITH[name][1]}, which is not installed;"
        f" pip install 'prefect-llm-reports[{name}]'"
        for name in options.formats
        if find_spec(MADE_WITH[name][0]) is None
    ]
    if missing:
        raise BadInput(*missing)


def _priced(options: CallOptions, models: Iterable[str], endpoint: Endpoint) -> None:
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
