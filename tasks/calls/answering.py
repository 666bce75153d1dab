"""How a question gets its answer: from the store, or by a task run that asks a model."""

from __future__ import annotations

from collections.abc import Awaitable, Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol
from uuid import UUID, uuid4

from prefect.client.schemas.objects import TaskRunResult

from prefect_llm_reports.tasks.answers.records import unsealed
from prefect_llm_reports.tasks.answers.store import current_store
from prefect_llm_reports.tasks.calls.policies import LLMStep, at_endpoints
from prefect_llm_reports.tasks.contract.calls import Answer, Ask, StepRecord
from prefect_llm_reports.tasks.contract.errors import (
    CallsStopped,
    NotNeeded,
    StorageFull,
)
from prefect_llm_reports.tasks.llm.session import current_session
from prefect_llm_reports.tasks.runtime.runner import as_is, ending, run_here


class Answerer(Protocol):
    """Answers a question; the second value tells whether the store had the answer."""

    def __call__(
        self, step: LLMStep, ask: Ask, after: Iterable[str] = ()
    ) -> Awaitable[tuple[Answer, bool]]:
        """Answer a question; `after` has the labels of the questions whose answers it uses."""
        ...


_runs: ContextVar[dict[str, UUID] | None] = ContextVar("task runs of an item", default=None)
"""The task runs of one report or input by the label of their questions; None: nobody connects."""


@contextmanager
def connected() -> Generator[None]:
    """Connect the task runs of one report or input by arrows, as each uses answers of others."""
    token = _runs.set({})
    try:
        yield
    finally:
        _runs.reset(token)


class NotKept(Exception):
    """The store has no usable answer to the question."""


async def read_store(step: LLMStep, ask: Ask, after: Iterable[str] = ()) -> tuple[Answer, bool]:
    """Read the stored answer, without a task run.

    Raises:
        NotKept: The store has none.
    """
    del step, after
    answer = await current_store().kept(ask)
    if answer is None:
        raise NotKept(ask.label)
    return answer, True


async def ask_model(step: LLMStep, ask: Ask, after: Iterable[str] = ()) -> tuple[Answer, bool]:
    """Get the answer by a task run; the second value tells whether Prefect found it in the store.

    Args:
        step: The task.
        ask: The question.
        after: Labels of the questions whose answers it uses, for arrows in the UI.

    Raises:
        CallError: There is no answer; the error's class tells how far that reaches.
    """
    session, store = current_session(), current_store()
    if session.stopped:
        raise CallsStopped(f"not asked: {session.stopped}", step=ask.step)
    try:
        with store.room_for(ask):
            async with session.until_kept(ask):
                repeated = at_endpoints(step, len(session.lines))
                task_run_id, runs = uuid4(), _runs.get()
                uses: dict[str, set[Any]] = {}
                if runs is not None:
                    before: list[Any] = [
                        TaskRunResult(id=runs[one]) for one in after if one in runs
                    ]
                    uses = {"ask": set(before)}
                    runs[ask.label] = task_run_id
                state = await run_here(
                    repeated, {"ask": as_is(ask)}, task_run_id, dependencies=uses
                )
    except StorageFull as full:
        session.stop(full)
        raise CallsStopped(f"not asked: {full}", step=ask.step) from None
    if store.lost:
        session.stop(store.lost)
    if state.is_cancelled():
        raise NotNeeded(str(state.message), step=ask.step)
    outcome = ending(state)
    if isinstance(outcome, BaseException):
        raise outcome
    cached = state.name == "Cached"
    if cached:
        session.ledger.reused(ask.item)
    return unsealed(outcome)[0], cached


def step_record(
    ask: Ask, answer: Answer, iteration: int, *, cached: bool, part: str = ""
) -> StepRecord:
    """Record one answered call for a manifest."""
    return StepRecord(
        step=ask.step,
        iteration=iteration,
        part=part,
        model=answer.model,
        endpoint=answer.endpoint,
        prompt_digest=ask.prompt_digest,
        answer_key=ask.key,
        cached=cached,
        attempts=answer.attempts,
        request_id=answer.request_id,
        usage=answer.usage,
        cost_usd=answer.cost_usd,
    )
