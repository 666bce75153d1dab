"""The refinement loop: draft, critique and revise until the best-scored draft is good enough.

Not here: the questions themselves (`questions`), how they are answered (`calls.answering`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from prefect import task
from prefect.transactions import CommitMode, atransaction

from prefect_llm_reports.tasks.calls.answering import (
    Answerer,
    NotKept,
    ask_model,
    read_store,
    step_record,
)
from prefect_llm_reports.tasks.calls.judging import Comparison, judge_candidates
from prefect_llm_reports.tasks.calls.policies import LOCAL_STEP, LLMStep
from prefect_llm_reports.tasks.contract.calls import Ask, Ranking, StepRecord
from prefect_llm_reports.tasks.contract.errors import BudgetExhausted, CallsStopped, ReportsError
from prefect_llm_reports.tasks.contract.options import Critic
from prefect_llm_reports.tasks.contract.reports import (
    Candidate,
    CriticOpinion,
    Critique,
    Draft,
    PanelCritique,
    Refined,
    StopReason,
    Topic,
)
from prefect_llm_reports.tasks.llm.session import current_session
from prefect_llm_reports.tasks.reports.panels import merged_critique
from prefect_llm_reports.tasks.reports.questions import (
    Plan,
    critique_ask,
    draft_ask,
    judge_ask,
    revise_ask,
    set_aside,
)
from prefect_llm_reports.tasks.reports.steps import (
    critique_content,
    generate_initial_draft,
    revise_content,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Call:
    """One question, the task that asks it, and its place in the report."""

    step: LLMStep
    ask: Ask
    iteration: int = 0
    part: str = ""


@dataclass
class _Work:
    """A topic's drafts and answered calls so far."""

    plan: Plan
    topic: Topic
    answerer: Answerer
    drafts: list[Draft] = field(default_factory=list[Draft])
    steps: list[StepRecord] = field(default_factory=list[StepRecord])
    candidates: tuple[Candidate, ...] = ()
    created: int = 0

    async def answer(self, step: LLMStep, ask: Ask, iteration: int) -> str:
        """The answer to one question."""
        (text,) = await self.answers([_Call(step, ask, iteration)])
        if isinstance(text, ReportsError):
            raise text
        return text

    async def answers(self, calls: Sequence[_Call]) -> list[str | ReportsError]:
        """Ask questions at the same time.

        Returns:
            An answer or an error for each question, in order.

        Raises:
            NotKept: The answerer reads the store, and an answer is not there.
            ReportsError: The batch cannot go on.
        """
        found = await asyncio.gather(
            *(self.answerer(call.step, call.ask) for call in calls), return_exceptions=True
        )
        texts: list[str | ReportsError] = []
        for call, outcome in zip(calls, found, strict=True):
            if isinstance(outcome, ReportsError) and outcome.reach != "fatal":
                texts.append(outcome)
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                answer, cached = outcome
                record = step_record(
                    call.ask, answer, call.iteration, cached=cached, part=call.part
                )
                self.steps.append(record)
                self.created = max(self.created, answer.created)
                texts.append(answer.text)
        return texts

    @property
    def best(self) -> Draft:
        """The best-scored draft; of equal drafts the latest, which answers more criticism."""
        scored = [d for d in self.drafts if d.score is not None]
        return max(scored, key=lambda d: (d.score or 0, d.number))

    def add(self, text: str, parent: int | None) -> Draft:
        draft = Draft(number=len(self.drafts) + 1, parent=parent, text=text)
        self.drafts.append(draft)
        return draft

    async def first_draft(self) -> str:
        """The first draft; of several candidates the one that a judge prefers."""
        plan, topic, count = self.plan, self.topic, self.plan.options.candidates
        numbers = range(1, count + 1)
        asks = [draft_ask(plan, topic, number) for number in numbers]
        found = await self.answers(
            [
                _Call(generate_initial_draft, ask, part=f"candidate {n}" if count > 1 else "")
                for n, ask in zip(numbers, asks, strict=True)
            ]
        )
        drafts = {n: text for n, text in zip(numbers, found, strict=True) if isinstance(text, str)}
        if not drafts:
            raise next(error for error in found if isinstance(error, ReportsError))
        if count == 1:
            return drafts[1]
        ranking = await self._ranking(drafts)
        chosen = int(ranking[0].name) if ranking else min(drafts)
        judged = {int(r.name): r for r in ranking}
        self.candidates = tuple(
            Candidate(
                number=n,
                text=text,
                chosen=n == chosen,
                score=judged[n].score if n in judged else None,
                reasons=judged[n].reasons if n in judged else (),
            )
            for n, text in drafts.items()
        )
        logger.info("%s: candidate %d of %d is refined", topic.slug, chosen, count)
        return drafts[chosen]

    async def _ranking(self, drafts: Mapping[int, str]) -> list[Ranking]:
        """Rank the candidates, best first; empty: there is no choice, or no verdict."""
        if len(drafts) == 1:
            return []
        comparison = Comparison({str(number): text for number, text in drafts.items()})
        calls = [
            _Call(
                judge_candidates,
                judge_ask(self.plan, self.topic, reading, turn),
                part=f"order {turn}",
            )
            for turn, reading in enumerate(comparison.readings, start=1)
        ]
        verdicts = await self.answers(calls)
        for error in verdicts:
            if isinstance(error, ReportsError):
                logger.warning(
                    "%s: candidates were not judged, the first is refined: %s",
                    self.topic.slug,
                    error,
                )
                return []
        return comparison.ranking([said for said in verdicts if isinstance(said, str)])

    async def judge(self, iteration: int) -> Draft:
        """Have the latest draft scored, by the critic or by the panel."""
        plan, topic, latest = self.plan, self.topic, self.drafts[-1]
        panel = plan.options.critics
        if panel:
            critique = await self._panel(iteration, panel, latest.text)
        else:
            ask = critique_ask(plan, topic, iteration, latest.text)
            said = await self.answer(critique_content, ask, iteration)
            critique = Critique.model_validate_json(said)
        judged = latest.model_copy(update={"critique": critique, "score": float(critique.score)})
        self.drafts[-1] = judged
        return judged

    async def _panel(self, iteration: int, panel: Sequence[Critic], text: str) -> PanelCritique:
        """Have every critic judge a draft at the same time; leave out critics that fail."""
        asks = [critique_ask(self.plan, self.topic, iteration, text, critic) for critic in panel]
        said = await self.answers(
            [
                _Call(critique_content, ask, iteration, critic.name)
                for ask, critic in zip(asks, panel, strict=True)
            ]
        )
        opinions: list[CriticOpinion] = []
        missing: list[str] = []
        for critic, answer in zip(panel, said, strict=True):
            if isinstance(answer, BudgetExhausted | CallsStopped):
                raise answer
            if isinstance(answer, ReportsError):
                logger.warning(
                    "%s: critic %s is left out: %s", self.topic.slug, critic.name, answer
                )
                missing.append(critic.name)
                continue
            critique = Critique.model_validate_json(answer)
            opinions.append(
                CriticOpinion(name=critic.name, weight=critic.weight, critique=critique)
            )
        if not opinions:
            raise next(answer for answer in said if isinstance(answer, ReportsError))
        return merged_critique(opinions, self.plan.options.critics_merge, missing)

    def refined(self, iterations: int, reason: StopReason) -> Refined:
        return Refined(
            topic=self.topic,
            drafts=tuple(d for d in self.drafts if d.score is not None),
            best=self.best.number,
            iterations=iterations,
            stop_reason=reason,
            created=self.created,
            steps=tuple(self.steps),
            candidates=self.candidates,
        )


async def refine(plan: Plan, topic: Topic, answerer: Answerer) -> Refined:
    """Draft, then critique and revise until the score reaches the threshold or rounds run out.

    Only a scored draft can win. A revision begins from the best draft so far. When the budget
    refuses a call that only improves the report, the best draft so far wins.

    Args:
        plan: The batch's rounds, threshold, models and options.
        topic: What the report is about.
        answerer: How questions are answered.
    """
    work = _Work(plan, topic, answerer)
    work.add(await work.first_draft(), None)
    iteration = 0
    try:
        while True:
            latest = await work.judge(iteration + 1)
            iteration += 1
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
    """Whether the last rounds did not raise the best score."""
    scores = [d.score or 0 for d in drafts]
    return len(scores) > rounds and max(scores[-rounds:]) <= max(scores[:-rounds])


@task(task_run_name="{topic.slug}", **LOCAL_STEP)
async def refine_report(topic: Topic, plan: Plan) -> Refined:
    """Refine one topic's report; read the answers that are kept, and ask for the others."""
    try:
        refined = await refine(plan, topic, read_store)
    except NotKept:
        await set_aside(plan, topic)
        async with atransaction(commit_mode=CommitMode.EAGER):
            return await refine(plan, topic, ask_model)
    current_session().ledger.reused(topic.slug, len(refined.steps))
    return refined
