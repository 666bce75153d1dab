"""The public flows; importing this package is cheap, a flow is loaded when it is first named."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tasks.environment import set_prefect_defaults

if TYPE_CHECKING:
    from flows.batch import report_batch
    from flows.branches import branch_batch, parallel_branches
    from flows.shards import report_shard
    from tasks.branches import (
        AnswerWithThinking,
        Branch,
        BranchBatchResult,
        BranchesResult,
        BranchOptions,
        Query,
        Use,
    )
    from tasks.options import ReportOptions
    from tasks.schemas import BatchResult, Topic

__all__ = [
    "AnswerWithThinking",
    "BatchResult",
    "Branch",
    "BranchBatchResult",
    "BranchOptions",
    "BranchesResult",
    "Query",
    "ReportOptions",
    "Topic",
    "Use",
    "branch_batch",
    "parallel_branches",
    "report_batch",
    "report_shard",
]

set_prefect_defaults()


_HOMES = {
    "AnswerWithThinking": "tasks.branches",
    "BatchResult": "tasks.schemas",
    "Branch": "tasks.branches",
    "BranchBatchResult": "tasks.branches",
    "BranchOptions": "tasks.branches",
    "BranchesResult": "tasks.branches",
    "Query": "tasks.branches",
    "ReportOptions": "tasks.options",
    "Topic": "tasks.schemas",
    "Use": "tasks.branches",
    "branch_batch": "flows.branches",
    "parallel_branches": "flows.branches",
    "report_batch": "flows.batch",
    "report_shard": "flows.shards",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'flows' has no attribute {name!r}")
    found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found
