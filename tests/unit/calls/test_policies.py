"""How often Prefect repeats an LLM call."""

from __future__ import annotations

import pytest

from prefect_llm_reports.tasks.calls.policies import SealedAnswer, at_endpoints, llm_step
from prefect_llm_reports.tasks.contract.calls import Ask
from prefect_llm_reports.tasks.llm.repeats import MAX_ATTEMPTS


@llm_step
async def step(ask: Ask) -> SealedAnswer:
    """An LLM call."""
    return {"ask": ask.label}


@pytest.mark.parametrize("endpoints", [1, 2, 5])
def test_each_endpoint_has_all_its_attempts(endpoints: int) -> None:
    """The task is repeated until every endpoint of the session has failed three times."""
    repeated = at_endpoints(step, endpoints)

    assert repeated.retries == (MAX_ATTEMPTS - 1) * endpoints
    assert repeated.retry_condition_fn is step.retry_condition_fn
    assert repeated.cache_policy == step.cache_policy
    assert repeated.persist_result is step.persist_result is True
    assert (repeated.task_key, repeated.name) == (step.task_key, step.name)
    assert at_endpoints(step, endpoints) is repeated


def test_one_endpoint_needs_no_other_task() -> None:
    """With one endpoint the declared task runs."""
    assert at_endpoints(step, 1) is step
