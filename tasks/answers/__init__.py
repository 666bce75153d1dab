"""Every paid answer, kept once: the store, its records, locks and leases.

Here: `store` gives Prefect and the batch their answers; it is made of `records` (the form of a kept
answer), `files`, `room` on the disk, `selection` (which answers a batch may use) and `losses`.
`locks` and `leases` let one process ask while others wait. Not here: asking (`llm`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect_llm_reports.tasks import lazily

if TYPE_CHECKING:
    from prefect_llm_reports.tasks.answers.records import sealed, unsealed
    from prefect_llm_reports.tasks.answers.store import AnswerStore, current_store, use_store

__all__ = ["AnswerStore", "current_store", "sealed", "unsealed", "use_store"]

__getattr__ = lazily(
    __name__,
    {
        "AnswerStore": "store",
        "current_store": "store",
        "sealed": "records",
        "unsealed": "records",
        "use_store": "store",
    },
)
