"""The refinement loop: draft, critique, revise, until the best-scored draft is good enough."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from prefect import task
from prefect.transactions import CommitMode, atransaction

from tasks.answering import NotKept, ask_model, read_store, set_aside
from tasks.asking import Plan, critique_ask, draft_ask, revise_ask
from tasks.errors import BudgetExhausted
from tasks.judging import critique_content
from tasks.llm import current_session
from tasks.policies import LOCAL_STEP, LLMStep
from tasks.schemas import Answer, Ask, Critique, Draft, Refined, StepRecord, StopReason, Topic
from tasks.writing import generate_initial_draft, revise_content

logger = logging.getLogger(__name__)

Answerer = Callable[[LLMStep, Ask], Awaitable[tuple[Answer, bool]]]
"""Answers a question: the answer, and whether it was there already."""


@dataclass
class _Work:
    """A topic's drafts and answered calls so far."""

    plan: Plan
    topic: Topic
    answerer: Answerer
    drafts: list[Draft] = field(default_factory=list[Draft])
    steps: list[StepRecord] = field(default_factory=list[StepRecord])
    created: int = 0

    async def answer(self, step: LLMStep, ask: Ask, iteration: int) -> str:
        answer, cached = await self.answerer(step, ask)
        self.steps.append(step_record(ask, answer, iteration, cached=cached))
        self.created = max(self.created, answer.created)
        return answer.text

    @property
    def best(self) -> Draft:
        """The best-scored draft; of equals the latest, which has answered more criticism."""
        scored = [d for d in self.drafts if d.score is not None]
        return max(scored, key=lambda d: (d.score or 0, d.number))

    def add(self, text: str, parent: int | None) -> Draft:
        draft = Draft(number=len(self.drafts) + 1, parent=parent, text=text)
        self.drafts.append(draft)
        return draft

    def judge(self, critique: Critique) -> Draft:
        judged = self.drafts[-1].model_copy(
            update={"critique": critique, "score": float(critique.score)}
        )
        self.drafts[-1] = judged
        return judged

    def refined(self, iterations: int, reason: StopReason) -> Refined:
        return Refined(
            topic=self.topic,
            drafts=tuple(d for d in self.drafts if d.score is not None),
            best=self.best.number,
            iterations=iterations,
            stop_reason=reason,
            created=self.created,
            steps=tuple(self.steps),
        )


def step_record(ask: Ask, answer: Answer, iteration: int, *, cached: bool) -> StepRecord:
    """What the manifest says of one answered call."""
    return StepRecord(
        step=ask.step,
        iteration=iteration,
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


async def refine(plan: Plan, topic: Topic, answerer: Answerer) -> Refined:
    """Draft, then critique and revise until the score reaches the threshold or rounds run out.

    Every draft that can win has been scored; a revision begins from the best draft so far. When a
    call that only improves is refused by the budget, the best draft so far wins.

    Args:
        plan: The batch's rounds, threshold, models and options.
        topic: What the report is about.
        answerer: How questions are answered.
    """
    work = _Work(plan, topic, answerer)
    text = await work.answer(generate_initial_draft, draft_ask(plan, topic), 0)
    work.add(text, None)
    iteration = 0
    try:
        while True:
            ask = critique_ask(plan, topic, iteration + 1, work.drafts[-1].text)
            said = await work.answer(critique_content, ask, iteration + 1)
            iteration += 1
            latest = work.judge(Critique.model_validate_json(said))
            logger.info("%s: iteration %d scored %g", topic.slug, iteration, latest.score)
            if (latest.score or 0) >= plan.quality_threshold:
                return work.refined(iteration, "accepted")
            if iteration == plan.max_iterations:
                return work.refined(iteration, "iterations_exhausted")
            if plan.options.plateau and _stalled(work.drafts, plan.options.plateau):
                return work.refined(iteration, "plateau")
            best = work.best
            setbacks = [d.critique for d in work.drafts[best.number :] if d.critique]
            assert best.critique is not None
            ask = revise_ask(plan, topic, iteration, best.text, best.critique, setbacks)
            text = await work.answer(revise_content, ask, iteration)
            work.add(text, best.number)
    except BudgetExhausted:
        if iteration == 0:
            raise
        return work.refined(iteration, "budget_exhausted")


def _stalled(drafts: list[Draft], rounds: int) -> bool:
    """Whether the last rounds brought no better score than was there before them."""
    scores = [d.score or 0 for d in drafts]
    return len(scores) > rounds and max(scores[-rounds:]) <= max(scores[:-rounds])


@task(task_run_name="{topic.slug}", **LOCAL_STEP)
async def refine_report(topic: Topic, plan: Plan) -> Refined:
    """Refine one topic's report; answers that are kept are read, the others asked for."""
    try:
        refined = await refine(plan, topic, read_store)
    except NotKept:
        await set_aside(plan, topic)
        async with atransaction(commit_mode=CommitMode.EAGER):
            return await refine(plan, topic, ask_model)
    current_session().ledger.reused(topic.slug, len(refined.steps))
    return refined
