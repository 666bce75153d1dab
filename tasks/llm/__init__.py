"""One question in, one accepted answer out.

Here: the session of a run, the line to an endpoint, pace, budget, prices, forms of answers. Not
here: prompts and Prefect tasks (`calls`), the store of answers (`answers`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect_llm_reports.tasks import lazily

if TYPE_CHECKING:
    from prefect_llm_reports.tasks.llm.answer_forms import Form
    from prefect_llm_reports.tasks.llm.blocks import LLMEndpoint
    from prefect_llm_reports.tasks.llm.budget import Budget
    from prefect_llm_reports.tasks.llm.endpoint import Endpoint
    from prefect_llm_reports.tasks.llm.pacing import Pace
    from prefect_llm_reports.tasks.llm.pricing import PriceList
    from prefect_llm_reports.tasks.llm.session import Session, current_session, use_session

__all__ = [
    "Budget",
    "Endpoint",
    "Form",
    "LLMEndpoint",
    "Pace",
    "PriceList",
    "Session",
    "current_session",
    "use_session",
]

__getattr__ = lazily(
    __name__,
    {
        "Budget": "budget",
        "Endpoint": "endpoint",
        "Form": "answer_forms",
        "LLMEndpoint": "blocks",
        "Pace": "pacing",
        "PriceList": "pricing",
        "Session": "session",
        "current_session": "session",
        "use_session": "session",
    },
)
