"""Judging: the tasks that score drafts and compare candidates."""

from __future__ import annotations

from tasks.completions import sealed
from tasks.llm import current_session
from tasks.policies import SealedAnswer, llm_step
from tasks.schemas import Ask


@llm_step
async def critique_content(ask: Ask) -> SealedAnswer:
    """Have a draft judged by the critic: a score from 1 to 10 with reasons."""
    return sealed(await current_session().answer(ask))


@llm_step
async def judge_candidates(ask: Ask) -> SealedAnswer:
    """Have candidates compared in one order: a score from 1 to 10 with a reason for each."""
    return sealed(await current_session().answer(ask))
