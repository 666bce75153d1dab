"""A batch of branches whose process was killed, closed with the results in its directories.

Not here: finding and removing such runs (`results.killed`).
"""

from __future__ import annotations

from decimal import Decimal

from pydantic import ValidationError

from prefect_llm_reports.tasks.branches.batch import publish_run
from prefect_llm_reports.tasks.branches.questions import query_text
from prefect_llm_reports.tasks.contract.branch_results import (
    BranchBatchResult,
    BranchesResult,
    BranchManifest,
    InquiryResult,
)
from prefect_llm_reports.tasks.contract.errors import BadInput, StorageError
from prefect_llm_reports.tasks.contract.records import MANIFEST, Calls, Usage
from prefect_llm_reports.tasks.results.killed import CLOSED, began, clear
from prefect_llm_reports.tasks.storage.places import Place

OUTPUT = "output.json"


def close_branches(place: Place, run_id: str) -> BranchBatchResult:
    """Write the page and the result of a killed run; it names the inputs that were answered.

    Args:
        place: Where the runs are.
        run_id: The run; no process is at work on it.

    Raises:
        BadInput: No input was answered.
        StorageError: A manifest is damaged, or nothing can be written.
    """
    found: list[InquiryResult] = []
    manifests: list[BranchManifest] = []
    for slug in clear(place, run_id):
        at = f"{run_id}/{slug}"
        try:
            manifest = BranchManifest.model_validate_json(place.read(f"{at}/{MANIFEST}") or b"")
            output = BranchesResult.model_validate_json(place.read(f"{at}/{OUTPUT}") or b"")
        except ValidationError:
            raise StorageError(
                f"{place.path(at)}: damaged; remove the folder, then close"
            ) from None
        manifests.append(manifest)
        found.append(
            InquiryResult(
                query=query_text(manifest.query)[:200],
                slug=slug,
                status=manifest.status,
                directory=place.path(at),
                answered=output.answered,
                error=output.error,
                errors=output.errors,
                usage=manifest.usage,
                cost_usd=manifest.cost_usd,
            )
        )
    if not manifests:
        raise BadInput(f"{place.path(run_id)}: no input was answered; remove the run")
    costs = [item.cost_usd for item in found]
    steps = [step for manifest in manifests for step in manifest.steps]
    result = BranchBatchResult(
        run_id=run_id,
        status="stopped",
        run_directory=place.path(run_id),
        offline=any(manifest.offline for manifest in manifests),
        started=began(run_id),
        duration_s=0,
        calls=Calls(
            made=sum(not step.cached for step in steps), cached=sum(step.cached for step in steps)
        ),
        usage=sum((item.usage for item in found), Usage()),
        cost_usd=None if None in costs else sum(filter(None, costs), Decimal(0)),
        merge=manifests[0].merge,
        branches=tuple(str(branch.get("name", "")) for branch in manifests[0].branches),
        inquiries=found,
        error=CLOSED,
    )
    publish_run(place, result)
    return result
