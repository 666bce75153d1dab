"""A request for a batch of reports, checked as a whole before any call.

Here: which checks it needs, all made before any problem is reported. Not here: checks that other
requests need too (`inputs.requests`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from prefect_llm_reports.tasks.calls.prompts import check_templates, unused_templates
from prefect_llm_reports.tasks.contract.choices import ROUNDS, SCORES, Format
from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.options import ReportOptions
from prefect_llm_reports.tasks.contract.records import OFFLINE
from prefect_llm_reports.tasks.contract.reports import Topic
from prefect_llm_reports.tasks.contract.requests import BatchRequest
from prefect_llm_reports.tasks.contract.settings import Settings, store_location
from prefect_llm_reports.tasks.inputs.files import read_file
from prefect_llm_reports.tasks.inputs.problems import first
from prefect_llm_reports.tasks.inputs.requests import (
    Collected,
    Saved,
    check_priced,
    checked_options,
    endpoints_for,
    model_named,
    writable_place,
)
from prefect_llm_reports.tasks.inputs.topics import ColumnNames, gather_topics
from prefect_llm_reports.tasks.llm.endpoint import Endpoint
from prefect_llm_reports.tasks.pages.own_templates import check_page_templates
from prefect_llm_reports.tasks.reports.questions import Plan
from prefect_llm_reports.tasks.results.index import foreign_index
from prefect_llm_reports.tasks.runtime.descriptors import check_descriptors
from prefect_llm_reports.tasks.runtime.trace_export import check_tracing
from prefect_llm_reports.tasks.sources.library import Library
from prefect_llm_reports.tasks.storage.places import Place

MOST_KINDS = 20
"""Sets of columns with which templates are tried."""
MADE_WITH: dict[Format, tuple[str, str]] = {
    "pdf": ("typst", "typst"),
    "docx": ("docx", "python-docx"),
}
"""The module that each optional format needs, and its package."""


@dataclass(frozen=True)
class CheckedBatch:
    """A batch that can be started.

    Attributes:
        topics: The topics, each once.
        plan: How the reports are made.
        endpoints: Where to ask, in order.
        output: Where result directories go.
        store: Where answers are kept.
        warnings: Warnings about the request.
        location: The output, as other processes find it too.
        saved_endpoint: Name of the saved endpoint; None: the environment's.
        library: The sources that reports may quote; None: there are none.
    """

    topics: list[Topic]
    plan: Plan
    endpoints: list[Endpoint]
    output: Place
    store: str
    warnings: list[str]
    location: str
    saved_endpoint: str | None = None
    library: Library | None = None


def check_batch(request: BatchRequest, settings: Settings, saved: Saved) -> CheckedBatch:
    """Check a batch's request as a whole.

    Args:
        request: The request.
        settings: The environment.
        saved: The saved endpoints that the request names.

    Raises:
        BadInput: With every problem found.
    """
    checked = Collected()
    checked(lambda: _check_numbers(request))
    options = checked_options(ReportOptions, request.options, checked.problems)
    gathered = checked(
        lambda: gather_topics(
            request.topics,
            read_file(request.topics_file, "topics"),
            ColumnNames(options.topic_column, options.guidance_column),
        )
    )
    model = checked(lambda: model_named(request.model, request.endpoint, saved))
    endpoints = checked(
        lambda: endpoints_for(model or "", request.endpoint, options, saved, settings)
    )
    place = checked(lambda: writable_place(request.output, only_read=options.quote))
    store = checked(lambda: store_location(options.store, settings)) or ""
    kept = (
        checked(lambda: writable_place(store, private=True, only_read=options.quote))
        if store
        else None
    )
    topics_there = gathered[0] if gathered else ()
    rows = _kinds_of_rows(topics_there)
    checked(lambda: check_templates(options, rows))
    checked(lambda: check_page_templates(options, rows))
    checked(lambda: _check_makeable(options))
    checked(lambda: check_tracing(options.trace))
    connections = 0 if model == OFFLINE else options.concurrency // options.shards
    checked(lambda: check_descriptors(connections))
    if model and endpoints:
        names = [*options.models(model).values(), *(c.model or model for c in options.critics)]
        checked(lambda: check_priced(options, names, endpoints or ()))
    library = checked(lambda: _library_of(options, topics_there, settings))
    checked.refuse()
    assert model  # each check either gave a result or found a problem
    assert endpoints
    assert gathered
    assert place
    served = options.pages_url or settings.pages_of(place.where)
    plan = Plan(
        endpoint=endpoints[0].base_url,
        model=model,
        max_iterations=request.max_iterations,
        quality_threshold=request.quality_threshold,
        options=options.model_copy(update={"pages_url": served}),
    )
    topics, warnings = gathered
    warnings += [*place.warnings, *(kept.warnings if kept else ()), *foreign_index(place)]
    warnings += [*first(library.warnings), *unused_templates(options)] if library else []
    location = request.output if place.on_network else place.where
    saved_name = request.endpoint or None
    return CheckedBatch(
        topics, plan, endpoints, place, store, warnings, location, saved_name, library
    )


def _library_of(
    options: ReportOptions, topics: Sequence[Topic], settings: Settings
) -> Library | None:
    """The sources of a batch, read; None: it has none."""
    if not (options.sources or any(topic.sources or topic.row for topic in topics)):
        return None
    from prefect_llm_reports.tasks.sources.opening import open_library  # most batches need it not

    return open_library(
        options.sources, topics, words=options.evidence_words, roots=settings.sources
    )


def _kinds_of_rows(topics: Iterable[Topic]) -> list[dict[str, str]]:
    """A row for each set of columns that topics have; templates are tried with them."""
    kinds: dict[tuple[str, ...], dict[str, str]] = {}
    for topic in topics:
        kinds.setdefault(tuple(topic.row), topic.row)
    return list(kinds.values())[:MOST_KINDS] or [{}]


def _check_numbers(request: BatchRequest) -> None:
    problems: list[str] = []
    if not ROUNDS.holds(request.max_iterations):
        problems.append(f"max_iterations is {request.max_iterations}; give {ROUNDS}")
    if not SCORES.holds(request.quality_threshold):
        problems.append(f"quality_threshold is {request.quality_threshold:g}; give {SCORES}")
    if problems:
        raise BadInput(*problems)


def _check_makeable(options: ReportOptions) -> None:
    """Refuse formats that need an extra which is not installed."""
    missing = [
        f"format {name}: needs {MADE_WITH[name][1]}, which is not installed;"
        f" pip install 'prefect-llm-reports[{name}]'"
        for name in options.formats
        if find_spec(MADE_WITH[name][0]) is None
    ]
    if missing:
        raise BadInput(*missing)
