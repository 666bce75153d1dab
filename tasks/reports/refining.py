"""The refinement loop: draft, critique and revise until the best-scored draft is good enough.

Here: the rounds of one report. Not here: its first draft (`candidates`), critiques merged
(`panels`), the questions (`questions`), how they are answered (`calls.answering`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from prefect import task
from prefect.transactions import CommitMode, atransaction

from prefect_llm_reports.tasks.answers.store import current_store
from prefect_llm_reports.tasks.calls.answering import (
    Answerer,
    NotKept,
    ask_model,
    connected,
    read_store,
)
from prefect_llm_reports.tasks.calls.policies import LOCAL_STEP
from prefect_llm_reports.tasks.contract.calls import Ask
from prefect_llm_reports.tasks.contract.errors import BudgetExhausted, ReportsError
from prefect_llm_reports.tasks.contract.evidence import Grounds
from prefect_llm_reports.tasks.contract.options import Critic
from prefect_llm_reports.tasks.contract.provenance import Remark
from prefect_llm_reports.tasks.contract.reports import (
    Candidate,
    Critique,
    Draft,
    PanelCritique,
    Refined,
    StopReason,
    Topic,
)
from prefect_llm_reports.tasks.llm.session import current_session
from prefect_llm_reports.tasks.reports.asking import Asking, Call
from prefect_llm_reports.tasks.reports.candidates import first_draft
from prefect_llm_reports.tasks.reports.evidence import evidence_of, marked_text
from prefect_llm_reports.tasks.reports.grounding import Grounding, grounds_for
from prefect_llm_reports.tasks.reports.panels import panel_critique
from prefect_llm_reports.tasks.reports.questions import (
    Plan,
    critique_ask,
    revise_ask,
    set_aside,
)
from prefect_llm_reports.tasks.reports.steps import (
    critique_content,
    revise_content,
)
from prefect_llm_reports.tasks.reports.support import Pair, judge_support
from prefect_llm_reports.tasks.runtime.traces import traced_topic
from prefect_llm_reports.tasks.text.language import language_of

logger = logging.getLogger(__name__)


@dataclass
class _Work(Asking):
    """A topic's drafts and answered calls so far."""

    plan: Plan = field(kw_only=True)
    topic: Topic = field(kw_only=True)
    grounding: Grounding | None = None
    drafts: list[Draft] = field(default_factory=list[Draft])
    candidates: tuple[Candidate, ...] = ()
    remarks: tuple[Remark, ...] = ()
    first: int = 1
    """Number of the first draft that may win: the one that deals with the reviewer's comment."""

    @property
    def grounds(self) -> Grounds | None:
        """The passages that prompts show; None: the topic has no sources."""
        return self.grounding.grounds if self.grounding else None

    @property
    def best(self) -> Draft:
        """The best-scored draft; of equal drafts the latest, which answers more criticism."""
        scored = [d for d in self.drafts if d.score is not None]
        scored = [d for d in scored if d.number >= self.first] or scored
        return max(scored, key=lambda d: (d.score or 0, d.number))

    def add(self, text: str, parent: int | None) -> Draft:
        draft = Draft(number=len(self.drafts) + 1, parent=parent, text=text)
        self.drafts.append(draft)
        return draft

    async def judge(self, iteration: int) -> Draft:
        """Have the latest draft checked and scored, by the critic or by the panel.

        With sources, the judge of support reads it at the same time as the critics.
        """
        plan, topic, latest = self.plan, self.topic, self.drafts[-1]
        panel, grounding = plan.options.critics, self.grounding
        asked: list[tuple[Ask, list[Pair]]] = []
        if grounding:
            grounding.check(latest)
            asked = await grounding.support_asks(latest, iteration)
        beside = [Call(judge_support, ask, iteration, "support") for ask, _ in asked]
        made = len(self.steps)
        if panel:
            critique, opinions = await self._panel(iteration, panel, latest.text, beside)
        else:
            ask = critique_ask(plan, topic, iteration, latest.text, grounds=self.grounds)
            call = Call(critique_content, ask, iteration)
            said, *opinions = await self.answers([call, *beside])
            if isinstance(said, ReportsError):
                raise said
            critique = Critique.model_validate_json(said)
        judged = latest.model_copy(update={"critique": critique, "score": float(critique.score)})
        if grounding:
            for (_, pairs), opinion in zip(asked, opinions, strict=True):
                if isinstance(opinion, ReportsError):
                    logger.warning("%s: support was not judged: %s", topic.slug, opinion)
                else:
                    grounding.learn(pairs, opinion)
            if any(s.step == "support" and not s.cached for s in self.steps[made:]):
                await grounding.keep()
            judged = grounding.capped(judged)
        self.drafts[-1] = judged
        return judged

    async def _panel(
        self, iteration: int, panel: Sequence[Critic], text: str, beside: Sequence[Call]
    ) -> tuple[PanelCritique, list[str | ReportsError]]:
        """Have every critic judge a draft, the first before the others; leave out those that fail.

        The first has the endpoint keep their common beginning, which the others then cost less.

        Args:
            iteration: The round of critique.
            panel: The critics.
            text: The draft.
            beside: Further questions about it, asked at the same time as the other critics.

        Returns:
            Their critiques merged, and the answers to the further questions.
        """
        asks = [await self._critique_ask(iteration, text, critic) for critic in panel]
        calls = [
            Call(critique_content, ask, iteration, critic.name)
            for ask, critic in zip(asks, panel, strict=True)
        ]
        said = await self.answers(calls[:1])
        rest = await self.answers([*calls[1:], *beside])
        others = rest[len(panel) - 1 :]
        said += rest[: len(panel) - 1]
        how = self.plan.options.critics_merge
        return panel_critique(panel, said, how, self.topic.slug), others

    async def _critique_ask(self, iteration: int, text: str, critic: Critic) -> Ask:
        """The question to a critic of a panel; as version 0.1 put it, where that was answered."""
        now = critique_ask(self.plan, self.topic, iteration, text, critic, grounds=self.grounds)
        if self.grounding:
            return now
        before = critique_ask(self.plan, self.topic, iteration, text, critic, part_first=True)
        try:
            kept = await current_store().kept(before)
        except LookupError:  # there is no store here
            kept = None
        return before if kept else now

    def refined(self, iterations: int, reason: StopReason) -> Refined:
        """The report as it stands, with the evidence for its best draft."""
        grounding = self.grounding
        return Refined(
            topic=self.topic,
            drafts=tuple(d for d in self.drafts if d.score is not None),
            best=self.best.number,
            iterations=iterations,
            stop_reason=reason,
            created=self.created,
            steps=tuple(self.steps),
            candidates=self.candidates,
            remarks=self.remarks,
            language=language_of(self.plan.options.language, self.best.text).tag,
            evidence=evidence_of(grounding, self.best) if grounding else None,
            marked=marked_text(grounding, self.best) if grounding else "",
        )


async def refine(
    plan: Plan, topic: Topic, answerer: Answerer, remarks: tuple[Remark, ...] = ()
) -> Refined:
    """Draft, then critique and revise until the score reaches the threshold or rounds run out.

    Only a scored draft can win. A revision begins from the best draft so far. When the budget
    refuses a call that only improves the report, the best draft so far wins.

    Args:
        plan: The batch's rounds, threshold, models and options.
        topic: The topic of the report.
        answerer: How questions are answered.
        remarks: Comments of a reviewer. The revision after each deals with it first, whatever
            score, rounds or plateau say, and drafts before that revision cannot win.
    """
    grounding = await Grounding.begun(plan, topic)
    work = _Work(answerer, plan=plan, topic=topic, grounding=grounding, remarks=remarks)
    asked = {remark.iteration: remark for remark in remarks}
    last = max(asked, default=0)
    rounds = max(plan.max_iterations, last + 1) if asked else plan.max_iterations
    text, work.candidates = await first_draft(work, plan, topic, work.grounds)
    work.add(text, None)
    iteration = 0
    try:
        while True:
            latest = await work.judge(iteration + 1)
            iteration += 1
            logger.info("%s: iteration %d scored %g", topic.slug, iteration, latest.score)
            if iteration > last and (reason := _end(work, latest, iteration, rounds)):
                return work.refined(iteration, reason)
            best, remark = work.best, asked.get(iteration)
            setbacks = [d.critique for d in work.drafts[best.number :] if d.critique]
            assert best.critique is not None
            findings: list[str] = []
            if grounding:
                await grounding.widen(best)
                findings = grounding.findings(best)
            ask = revise_ask(
                plan,
                topic,
                iteration,
                best.text,
                _with_remark(best.critique, remark),
                setbacks,
                findings=findings,
                grounds=work.grounds,
            )
            text = await work.answer(revise_content, ask, iteration)
            draft = work.add(text, best.number)
            work.first = draft.number if remark else work.first
    except BudgetExhausted:
        if iteration == 0:
            raise
        return work.refined(iteration, "budget_exhausted")


def _end(work: _Work, latest: Draft, iteration: int, rounds: int) -> StopReason | None:
    """Why a report is not revised further; None: it is."""
    plan = work.plan
    if (latest.score or 0) >= plan.quality_threshold:
        return "accepted"
    if iteration == rounds:
        return "iterations_exhausted"
    scores = [draft.score or 0 for draft in work.drafts if draft.number >= work.first]
    if plan.options.plateau and stalled(scores, plan.options.plateau):
        return "plateau"
    return None


def _with_remark(
    critique: Critique | PanelCritique, remark: Remark | None
) -> Critique | PanelCritique:
    """A critique with a reviewer's comment as its first point."""
    if remark is None:
        return critique
    wish = f"The person who reviews this report asks: {remark.comment}"
    return critique.model_copy(update={"improvements": [wish, *critique.improvements]})


def stalled(scores: Sequence[float], rounds: int) -> bool:
    """Whether the last rounds did not raise the best score."""
    return len(scores) > rounds and max(scores[-rounds:]) <= max(scores[:-rounds])


@task(task_run_name="report · {topic.short}", **LOCAL_STEP)
async def refine_report(topic: Topic, plan: Plan, remarks: tuple[Remark, ...] = ()) -> Refined:
    """Refine one topic's report; read the answers that are kept, and ask for the others."""
    try:
        refined = await refine(plan, topic, read_store, remarks)
    except NotKept:
        await set_aside(plan, topic, await grounds_for(topic))
        with traced_topic(topic.slug, topic.title), connected():
            async with atransaction(commit_mode=CommitMode.EAGER):
                return await refine(plan, topic, ask_model, remarks)
    current_session().ledger.reused(topic.slug, len(refined.steps))
    return refined
