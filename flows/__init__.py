"""The public flows. Importing this package is cheap: a flow is loaded when it is first used.

Here: the flows, and the command line in `cli`. Not here: their tasks. Importing changes
nothing of the process. No module here has the name of a flow, because
`from prefect_llm_reports.flows import report_batch` would then give the module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect_llm_reports.tasks import lazily

if TYPE_CHECKING:
    from prefect_llm_reports.flows.branches import branch_batch, parallel_branches
    from prefect_llm_reports.flows.reports import report_batch
    from prefect_llm_reports.flows.shards import report_shard
    from prefect_llm_reports.tasks.contract.branch_results import BranchBatchResult, BranchesResult
    from prefect_llm_reports.tasks.contract.branches import (
        AnswerWithThinking,
        Branch,
        BranchOptions,
        Query,
        Use,
    )
    from prefect_llm_reports.tasks.contract.options import ReportOptions
    from prefect_llm_reports.tasks.contract.quotes import Quote
    from prefect_llm_reports.tasks.contract.reports import BatchResult, Topic

__all__ = [
    "AnswerWithThinking",
    "BatchResult",
    "Branch",
    "BranchBatchResult",
    "BranchOptions",
    "BranchesResult",
    "Query",
    "Quote",
    "ReportOptions",
    "Topic",
    "Use",
    "branch_batch",
    "parallel_branches",
    "report_batch",
    "report_shard",
]

_BRANCHES = "prefect_llm_reports.tasks.contract.branches"
_RESULTS = "prefect_llm_reports.tasks.contract.branch_results"
_REPORTS = "prefect_llm_reports.tasks.contract.reports"

__getattr__ = lazily(
    __name__,
    {
        "AnswerWithThinking": _BRANCHES,
        "BatchResult": _REPORTS,
        "Branch": _BRANCHES,
        "BranchBatchResult": _RESULTS,
        "BranchOptions": _BRANCHES,
        "BranchesResult": _RESULTS,
        "Query": _BRANCHES,
        "Quote": "prefect_llm_reports.tasks.contract.quotes",
        "ReportOptions": "prefect_llm_reports.tasks.contract.options",
        "Topic": _REPORTS,
        "Use": _BRANCHES,
        "branch_batch": "branches",
        "parallel_branches": "branches",
        "report_batch": "reports",
        "report_shard": "shards",
    },
)
