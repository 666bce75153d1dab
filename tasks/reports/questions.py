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
from prefect_llm_reports.tasks.contract.options import Critic, ReportOptions
from prefect_llm_reports.tasks.contract.records import OFFLINE, Record
from prefect_llm_reports.tasks.contract.reports import Critique, PanelCritique, Topic
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


CRITIQUE = model_form(Critique)
"""The form of a critique."""


BEST_DRAFT = (
    "Which draft is the best start for a report that readers rely on? Clarity, structure, depth,"
    " accuracy and engagement count alike; what could be mended easily counts little."
)


def _ask(
    plan: Plan,
    topic: Topic,
    step: str,
    iteration: int,
    messages: tuple[Message, ...],
    part: str = "",
    **more: Any,
) -> Ask:
    options = plan.options
    where = [topic.slug, str(iteration) if iteration else "", step, part]
    asked: dict[str, Any] = {
        "endpoint": plan.endpoint,
        "model": options.models(plan.model)[step],
        "max_output_tokens": options.max_output_tokens,
        "temperature": options.temperature,
        **more,
    }
    if plan.model == OFFLINE:
        asked["model"] = OFFLINE
    label = " / ".join(filter(None, where))
    return Ask(step=step, label=label, item=topic.slug, messages=messages, **asked)


def draft_ask(plan: Plan, topic: Topic, candidate: int = 1) -> Ask:
    """Ask for a first draft; a report needs only the first of several candidates."""
    variant = "" if candidate == 1 else str(candidate)
    return _ask(
        plan,
        topic,
        "draft",
        0,
        writer_prompt(topic, plan.options, variant),
        part=f"candidate {candidate}" if plan.options.candidates > 1 else "",
        variant=variant,
        needed=candidate == 1,
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
    return _ask(
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
    plan: Plan, topic: Topic, iteration: int, draft: str, critic: Critic | None = None
) -> Ask:
    """Ask for a critique of a draft; a report needs only the first one.

    Args:
        plan: The batch's models and options.
        topic: What the report is about.
        iteration: The round of critique, 1-based.
        draft: The text to judge.
        critic: The member of the panel to ask; None: the only critic.
    """
    asked: dict[str, Any] = {"model": critic.model} if critic and critic.model else {}
    return _ask(
        plan,
        topic,
        "critique",
        iteration,
        critic_prompt(topic, plan.options, draft, critic),
        part=critic.name if critic else "",
        **asked,
        output_name="critique",
        output_schema=CRITIQUE.schema,
        bounded_schema=CRITIQUE.bounded,
        accept=CRITIQUE.accept,
        needed=iteration == 1,
    )


def revise_ask(
    plan: Plan,
    topic: Topic,
    iteration: int,
    draft: str,
    critique: Critique | PanelCritique,
    setbacks: Sequence[Critique | PanelCritique],
) -> Ask:
    """Ask for a revision of a draft by its critique.

    Args:
        plan: The batch's models and options.
        topic: What the report is about.
        iteration: The round of critique, 1-based.
        draft: The best draft so far.
        critique: Its critique.
        setbacks: Critiques of later drafts that scored lower.
    """
    against = "\n".join(c.model_dump_json(include={"improvements", "summary"}) for c in setbacks)
    judged = critique.model_dump_json(indent=1, include=set(Critique.model_fields))
    return _ask(
        plan,
        topic,
        "revise",
        iteration,
        reviser_prompt(topic, plan.options, draft, judged, against),
        needed=False,
    )


def summary_ask(plan: Plan, topic: Topic, report: str) -> Ask:
    """Ask for the executive summary of the finished report."""
    return _ask(plan, topic, "summary", 0, summarizer_prompt(topic, plan.options, report))


BYTES_A_WORD = 12
"""Bytes of a word in a draft that is not written yet: an estimate on the safe side."""


async def set_aside(plan: Plan, topic: Topic) -> None:
    """Set money aside for the calls that a report needs.

    Raises:
        BudgetExhausted: Too little is left; no call is made for this report.
    """
    session = current_session()
    if session.budget.limit is None:
        return
    text = "x" * (BYTES_A_WORD * plan.options.length_words)
    asks = [draft_ask(plan, topic), summary_ask(plan, topic, text)]
    asks += [critique_ask(plan, topic, 1, text, c) for c in plan.options.critics or (None,)]
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
