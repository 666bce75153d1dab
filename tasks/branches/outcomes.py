"""Outcomes: the result of one input, from its outputs, its merge and its costs.

Here: only values. Not here: asking and merging (`branches.asking`, `branches.merging`).
"""

from __future__ import annotations

from typing import Any

from prefect_llm_reports.tasks.branches.asking import Answered
from prefect_llm_reports.tasks.branches.programs import Program
from prefect_llm_reports.tasks.branches.questions import Inquiry
from prefect_llm_reports.tasks.contract.branch_results import (
    BranchesResult,
    BranchOutput,
    InquiryStatus,
)
from prefect_llm_reports.tasks.contract.errors import ReportsError
from prefect_llm_reports.tasks.contract.records import canonical_json
from prefect_llm_reports.tasks.llm.answer_forms import Form
from prefect_llm_reports.tasks.llm.ledger import Spending


def outcome(
    program: Program,
    inquiry: Inquiry,
    done: Answered,
    *,
    spent: Spending,
    stopped: ReportsError | None,
    duration_s: float,
    warnings: tuple[str, ...],
) -> BranchesResult:
    """Make the result of one input.

    Args:
        program: The branches and their merge.
        inquiry: The input.
        done: Its outputs and their merge.
        spent: Its calls, tokens and cost.
        stopped: The fatal error that stopped the run; None: nothing did.
        duration_s: Seconds that it took.
        warnings: Warnings of the run.
    """
    merged = done.merged
    status = _status(program, done, stopped)
    return BranchesResult(
        status=status,
        query=inquiry.query,
        merge=program.merge,
        outputs=[_typed(program, output) for output in done.outputs],
        merged=_typed_merge(program, merged.value, merged.winner),
        winner=merged.winner,
        ranking=merged.ranking,
        tally=merged.tally,
        usage=spent.usage,
        cost_usd=spent.cost_usd,
        calls=spent.calls,
        duration_s=duration_s,
        error=stopped.report() if stopped and status == "stopped" else merged.error,
        warnings=warnings,
    )


def _status(program: Program, done: Answered, stopped: ReportsError | None) -> InquiryStatus:
    if done.merged.error:
        return "stopped" if stopped else "failed"
    all_answered = all(output.status == "answered" for output in done.outputs)
    return "complete" if all_answered or program.merge == "any" else "partial"


def _typed(program: Program, output: BranchOutput) -> BranchOutput:
    """An output as an instance of its branch's pydantic model, if the branch has one."""
    if output.status != "answered":
        return output
    form = next(node.form for node in program.nodes if node.name == output.name)
    return output.model_copy(update={"output": _value(form, output.output)})


def _typed_merge(program: Program, value: Any, winner: str | None) -> Any:
    """The merge as instances of pydantic models, where the forms have them."""
    forms = {node.name: node.form for node in program.results}
    if value is None:
        return None
    if winner:
        return _value(forms[winner], value)
    if program.merge == "all":
        return [_value(form, v) for form, v in zip(forms.values(), value, strict=True)]
    if program.merge == "synthesize":
        return _value(program.synthesis, value)
    return value


def _value(form: Form, output: Any) -> Any:
    return form.value(canonical_json(output)) if form.model else output
