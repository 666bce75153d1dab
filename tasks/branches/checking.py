"""A request for branches, checked as a whole before any call.

Here: which checks it needs, all made before any problem is reported. Not here: the program itself
(`programs`), checks that other requests need too (`inputs.requests`).
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic_core import to_jsonable_python

from prefect_llm_reports.tasks.branches.programs import Program, check_program
from prefect_llm_reports.tasks.branches.questions import Asker, Inquiry, gather_inquiries
from prefect_llm_reports.tasks.contract.branches import BranchOptions, Query
from prefect_llm_reports.tasks.contract.choices import ASKING_MERGES, DEFAULT_MODEL
from prefect_llm_reports.tasks.contract.records import OFFLINE
from prefect_llm_reports.tasks.contract.requests import BranchesRequest
from prefect_llm_reports.tasks.contract.run_requests import KeptBranches
from prefect_llm_reports.tasks.contract.settings import Settings, store_location
from prefect_llm_reports.tasks.inputs.files import read_file
from prefect_llm_reports.tasks.inputs.problems import LISTED
from prefect_llm_reports.tasks.inputs.requests import (
    Collected,
    Saved,
    check_priced,
    checked_options,
    endpoints_for,
    model_named,
    writable_place,
)
from prefect_llm_reports.tasks.llm.endpoint import Endpoint
from prefect_llm_reports.tasks.results.index import foreign_index
from prefect_llm_reports.tasks.runtime.descriptors import check_descriptors
from prefect_llm_reports.tasks.runtime.trace_export import check_tracing
from prefect_llm_reports.tasks.storage.places import Place


@dataclass(frozen=True)
class CheckedProgram:
    """A program of branches that can be started over its inputs.

    Attributes:
        asker: The program and where its questions go.
        inquiries: The inputs.
        endpoints: Where to ask, in order, by name of a saved endpoint; None: the run's.
        output: Where result directories go; None: nowhere.
        store: Where answers are kept.
        warnings: Warnings about the request.
        saved_endpoint: Name of the saved endpoint; None: the environment's.
    """

    asker: Asker
    inquiries: list[Inquiry]
    endpoints: dict[str | None, list[Endpoint]]
    output: Place | None
    store: str
    warnings: list[str]
    saved_endpoint: str | None = None

    @property
    def kept(self) -> KeptBranches | None:
        """The request as it is kept; None: a form is a Python class, which no file can hold."""
        program = self.asker.program
        branches = [node.branch for node in program.nodes]
        classes = [b.python_model("output") or b.python_model("takes") for b in branches]
        if any(classes):
            return None
        return KeptBranches(
            queries=tuple(
                one.text if isinstance(one.query, Query) else to_jsonable_python(one.query)
                for one in self.inquiries
            ),
            branches=tuple(b.model_dump(mode="json", exclude_defaults=True) for b in branches),
            merge=program.merge,
            options={
                "endpoint": self.endpoints[None][0].base_url,
                "model": program.model,
                **program.options.model_dump(mode="json", exclude_defaults=True),
            },
            saved_endpoint=self.saved_endpoint,
        )


def check_branches(request: BranchesRequest, settings: Settings, saved: Saved) -> CheckedProgram:
    """Check a program of branches and its inputs as a whole.

    Args:
        request: The request.
        settings: The environment.
        saved: The saved endpoints that the request names.

    Raises:
        BadInput: With every problem found.
    """
    checked = Collected()
    model = checked(lambda: model_named(request.model, request.endpoint, saved))
    options = checked_options(BranchOptions, request.options, checked.problems)
    program = checked(
        lambda: check_program(request.branches, request.merge, model or DEFAULT_MODEL, options)
    )
    gathered = checked(
        lambda: gather_inquiries(request.queries, read_file(request.queries_file, "queries"))
    )
    endpoints: dict[str | None, list[Endpoint]] = {}
    if model:
        endpoints = _endpoints(request, model, options, program, settings, saved, checked)
    quote, output = options.quote, request.output
    place = checked(lambda: writable_place(output, only_read=quote)) if output else None
    store = checked(lambda: store_location(options.store, settings)) or ""
    kept = checked(lambda: writable_place(store, private=True, only_read=quote)) if store else None
    checked(lambda: check_tracing(options.trace))
    checked(lambda: check_descriptors(0 if model == OFFLINE else options.concurrency))
    for inquiry in gathered[0] if program and gathered else ():
        checked(lambda inquiry=inquiry: program and program.check_input(inquiry.query))
        if len(checked.problems) > LISTED:
            break
    checked.refuse()
    assert program  # each check either gave a result or found a problem
    assert gathered
    asker = Asker(program, {name: found[0].base_url for name, found in endpoints.items()})
    inquiries, warnings = gathered
    warnings += [*place.warnings, *foreign_index(place)] if place else []
    warnings += kept.warnings if kept else []
    saved_name = request.endpoint or None
    return CheckedProgram(asker, inquiries, endpoints, place, store, warnings, saved_name)


def _endpoints(
    request: BranchesRequest,
    model: str,
    options: BranchOptions,
    program: Program | None,
    settings: Settings,
    saved: Saved,
    checked: Collected,
) -> dict[str | None, list[Endpoint]]:
    """Where to ask, by name of a saved endpoint that a branch names; None: the run's."""
    found: dict[str | None, list[Endpoint]] = {}
    nodes = program.nodes if program else ()
    for name in dict.fromkeys([None, *(node.branch.endpoint for node in nodes)]):
        reached = checked(
            lambda name=name: endpoints_for(
                model, name or request.endpoint, options, saved, settings
            )
        )
        if not reached:
            continue
        found[name] = reached
        models = {node.branch.model or model for node in nodes if node.branch.endpoint == name}
        if name is None and request.merge in ASKING_MERGES:
            models.add(options.merge_model or model)
        checked(lambda models=models, reached=reached: check_priced(options, models, reached))
    return found
