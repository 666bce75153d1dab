"""A request for branches, checked as a whole before any call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prefect_llm_reports.tasks.branches.programs import check_program
from prefect_llm_reports.tasks.branches.questions import Asker, Inquiry, gather_inquiries
from prefect_llm_reports.tasks.contract.branches import Branch, BranchOptions
from prefect_llm_reports.tasks.contract.errors import BadInput
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
from prefect_llm_reports.tasks.llm.endpoint import Endpoint
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
        warnings: What a person should know.
    """

    asker: Asker
    inquiries: list[Inquiry]
    endpoints: dict[str | None, list[Endpoint]]
    output: Place | None
    store: str
    warnings: list[str]


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
    checked = Collected(problems)
    if not model.strip():
        problems.append("model is empty; name one, or use the model 'offline'")
    chosen = checked(lambda: checked_options(BranchOptions, options)) or BranchOptions()
    program = checked(lambda: check_program(branches, merge, model, chosen))
    gathered = checked(lambda: gather_inquiries(queries, file_given(queries_file, "queries")))
    endpoints: dict[str | None, list[Endpoint]] = {}
    nodes = program.nodes if program else ()
    for name in dict.fromkeys([None, *(node.branch.endpoint for node in nodes)]):
        reached = checked(
            lambda name=name: endpoint_for(model, saved.get(name or endpoint or ""), settings)
        )
        if reached is None:
            continue
        endpoints[name] = [reached, *fallback_endpoints(chosen, reached, saved, settings)]
        models = {node.branch.model or model for node in nodes if node.branch.endpoint == name}
        if name is None and merge in ("best", "synthesize"):
            models.add(chosen.merge_model or model)
        checked(lambda models=models, reached=reached: check_priced(chosen, models, reached))
    place = checked(lambda: writable_place(output)) if output else None
    store = store_location(chosen.store, settings)
    checked(lambda: writable_place(store, private=True))
    if program and gathered:
        for inquiry in gathered[0]:
            checked(lambda inquiry=inquiry: program.check_input(inquiry.query))
            if len(problems) > 20:
                break
    if problems or program is None or gathered is None:
        raise BadInput(*dict.fromkeys(problems))
    asker = Asker(program, {name: found[0].base_url for name, found in endpoints.items()})
    return CheckedProgram(asker, gathered[0], endpoints, place, store, gathered[1])
