"""Branches: several structured answers to one input, at the same time, merged or judged.

Here: programs of branches, their questions, merging, a run over inputs. Not here: reports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect_llm_reports.tasks import lazily

if TYPE_CHECKING:
    from prefect_llm_reports.tasks.branches.batch import BranchBatch
    from prefect_llm_reports.tasks.branches.checking import CheckedProgram, check_branches
    from prefect_llm_reports.tasks.branches.programs import Program
    from prefect_llm_reports.tasks.branches.run import BranchRun

__all__ = ["BranchBatch", "BranchRun", "CheckedProgram", "Program", "check_branches"]

__getattr__ = lazily(
    __name__,
    {
        "BranchBatch": "batch",
        "BranchRun": "run",
        "CheckedProgram": "checking",
        "Program": "programs",
        "check_branches": "checking",
    },
)
