"""How often Prefect repeats an LLM call."""

from __future__ import annotations

from typing import Any

import pytest
from prefect.settings import (
    PREFECT_TASKS_DEFAULT_NO_CACHE,
    PREFECT_TASKS_DEFAULT_RETRIES,
    PREFECT_TASKS_DEFAULT_RETRY_DELAY_SECONDS,
    PREFECT_TASKS_DISABLE_CACHING,
    PREFECT_TASKS_REFRESH_CACHE,
    temporary_settings,
)

from prefect_llm_reports.tasks.calls.policies import (
    AnswerPolicy,
    SealedAnswer,
    at_endpoints,
    llm_step,
)
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


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        (PREFECT_TASKS_DISABLE_CACHING, True),
        (PREFECT_TASKS_DEFAULT_NO_CACHE, True),
        (PREFECT_TASKS_REFRESH_CACHE, True),
        (PREFECT_TASKS_DEFAULT_RETRIES, 7),
        (PREFECT_TASKS_DEFAULT_RETRY_DELAY_SECONDS, 3600),
    ],
)
@pytest.mark.parametrize("endpoints", [1, 2])
def test_a_users_settings_for_all_tasks_do_not_change_a_call(
    setting: Any, value: object, endpoints: int
) -> None:
    """Answers are kept and used again, and attempts are ours."""
    with temporary_settings({setting: value}):
        made = at_endpoints(llm_step(step), endpoints)
    assert isinstance(made.cache_policy, AnswerPolicy)
    assert made.persist_result
    assert made.refresh_cache is False
    assert made.retries == (MAX_ATTEMPTS - 1) * endpoints
    assert made.retry_delay_seconds == 0
