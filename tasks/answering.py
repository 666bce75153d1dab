"""How a question gets its answer: from the store, or by a task run that asks the model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal

from tasks.asking import Plan, critique_ask, draft_ask, summary_ask
from tasks.budget import OverBudget
from tasks.completions import current_store, unsealed
from tasks.errors import BudgetExhausted, CallsStopped, NotNeeded, StorageFull
from tasks.llm import current_session
from tasks.policies import LLMStep
from tasks.runner import as_is, ending, run_here
from tasks.schemas import Answer, Ask, StepRecord, Topic

BYTES_A_WORD = 12
"""Generous estimate for reserving money for calls on a draft that is not there yet."""


Answerer = Callable[[LLMStep, Ask], Awaitable[tuple[Answer, bool]]]
"""Answers a question: the answer, and whether it was there already."""


class NotKept(Exception):
    """The store has no usable answer to the question."""


async def read_store(step: LLMStep, ask: Ask) -> tuple[Answer, bool]:
    """The kept answer, without a task run.

    Raises:
        NotKept: There is none.
    """
    del step
    answer = await current_store().kept(ask)
    if answer is None:
        raise NotKept(ask.label)
    return answer, True


async def ask_model(step: LLMStep, ask: Ask) -> tuple[Answer, bool]:
    """The answer by a task run, and whether Prefect found it in the store.

    Raises:
        CallError: No answer; the class says how far that reaches.
    """
    session, store = current_session(), current_store()
    if session.stopped:
        raise CallsStopped(f"not asked: {session.stopped}", step=ask.step)
    try:
        with store.room_for(ask):
            async with session.until_kept(ask):
                state = await run_here(step, {"ask": as_is(ask)})
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
    """What the manifest says of one answered call."""
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


async def set_aside(plan: Plan, topic: Topic) -> None:
    """Set money aside for the calls that a report cannot be published without.

    Raises:
        BudgetExhausted: What is left does not suffice; no call is made for this report.
    """
    session = current_session()
    if session.budget.limit is None:
        return
    text = "x" * (BYTES_A_WORD * plan.options.length_words)
    asks = [draft_ask(plan, topic), summary_ask(plan, topic, text)]
    asks += [critique_ask(plan, topic, 1, text, c) for c in plan.options.critics or (None,)]
    amount = sum((session.worst_usd(ask) or Decimal(0) for ask in asks), Decimal(0))
    try:
        await session.budget.allow(topic.slug, amount)
    except OverBudget as over:
        raise BudgetExhausted(
            f"not started: a report may take up to {over.wanted:.4f} USD and"
            f" {max(over.left, Decimal(0)):.4f} of the budget are left; raise the budget to go on"
        ) from None
