"""Writing: the tasks that draft, revise and summarize a report."""

from __future__ import annotations

from prefect_llm_reports.tasks.answers.records import sealed
from prefect_llm_reports.tasks.calls.policies import SealedAnswer, llm_step
from prefect_llm_reports.tasks.contract.calls import Ask
from prefect_llm_reports.tasks.llm.session import current_session


@llm_step
async def generate_initial_draft(ask: Ask) -> SealedAnswer:
    """Have the first draft of a report written."""
    return sealed(await current_session().answer(ask))


@llm_step
async def revise_content(ask: Ask) -> SealedAnswer:
    """Have a draft revised by its critique."""
    return sealed(await current_session().answer(ask))


@llm_step
async def generate_summary(ask: Ask) -> SealedAnswer:
    """Have the executive summary of a finished report written."""
    return sealed(await current_session().answer(ask))


@llm_step
async def critique_content(ask: Ask) -> SealedAnswer:
    """Have a draft judged by the critic: a score from 1 to 10 with reasons."""
    return sealed(await current_session().answer(ask))
