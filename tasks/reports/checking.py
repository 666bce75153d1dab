"""A request for a batch of reports, checked as a whole before any call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from prefect_llm_reports.tasks.calls.prompts import check_templates
from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.options import Format, ReportOptions
from prefect_llm_reports.tasks.contract.reports import Topic
from prefect_llm_reports.tasks.contract.settings import Settings, store_location
from prefect_llm_reports.tasks.inputs.requests import (
    Collected,
    check_priced,
    checked_options,
    endpoint_for,
    fallback_endpoints,
    file_given,
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
    checked = Collected(problems)
    if not 1 <= max_iterations <= 10:
        problems.append(f"max_iterations is {max_iterations}; give 1 to 10")
    if not 1 <= quality_threshold <= 10:
        problems.append(f"quality_threshold is {quality_threshold:g}; give 1 to 10")
    if not model.strip():
        problems.append("model is empty; name one, or use the model 'offline'")
    chosen = checked(lambda: checked_options(ReportOptions, options))
    gathered = checked(lambda: gather_topics(topics, file_given(topics_file, "topics")))
    reached = checked(lambda: endpoint_for(model, saved[endpoint] if endpoint else None, settings))
    place = checked(lambda: writable_place(output))
    store = store_location(chosen.store if chosen else None, settings)
    checked(lambda: writable_place(store, private=True))
    if chosen:
        checked(lambda: check_templates(chosen))
        checked(lambda: check_page_templates(chosen))
        checked(lambda: _makeable(chosen))
        if reached:
            names = [*chosen.models(model).values(), *(c.model or model for c in chosen.critics)]
            checked(lambda: check_priced(chosen, names, reached))
    if problems or chosen is None or gathered is None or reached is None or place is None:
        raise BadInput(*problems)
    plan = Plan(
        endpoint=reached.base_url,
        model=model,
        max_iterations=max_iterations,
        quality_threshold=quality_threshold,
        options=chosen,
    )
    endpoints = [reached, *fallback_endpoints(chosen, reached, saved, settings)]
    location = output if place.on_network else place.where
    return CheckedBatch(gathered[0], plan, endpoints, place, store, gathered[1], location)


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
