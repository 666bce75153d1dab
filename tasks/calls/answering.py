"""How a question gets its answer: from the store, or by a task run that asks a model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

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

Answerer = Callable[[LLMStep, Ask], Awaitable[tuple[Answer, bool]]]
"""Answers a question; the second value tells whether the store had the answer."""


class NotKept(Exception):
    """The store has no usable answer to the question."""


async def read_store(step: LLMStep, ask: Ask) -> tuple[Answer, bool]:
    """Read the stored answer, without a task run.

    Raises:
        NotKept: The store has none.
    """
    del step
    answer = await current_store().kept(ask)
    if answer is None:
        raise NotKept(ask.label)
    return answer, True


async def ask_model(step: LLMStep, ask: Ask) -> tuple[Answer, bool]:
    """Get the answer by a task run; the second value tells whether Prefect found it in the store.

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
                state = await run_here(repeated, {"ask": as_is(ask)})
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
