"""One question in, one accepted answer out.

Here: the way from a question to its answer.

- `session` decides what follows each request; `call` is a question's history.
- `line` sends requests to one endpoint in their turn, with `pacing` (`adaptive`, `windows`,
  `slowness`), `budget`, `pricing`, `ledger`, `health` and `dialect`.
- `requests` writes a request; `client`, `transport` and `connections` send it.
- `replies`, `refusals`, `hints`, `usage` and `faults` read the response.
- `answer_forms` and `strict_schemas` say which answers are accepted.

Not here: prompts and Prefect tasks (`calls`), the store of answers (`answers`).
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
