"""The files that readers of branches open: output.json, output.html, manifest, the run's page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from prefect_llm_reports.tasks.branches.programs import Program
from prefect_llm_reports.tasks.branches.questions import Inquiry
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
    dumped = result.model_dump(mode="json")
    nodes = {node.name: node for node in program.nodes}
    outputs = [
        {
            **output,
            "fields": shown_fields(output["output"]),
            "instructions": nodes[output["name"]].branch.instructions,
        }
        for output in dumped["outputs"]
    ]
    for ranked in dumped["ranking"] or ():
        ranked["score"] = score_text(ranked["score"])
    values = {
        "query": inquiry.text,
        "result": dumped,
        "outputs": outputs,
        "merged": _merged_parts(dumped["merged"], [node.name for node in program.results]),
        "statuses": STATUSES,
        "banner": OFFLINE_BANNER if program.model == OFFLINE else "",
    }
    return page("branches", values)


def branch_run_page(result: BranchBatchResult) -> str:
    """Write a branch run's index.html: its inputs, failures and totals."""
    dumped = result.model_dump(mode="json")
    for item in dumped["inquiries"]:
        cost = item["cost_usd"]
        item["cost"] = cost_on_page(None if cost is None else Decimal(cost))
    values = {
        "result": dumped,
        "complete": sum(item.status == "complete" for item in result.inquiries),
        "started": moment_text(result.started),
        "duration": duration_text(result.duration_s),
        "cost": cost_on_page(result.cost_usd),
        "calls": {name: f"{count:,}" for name, count in dumped["calls"].items()},
        "statuses": STATUSES,
        "banner": OFFLINE_BANNER if result.offline else "",
    }
    return page("branch_run", values)


def _merged_parts(merged: Any, names: Sequence[str]) -> list[Json]:
    if merged is None:
        return []
    if isinstance(merged, list):
        parts = zip(names, cast("list[Any]", merged), strict=True)
        return [{"name": name, "fields": shown_fields(value)} for name, value in parts]
    return [{"name": "", "fields": shown_fields(merged)}]


def shown_fields(output: Any) -> list[Json]:
    """Show an output's fields as names and texts, in order; nested values become JSON."""
    if not isinstance(output, dict):
        return []
    return [
        {
            "name": name.replace("_", " "),
            "text": _shown(value),
            "points": _points(value),
            "nested": _nested(value),
        }
        for name, value in cast("Json", output).items()
    ]


def _points(value: Any) -> list[str]:
    """The items of a list of texts, to be shown one by one."""
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return items if all(isinstance(item, str) for item in items) else []


def _nested(value: Any) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list)
        and any(isinstance(part, dict | list) for part in cast("list[Any]", value))
    )


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and not _nested(value):
        return ", ".join(_shown(part) for part in cast("list[Any]", value)) or "-"
    return json.dumps(value, ensure_ascii=False, indent=2)
