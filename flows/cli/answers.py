"""The answer of `llm-reports branches` as text: the merge, then the branches it was made of.

Not here: progress and figures, which go to stderr (`terminal`), the result as JSON (`streams`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prefect_llm_reports.tasks.contract.branch_results import BranchesResult, BranchOutput
from prefect_llm_reports.tasks.text.readable import readable

PARTS = ("all", "any")
"""Merges whose result repeats what a branch said."""


def answer_text(result: BranchesResult) -> str:
    """The merge first, then each branch's answer or error, then why a judge chose.

    Args:
        result: The result of one input.
    """
    dumped: dict[str, Any] = result.model_dump(mode="json")
    parts: list[str] = []
    if result.merged is not None and result.merge not in PARTS:
        parts.append(readable(dumped["merged"]))
    if result.merged is not None and result.merge == "any" and result.winner:
        parts.append(readable(dumped["merged"]))
    if result.error:
        parts.append(f"not merged: {result.error.message}")
    if reasons := list(_reasons(result)):
        parts.append("\n".join(reasons))
    for output, one in zip(result.outputs, dumped["outputs"], strict=True):
        if output.name == result.winner and result.merged is not None:
            continue  # it stands above
        parts.append(_branch(output, one["output"]))
    return "\n\n".join(parts) + "\n"


def _branch(output: BranchOutput, value: Any) -> str:
    head = f"## {output.name}"
    if output.model:
        head += f" ({output.model})"
    if output.status == "answered":
        return f"{head}\n{readable(value)}"
    why = f": {output.error.message}" if output.error else ""
    return f"{head}\n{output.status.replace('_', ' ')}{why}"


def _reasons(result: BranchesResult) -> Iterator[str]:
    """Why one branch was chosen: the judge's scores with the reasons, or the votes."""
    if result.winner:
        yield f"chosen: {result.winner}"
    for ranked in result.ranking:
        said = " / ".join(dict.fromkeys(" ".join(reason.split()) for reason in ranked.reasons))
        yield f"  {ranked.name}: {ranked.score:g} of 10{f', {said}' if said else ''}"
    for tally in result.tally:
        yield f"  {readable(tally.value)}: {tally.votes} ({', '.join(tally.branches)})"
