"""The tasks that ask for a draft, a critique, a revision or a summary.

Not here: their questions (`questions`), their caching and repetition (`calls.policies`).
"""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Completed

from prefect_llm_reports.tasks.answers.records import sealed
from prefect_llm_reports.tasks.calls.policies import SealedAnswer, llm_step
from prefect_llm_reports.tasks.contract.calls import Ask
from prefect_llm_reports.tasks.contract.records import shortened
from prefect_llm_reports.tasks.contract.reports import Critique
from prefect_llm_reports.tasks.llm.session import current_session
from prefect_llm_reports.tasks.text.markdown import one_line

MOST_SAID = 160
"""Characters of a critique in the message of its state."""


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
async def critique_content(ask: Ask) -> State[Any]:
    """Ask the critic to judge a draft: a score from 1 to 10 with reasons, shown with the state."""
    answer = await current_session().answer(ask)
    critique = Critique.model_validate_json(answer.text)
    said = one_line(critique.summary or "; ".join(critique.improvements[:1]))
    message = shortened(f"score {critique.score:g}: {said}", MOST_SAID)
    return Completed(message=message, data=sealed(answer))
