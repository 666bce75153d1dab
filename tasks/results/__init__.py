"""Result directories, the index of runs, and their verification.

Here: manifests, checksums, the reports of earlier runs, the schemas of result files. Not here: how
a report or an answer is made (`reports`, `branches`), how pages look (`pages`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect_llm_reports.tasks import lazily

if TYPE_CHECKING:
    from prefect_llm_reports.tasks.results.index import publish_index
    from prefect_llm_reports.tasks.results.manifests import new_run_id
    from prefect_llm_reports.tasks.results.verifying import Verifier

__all__ = ["Verifier", "new_run_id", "publish_index"]

__getattr__ = lazily(
    __name__,
    {
        "Verifier": "verifying",
        "new_run_id": "manifests",
        "publish_index": "index",
    },
)
