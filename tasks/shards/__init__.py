"""A batch over many workers.

Here: orders for parts of a batch, the workers that take them, the desk where they report, and how
the parts become one result. Not here: the reports of a part (`reports`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect_llm_reports.tasks import lazily

if TYPE_CHECKING:
    from prefect_llm_reports.tasks.shards.batch import SplitRun, shards_of
    from prefect_llm_reports.tasks.shards.run import ShardRun, read_order

__all__ = ["ShardRun", "SplitRun", "read_order", "shards_of"]

__getattr__ = lazily(
    __name__,
    {
        "ShardRun": "run",
        "SplitRun": "batch",
        "read_order": "run",
        "shards_of": "batch",
    },
)
