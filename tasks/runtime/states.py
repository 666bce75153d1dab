"""The final state of a run in Prefect, with a name and a message that an operator understands.

Here: the choice of the state. Not here: the result of a run. A batch that is incomplete
is more than a green tick. A deployment's run then ends Failed, because nobody waits for the result
that it returns. A run that Python or the command line started returns its result, in a state of the
same name and message.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from prefect.client.schemas.objects import State, StateType
from prefect.states import Failed

from prefect_llm_reports.tasks.contract.branch_results import BranchBatchResult, BranchesResult
from prefect_llm_reports.tasks.contract.quotes import Quote
from prefect_llm_reports.tasks.contract.records import ErrorReport
from prefect_llm_reports.tasks.contract.reports import BatchResult
from prefect_llm_reports.tasks.text.figures import outcome_text, statuses_text
from prefect_llm_reports.tasks.text.quotes import quote_text

Ending = Literal["Completed", "Partial", "Stopped", "BudgetExhausted", "Failed"]


def quote_state(quote: Quote) -> State[Any]:
    """The final state of a run that was a quote."""
    return _state("Completed", [f"Quote: {quote_text(quote)}"], quote, deployed=False)


def report_state(result: BatchResult, *, deployed: bool) -> State[Any]:
    """The final state of a batch of reports.

    Args:
        result: The result of the batch.
        deployed: The run is a deployment's.
    """
    errors = [r.error for r in result.reports if r.status not in ("published", "held_back")]
    name = _ending(result.status, result.error, errors)
    said = [outcome_text(result)]
    first = result.error or next((error for error in errors if error), None)
    if first:
        said.append(first.message if first is result.error else f"first: {first.message}")
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


class _Final(State[Any]):
    """A final state whose result Prefect does not search for futures.

    In a batch of 20,000 topics the search takes longer than to end all that were not begun.
    """

    def __iter__(self) -> Iterator[tuple[str, Any]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return iter(())


def _state(name: Ending, said: list[str], result: Any, *, deployed: bool) -> State[Any]:
    if name == "Completed":
        return _Final(type=StateType.COMPLETED, message=said[0], data=result)
    if deployed:
        said.append("Retry to continue; paid answers are used again")
        return Failed(name=name, message=". ".join(said)[:1900])
    return _Final(type=StateType.COMPLETED, name=name, message=". ".join(said)[:1900], data=result)
