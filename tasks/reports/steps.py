"""The tasks that ask for a draft, a critique, a revision or a summary.

Not here: what they ask (`questions`), how they are cached and repeated (`calls.policies`).
"""

from __future__ import annotations

from prefect_llm_reports.tasks.answers.records import sealed
from prefect_llm_reports.tasks.calls.policies import SealedAnswer, llm_step
from prefect_llm_reports.tasks.contract.calls import Ask
from prefect_llm_reports.tasks.llm.session import current_session


@llm_step
async def generate_initial_draft(ask: Ask) -> SealedAnswer:
    """Ask the writer for the first draft of a report."""
    return sealed(await current_session().answer(ask))


@llm_step
async def revise_content(ask: Ask) -> SealedAnswer:
    """Ask the writer to revise a draft by its critique."""
    return sealed(await current_session().answer(ask))


@llm_step
async def generate_summary(ask: Ask) -> SealedAnswer:
    """Ask for the executive summary of a finished report."""
    return sealed(await current_session().answer(ask))


@llm_step
async def critique_content(ask: Ask) -> SealedAnswer:
    """Ask the critic to judge a draft: a score from 1 to 10 with reasons."""
    return sealed(await current_session().answer(ask))
