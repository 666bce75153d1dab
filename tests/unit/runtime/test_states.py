"""The final state of a run costs the same whatever the run returns."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from prefect.futures import resolve_futures_to_states

from prefect_llm_reports.tasks.contract.records import Calls
from prefect_llm_reports.tasks.contract.reports import BatchResult
from prefect_llm_reports.tasks.runtime.states import report_state


class Searched(BatchResult):
    """Notes that somebody looks at each of its values."""

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        raise AssertionError("searched")


@pytest.mark.parametrize("status", ["complete", "stopped"])
def test_prefect_does_not_search_a_result_for_futures(status: str) -> None:
    """In a batch of 20,000 topics that takes longer than to end those that were not begun."""
    result = Searched.model_construct(
        status=status, error=None, reports=[], calls=Calls(), cost_usd=Decimal(0)
    )
    state = report_state(result, deployed=False)
    with pytest.raises(AssertionError, match="searched"):
        resolve_futures_to_states(result)
    assert resolve_futures_to_states(state) is state
    assert state.data is result
