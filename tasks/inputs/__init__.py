"""Input from people: topics, queries, branches files and requests, read and checked.

Here: file formats with their limits, and the checks that every request shares. Not here: checks
that only reports or only branches need (`reports.checking`, `branches.checking`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect_llm_reports.tasks import lazily

if TYPE_CHECKING:
    from prefect_llm_reports.tasks.inputs.branches_file import BranchesFile, read_branches_file
    from prefect_llm_reports.tasks.inputs.requests import Collected
    from prefect_llm_reports.tasks.inputs.topics import gather_topics

__all__ = ["BranchesFile", "Collected", "gather_topics", "read_branches_file"]

__getattr__ = lazily(
    __name__,
    {
        "BranchesFile": "branches_file",
        "Collected": "requests",
        "gather_topics": "topics",
        "read_branches_file": "branches_file",
    },
)
