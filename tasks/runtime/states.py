"""How a run ends in Prefect: a state with a name and a message that an operator understands.

Here: the choice of the state. Not here: how a run comes to its result. A batch that is incomplete
is more than a green tick. A deployment's run then ends Failed, because nobody waits for the result
that it returns. A run that Python or the command line started returns its result, in a state of the
same name and message.
"""

from __future__ import annotations

from typing import Any, Literal

from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from prefect_llm_reports.tasks.contract.branch_results import BranchBatchResult, BranchesResult
from prefect_llm_reports.tasks.contract.records import ErrorReport
from prefect_llm_reports.tasks.contract.reports import BatchResult
from prefect_llm_reports.tasks.text.figures import outcome_text, statuses_text

Ending = Literal["Completed", "Partial", "Stopped", "BudgetExhausted", "Failed"]

HELD_BACK = "held_back"
"""Kind of the error of a report that a person decided not to publish; the run has not failed."""


def report_state(result: BatchResult, *, deployed: bool) -> State[Any]:
    """The final state of a batch of reports.

    Args:
        result: The result of the batch.
        deployed: The run is a deployment's.
    """
    unpublished = [r.error for r in result.reports if r.status != "published"]
    fell_short = any(error is None or error.kind != HELD_BACK for error in unpublished)
    name = _ending(result.status, result.error, unpublished) if fell_short else "Completed"
    said = [outcome_text(result)]
    if result.error:
        said.append(result.error.message)
    elif fell_short:
        first = next((error for error in unpublished if error and error.kind != HELD_BACK), None)
        said += [f"first: {first.message}"] if first else []
    return _state(name, said, result, deployed=deployed)


def branch_batch_state(result: BranchBatchResult, *, deployed: bool) -> State[Any]:
    """The final state of a batch of inputs to branches; arguments as in `report_state`."""
    errors = [item.error for item in result.inquiries if item.status != "complete"]
    said = [f"inputs: {statuses_text(item.status for item in result.inquiries)}"]
    first = result.error or next((error for error in errors if error), None)
    said += [first.message] if first else []
    name = _ending(result.status, result.error, errors)
    return _state(name, said, result, deployed=deployed)


def branches_state(result: BranchesResult, *, deployed: bool) -> State[Any]:
    """The final state of one input to branches; arguments as in `report_state`."""
    answered = sum(output.status == "answered" for output in result.outputs)
    said = [f"{answered} of {len(result.outputs)} branches answered"]
    said += [result.error.message] if result.error else []
    name = _ending(result.status, result.error, [output.error for output in result.outputs])
    return _state(name, said, result, deployed=deployed and result.error is not None)


def _ending(status: str, stopped: ErrorReport | None, errors: list[ErrorReport | None]) -> Ending:
    """The state's name: that of the worst problem."""
    over_budget = any(error and error.kind == "budget_exhausted" for error in errors)
    if status == "stopped" and stopped is None and over_budget:
        return "BudgetExhausted"
    endings: dict[str, Ending] = {
        "complete": "Completed",
        "partial": "Partial",
        "failed": "Failed",
    }
    return endings.get(status, "Stopped")


def _state(name: Ending, said: list[str], result: Any, *, deployed: bool) -> State[Any]:
    if name == "Completed":
        return Completed(message=said[0], data=result)
    if deployed:
        said.append("Retry to continue; paid answers are used again")
        return Failed(name=name, message=". ".join(said)[:1900])
    return Completed(name=name, message=". ".join(said)[:1900], data=result)
