"""The caching and the repetition of all tasks, in one place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from functools import lru_cache
from typing import Any

from prefect import Task, task
from prefect.cache_policies import NO_CACHE, CachePolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.transactions import IsolationLevel

from prefect_llm_reports.tasks.answers.records import PLAIN_JSON
from prefect_llm_reports.tasks.contract.calls import Ask
from prefect_llm_reports.tasks.contract.errors import ReportsError
from prefect_llm_reports.tasks.llm.repeats import MAX_ATTEMPTS

SealedAnswer = dict[str, Any]
LLMStep = Task[[Ask], Coroutine[Any, Any, SealedAnswer]]


class AnswerPolicy(CachePolicy):
    """Keys an LLM step by its question alone; run, task, module and caller play no part."""

    def __init__(self) -> None:
        # An attribute of the class would be covered by the default of Prefect's dataclass.
        super().__init__(isolation_level=IsolationLevel.SERIALIZABLE)

    def compute_key(
        self,
        task_ctx: TaskRunContext,
        inputs: dict[str, Any],
        flow_parameters: dict[str, Any],
        **kwargs: Any,
    ) -> str | None:
        """Return the question's own key."""
        del task_ctx, flow_parameters, kwargs
        ask: Ask = inputs["ask"]
        return ask.key


def worth_repeating(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Whether another attempt of an LLM call may succeed; the error's class knows."""
    del task, task_run
    return isinstance(state.data, ReportsError) and state.data.reach == "retry"


def llm_step(step: Callable[[Ask], Awaitable[SealedAnswer | State[Any]]]) -> LLMStep:
    """Make an LLM call a Prefect task: cached by its question, repeated while that may help.

    There is no delay between attempts here: the session waits, since it sees every caller.
    """
    declare: Any = task(
        task_run_name="{ask.label}",
        cache_policy=AnswerPolicy(),
        persist_result=True,
        result_serializer=PLAIN_JSON,
        cache_result_in_memory=False,
        refresh_cache=False,
        retries=MAX_ATTEMPTS - 1,
        retry_delay_seconds=0,
        retry_condition_fn=worth_repeating,
    )
    return _cached(declare(step))


def _cached(step: LLMStep) -> LLMStep:
    """The step with its cache, which PREFECT_TASKS_DISABLE_CACHING takes from each new task."""
    step.cache_policy = AnswerPolicy()
    return step


@lru_cache(maxsize=100)
def at_endpoints(step: LLMStep, endpoints: int) -> LLMStep:
    """The step, repeated as often as an answer may take: each endpoint has all its attempts.

    Args:
        step: The LLM call.
        endpoints: Endpoints that the session may ask, one after the other.
    """
    if endpoints == 1:
        return step
    return _cached(step.with_options(retries=(MAX_ATTEMPTS - 1) * endpoints))


LOCAL_STEP: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False, "retries": 0}
"""For tasks that only compute or write: they keep nothing, and their calls have their own retries.

Prefect's defaults for all tasks of a user would multiply the attempts of a call.
"""
