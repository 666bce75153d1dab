"""Writing: the tasks that draft, revise and summarize a report."""

from __future__ import annotations

from tasks.completions import sealed
from tasks.llm import current_session
from tasks.policies import SealedAnswer, llm_step
from tasks.schemas import Ask


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
