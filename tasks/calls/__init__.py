"""An LLM call as a Prefect task: prompts, policies, answering, judging.

Here: the step that asks and stores an answer, for every product alike. Not here: which questions a
product asks (`reports.questions`, `branches.questions`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect_llm_reports.tasks import lazily

if TYPE_CHECKING:
    from prefect_llm_reports.tasks.calls.answering import ask_model, read_store
    from prefect_llm_reports.tasks.calls.policies import LLMStep, llm_step

__all__ = ["LLMStep", "ask_model", "llm_step", "read_store"]

__getattr__ = lazily(
    __name__,
    {
        "LLMStep": "policies",
        "ask_model": "answering",
        "llm_step": "policies",
        "read_store": "answering",
    },
)
