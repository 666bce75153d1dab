"""Reports: topics drafted, critiqued, revised, summarized and published.

Here: the questions, the refinement loop, and the parts of a run: accounts, roster, finishing,
review, artifacts. Not here: batches over several workers (`shards`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect_llm_reports.tasks import lazily

if TYPE_CHECKING:
    from prefect_llm_reports.tasks.reports.batch import BatchRun
    from prefect_llm_reports.tasks.reports.checking import CheckedBatch, check_batch
    from prefect_llm_reports.tasks.reports.questions import Plan
    from prefect_llm_reports.tasks.reports.refining import refine_report

__all__ = ["BatchRun", "CheckedBatch", "Plan", "check_batch", "refine_report"]

__getattr__ = lazily(
    __name__,
    {
        "BatchRun": "batch",
        "CheckedBatch": "checking",
        "Plan": "questions",
        "check_batch": "checking",
        "refine_report": "refining",
    },
)
