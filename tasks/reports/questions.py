"""The questions that a report is made of: prompt, model and form of each step.

Also the money that a report sets aside for them. Not here: the wording of prompts
(`calls.prompts`), the order of questions (`refining`).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from prefect_llm_reports.tasks.calls.judging import verdict_form
from prefect_llm_reports.tasks.calls.prompts import (
    critic_prompt,
    judge_prompt,
    reviser_prompt,
    summarizer_prompt,
    writer_prompt,
)
from prefect_llm_reports.tasks.contract.calls import Ask, Message
from prefect_llm_reports.tasks.contract.errors import BudgetExhausted
from prefect_llm_reports.tasks.contract.evidence import Grounds
from prefect_llm_reports.tasks.contract.options import Critic, ReportOptions
from prefect_llm_reports.tasks.contract.records import OFFLINE, Record
from prefect_llm_reports.tasks.contract.reports import Critique, PanelCritique, Refined, Topic
from prefect_llm_reports.tasks.llm.answer_forms import model_form
from prefect_llm_reports.tasks.llm.budget import OverBudget
from prefect_llm_reports.tasks.llm.session import current_session


class Plan(Record):
    """How the reports of one batch are made, the same for all topics."""

    endpoint: str
    model: str
    max_iterations: int
    quality_threshold: float
    options: ReportOptions

    @property
    def chosen(self) -> dict[str, Any]:
        """The plan as files record it, without the options left at their defaults."""
        return {
            **self.model_dump(mode="json", exclude={"options"}),
            **self.options.model_dump(mode="json", exclude_defaults=True),
        }


CRITIQUE = model_form(Critique)
"""The form of a critique."""


BEST_DRAFT = (
    "Which draft is the best start for a report that readers rely on? Clarity, structure, depth,"
    " accuracy and engagement count alike; what could be mended easily counts little."
)


def report_ask(
    plan: Plan,
    topic: Topic,
    step: str,
    iteration: int,
    messages: tuple[Message, ...],
    part: str = "",
    **more: Any,
) -> Ask:
    """One question of a report, with the batch's options.

    Args:
        plan: The batch's models and options.
        topic: The topic of the report.
        step: The step that asks it; names its model.
        iteration: The round of critique; 0: outside of the rounds.
        messages: The prompt.
        part: The candidate, the critic or the part, if there are several.
        more: Further fields of the question.
    """
    options = plan.options
    number = f" {iteration}" if iteration else ""
    asked: dict[str, Any] = {
        "endpoint": plan.endpoint,
        "model": options.models(plan.model)[step],
        "max_output_tokens": options.max_output_tokens,
        "temperature": options.temperature,
        "reasoning_effort": options.reasoning_effort,
        "extra_body": options.extra_body,
        "round": iteration,
        "wishes": f"{options.language}, {options.length_words} words",
        **more,
    }
    if plan.model == OFFLINE:
        asked["model"] = OFFLINE
    label = f"{step}{number}{f', {part}' if part else ''} · {topic.short}"
    return Ask(step=step, label=label, item=topic.slug, messages=messages, **asked)


def draft_ask(
    plan: Plan, topic: Topic, candidate: int = 1, *, grounds: Grounds | None = None
) -> Ask:
    """Ask for a first draft; a report needs only the first of several candidates.

    Args:
        plan: The batch's models and options.
        topic: The topic of the report.
        candidate: Number of the draft, 1-based.
        grounds: The passages that it may quote; None: the topic has no sources.
    """
    variant = "" if candidate == 1 else str(candidate)
    return report_ask(
        plan,
        topic,
        "draft",
        0,
        writer_prompt(topic, plan.options, variant, grounds),
        part=f"candidate {candidate}" if plan.options.candidates > 1 else "",
        variant=variant,
        needed=candidate == 1,
        **_with_sources(plan, "draft", grounds),
    )


def judge_ask(plan: Plan, topic: Topic, drafts: Sequence[str], turn: int) -> Ask:
    """Ask a judge to compare first drafts in this order."""
    form = verdict_form(len(drafts))
    options = plan.options
    task = (
        f"A report of about {options.length_words} words in {options.language} for"
        f" {options.audience}.\nTopic: {topic.title}"
    )
    if topic.guidance:
        task += f"\nPoints to cover: {topic.guidance}"
    return report_ask(
        plan,
        topic,
        "judge",
        0,
        judge_prompt(BEST_DRAFT, task, drafts),
        part=f"order {turn}",
        output_name="verdict",
        output_schema=form.schema,
        bounded_schema=form.bounded,
        accept=form.accept,
        needed=False,
    )


def critique_ask(
    plan: Plan,
    topic: Topic,
    iteration: int,
    draft: str,
    critic: Critic | None = None,
    *,
    part_first: bool = False,
    grounds: Grounds | None = None,
) -> Ask:
    """Ask for a critique of a draft; a report needs only the first one.

    Args:
        plan: The batch's models and options.
        topic: The topic of the report.
        iteration: The round of critique, 1-based.
        draft: The text to judge.
        critic: The member of the panel to ask; None: the only critic.
        part_first: As version 0.1 asked: the critic's part stands before the draft.
        grounds: The passages that the draft was written from; None: the topic has no sources.
    """
    asked: dict[str, Any] = {"model": critic.model} if critic and critic.model else {}
    return report_ask(
        plan,
        topic,
        "critique",
        iteration,
        critic_prompt(topic, plan.options, draft, critic, part_first=part_first, grounds=grounds),
        part=critic.name if critic else "",
        **asked,
        output_name="critique",
        output_schema=CRITIQUE.schema,
        bounded_schema=CRITIQUE.bounded,
        accept=CRITIQUE.accept,
        needed=iteration == 1,
        **{
            **_with_sources(plan, "critique", grounds),
            "shares_prefix": len(plan.options.critics) > 1 or grounds is not None,
        },
    )


def revise_ask(
    plan: Plan,
    topic: Topic,
    iteration: int,
    draft: str,
    critique: Critique | PanelCritique,
    setbacks: Sequence[Critique | PanelCritique],
    *,
    findings: Sequence[str] = (),
    grounds: Grounds | None = None,
) -> Ask:
    """Ask for a revision of a draft by its critique.

    Args:
        plan: The batch's models and options.
        topic: The topic of the report.
        iteration: The round of critique, 1-based.
        draft: The best draft so far.
        critique: Its critique.
        setbacks: Critiques of later drafts that scored lower.
        findings: What checking found in the draft, the worst first.
        grounds: The passages that it may quote; None: the topic has no sources.
    """
    against = "\n".join(c.model_dump_json(include={"improvements", "summary"}) for c in setbacks)
    judged = critique.model_dump_json(indent=1, include=set(Critique.model_fields))
    return report_ask(
        plan,
        topic,
        "revise",
        iteration,
        reviser_prompt(
            topic,
            plan.options,
            draft,
            judged,
            against,
            findings="\n".join(f"- {one}" for one in findings),
            grounds=grounds,
        ),
        needed=False,
        **_with_sources(plan, "revise", grounds),
    )


def summary_ask(plan: Plan, topic: Topic, report: str, *, grounded: bool = False) -> Ask:
    """Ask for the executive summary of the finished report.

    Args:
        plan: The batch's models and options.
        topic: The topic of the report.
        report: The text that is published.
        grounded: The report has sources; notes that failed a check say so.
    """
    prompt = summarizer_prompt(topic, plan.options, report, grounded=grounded)
    return report_ask(plan, topic, "summary", 0, prompt)


def own_summary_ask(plan: Plan, refined: Refined) -> Ask:
    """Ask for the executive summary of a refined report."""
    return summary_ask(plan, refined.topic, refined.text, grounded=refined.evidence is not None)


def _with_sources(plan: Plan, step: str, grounds: Grounds | None) -> dict[str, Any]:
    """What a question with passages has besides: they begin alike, whatever the step.

    Estimates tell the steps apart by their wishes, since the instructions are the same.
    """
    if grounds is None:
        return {}
    wishes = f"{plan.options.language}, {plan.options.length_words} words, {step} with sources"
    return {"shares_prefix": True, "wishes": wishes}


BYTES_A_WORD = 12
"""Bytes of a word in a draft that is not written yet: an estimate on the safe side."""


def needed_asks(plan: Plan, topic: Topic, grounds: Grounds | None = None) -> list[Ask]:
    """The questions that a report cannot be published without, about a draft on the safe side."""
    text = "x" * (BYTES_A_WORD * plan.options.length_words)
    asks = [
        draft_ask(plan, topic, grounds=grounds),
        summary_ask(plan, topic, text, grounded=grounds is not None),
    ]
    critics = plan.options.critics or (None,)
    return asks + [critique_ask(plan, topic, 1, text, c, grounds=grounds) for c in critics]


async def set_aside(plan: Plan, topic: Topic, grounds: Grounds | None = None) -> None:
    """Set aside money for the calls that a report needs.

    Raises:
        BudgetExhausted: Too little is left; no call is made for this report.
    """
    session = current_session()
    if session.budget.limit is None:
        return
    asks = needed_asks(plan, topic, grounds)
    amount, least = (
        sum((session.usual_usd(ask, share) or Decimal(0) for ask in asks), Decimal(0))
        for share in (Decimal(1), Decimal("0.5"))
    )
    try:
        await session.budget.allow(topic.slug, amount, least=least)
    except OverBudget as over:
        raise BudgetExhausted(
            f"not started: {over} for a report; raise the budget and run the same command again"
        ) from None
