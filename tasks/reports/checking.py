"""A request for a batch of reports, checked as a whole before any call.

Here: which checks it needs, all made before any problem is reported. Not here: checks that other
requests need too (`inputs.requests`).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from prefect_llm_reports.tasks.calls.prompts import check_templates
from prefect_llm_reports.tasks.contract.choices import ROUNDS, SCORES, Format
from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.options import ReportOptions
from prefect_llm_reports.tasks.contract.reports import Topic
from prefect_llm_reports.tasks.contract.requests import BatchRequest
from prefect_llm_reports.tasks.contract.settings import Settings, store_location
from prefect_llm_reports.tasks.inputs.files import read_file
from prefect_llm_reports.tasks.inputs.requests import (
    Collected,
    Saved,
    check_priced,
    checked_options,
    endpoints_for,
    model_named,
    writable_place,
)
from prefect_llm_reports.tasks.inputs.topics import gather_topics
from prefect_llm_reports.tasks.llm.endpoint import Endpoint
from prefect_llm_reports.tasks.pages.own_templates import check_page_templates
from prefect_llm_reports.tasks.reports.questions import Plan
from prefect_llm_reports.tasks.storage.places import Place

MADE_WITH: dict[Format, tuple[str, str]] = {
    "pdf": ("typst", "typst"),
    "docx": ("docx", "python-docx"),
}
"""What each optional format needs: a module, and the package that it comes in."""


@dataclass(frozen=True)
class CheckedBatch:
    """A batch that can be started.

    Attributes:
        topics: What to report on, each once.
        plan: How the reports are made.
        endpoints: Where to ask, in order.
        output: Where result directories go.
        store: Where answers are kept.
        warnings: What a person should know.
        location: The output, as other processes find it too.
    """

    topics: list[Topic]
    plan: Plan
    endpoints: list[Endpoint]
    output: Place
    store: str
    warnings: list[str]
    location: str


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
        lambda: gather_topics(request.topics, read_file(request.topics_file, "topics"))
    )
    model = checked(lambda: model_named(request.model, request.endpoint, saved))
    endpoints = checked(
        lambda: endpoints_for(model or "", request.endpoint, options, saved, settings)
    )
    place = checked(lambda: writable_place(request.output))
    store = store_location(options.store, settings)
    checked(lambda: writable_place(store, private=True))
    checked(lambda: check_templates(options))
    checked(lambda: check_page_templates(options))
    checked(lambda: _check_makeable(options))
    if model and endpoints:
        names = [*options.models(model).values(), *(c.model or model for c in options.critics)]
        reached = endpoints[0]
        checked(lambda: check_priced(options, names, reached))
    checked.refuse()
    assert model  # each check either gave a result or found a problem
    assert endpoints
    assert gathered
    assert place
    plan = Plan(
        endpoint=endpoints[0].base_url,
        model=model,
        max_iterations=request.max_iterations,
        quality_threshold=request.quality_threshold,
        options=options,
    )
    topics, warnings = gathered
    location = request.output if place.on_network else place.where
    return CheckedBatch(topics, plan, endpoints, place, store, warnings, location)


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
