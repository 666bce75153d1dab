"""The values that every room shares: records, options, errors, settings.

Here: frozen records that cross a task boundary or land in a file, the options that a person may
choose, the errors by their reach, the environment, and how run forms show all this. Not here: code
that reads, asks, writes or decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect_llm_reports.tasks import lazily

if TYPE_CHECKING:
    from prefect_llm_reports.tasks.contract.branches import Branch, BranchOptions
    from prefect_llm_reports.tasks.contract.calls import Answer, Ask, Message
    from prefect_llm_reports.tasks.contract.errors import (
        BadInput,
        CallError,
        ReportsError,
        StorageError,
    )
    from prefect_llm_reports.tasks.contract.options import Critic, ReportOptions
    from prefect_llm_reports.tasks.contract.reports import (
        BatchResult,
        Manifest,
        ReportResult,
        Topic,
    )
    from prefect_llm_reports.tasks.contract.settings import Settings

__all__ = [
    "Answer",
    "Ask",
    "BadInput",
    "BatchResult",
    "Branch",
    "BranchOptions",
    "CallError",
    "Critic",
    "Manifest",
    "Message",
    "ReportOptions",
    "ReportResult",
    "ReportsError",
    "Settings",
    "StorageError",
    "Topic",
]

__getattr__ = lazily(
    __name__,
    {
        "Answer": "calls",
        "Ask": "calls",
        "BadInput": "errors",
        "BatchResult": "reports",
        "Branch": "branches",
        "BranchOptions": "branches",
        "CallError": "errors",
        "Critic": "options",
        "Manifest": "reports",
        "Message": "calls",
        "ReportOptions": "options",
        "ReportResult": "reports",
        "ReportsError": "errors",
        "Settings": "settings",
        "StorageError": "errors",
        "Topic": "reports",
    },
)
