"""The files that readers of branches open: output.json, output.html, manifest, the run's page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from prefect_llm_reports.tasks.branches.programs import Program
from prefect_llm_reports.tasks.branches.questions import Inquiry
from prefect_llm_reports.tasks.branches.values import Values
from prefect_llm_reports.tasks.contract.branch_results import (
    BranchBatchResult,
    BranchesResult,
    BranchManifest,
)
from prefect_llm_reports.tasks.contract.calls import StepRecord
from prefect_llm_reports.tasks.contract.money import cost_on_page
from prefect_llm_reports.tasks.contract.records import MANIFEST, OFFLINE
from prefect_llm_reports.tasks.llm.strict_schemas import Json
from prefect_llm_reports.tasks.pages.page import page
from prefect_llm_reports.tasks.pages.report import OFFLINE_BANNER, moment_text, score_text
from prefect_llm_reports.tasks.pages.runs import STATUSES, duration_text
from prefect_llm_reports.tasks.results.manifests import pretty_json, shared_fields
from prefect_llm_reports.tasks.text.figures import run_name


def branch_files(
    result: BranchesResult,
    *,
    inquiry: Inquiry,
    program: Program,
    steps: Sequence[StepRecord],
    created: datetime,
    flow_run_id: str | None,
) -> dict[str, bytes]:
    """Write the files of one input's result directory, the manifest last.

    Args:
        result: The result of the input.
        inquiry: The input.
        program: The branches.
        steps: The answered calls.
        created: When the directory is written, UTC.
        flow_run_id: The Prefect flow run.
    """
    files = {
        "output.json": pretty_json(result),
        "output.html": branches_page(result, inquiry, program).encode(),
    }
    manifest = BranchManifest(
        query=result.query,
        slug=inquiry.slug,
        status=result.status,
        merge=result.merge,
        offline=program.model == OFFLINE,
        branches=[program_entry(program, number) for number in range(len(program.nodes))],
        **shared_fields(steps, files, created=created, flow_run_id=flow_run_id),
    )
    return {**files, MANIFEST: pretty_json(manifest)}


def program_entry(program: Program, number: int) -> Json:
    """Describe a branch for the manifest, with the schema of its answer."""
    node = program.nodes[number]
    given = node.branch.model_dump(mode="json", exclude_defaults=True, exclude={"output", "takes"})
    return {**given, "model": program.model_of(node.branch.model), "schema": node.form.schema}


def branches_page(result: BranchesResult, inquiry: Inquiry, program: Program) -> str:
    """Write output.html: the input, the merge, and every branch's answer."""
    dumped, values = result.model_dump(mode="json"), Values()
    nodes = {node.name: node for node in program.nodes}
    outputs = [
        {
            **output,
            "fields": values.fields(output["output"]),
            "instructions": nodes[output["name"]].branch.instructions,
        }
        for output in dumped["outputs"]
    ]
    for ranked in dumped["ranking"] or ():
        ranked["score"] = score_text(ranked["score"])
    shown = {
        "query": inquiry.title,
        "result": dumped,
        "outputs": outputs,
        "merged": _merged_parts(values, dumped["merged"], [node.name for node in program.results]),
        "statuses": STATUSES,
        "banner": OFFLINE_BANNER if program.model == OFFLINE else "",
    }
    return page("branches", shown)


def branch_run_page(result: BranchBatchResult) -> str:
    """Write a branch run's index.html: its inputs, failures and totals."""
    dumped = result.model_dump(mode="json")
    for item in dumped["inquiries"]:
        cost = item["cost_usd"]
        item["cost"] = cost_on_page(None if cost is None else Decimal(cost))
    values = {
        "result": dumped,
        "name": run_name([item.query for item in result.inquiries]),
        "complete": sum(item.status == "complete" for item in result.inquiries),
        "started": moment_text(result.started),
        "duration": duration_text(result.duration_s),
        "cost": cost_on_page(result.cost_usd),
        "calls": {name: f"{count:,}" for name, count in dumped["calls"].items()},
        "statuses": STATUSES,
        "banner": OFFLINE_BANNER if result.offline else "",
    }
    return page("branch_run", values)


def _merged_parts(values: Values, merged: Any, names: Sequence[str]) -> list[Json]:
    if merged is None:
        return []
    found = cast("list[Any]", merged) if isinstance(merged, list) else []
    if isinstance(merged, list) and len(found) == len(names):
        parts = zip(names, found, strict=True)
        return [{"name": name, "fields": values.fields(value)} for name, value in parts]
    return [{"name": "", "fields": values.fields(merged)}]
