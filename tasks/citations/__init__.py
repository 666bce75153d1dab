"""Citations checked by code: the notes of a draft, its sentences, quotations, numbers, verdicts.

Here: pure functions of a draft and its passages; equal texts give equal verdicts, and similarity
plays no part. Not here: reading sources and choosing passages (`sources`), the judge of support and
the loop that acts on findings (`reports`), pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect_llm_reports.tasks import lazily

if TYPE_CHECKING:
    from prefect_llm_reports.tasks.citations.checking import Checked, checked
    from prefect_llm_reports.tasks.citations.folding import folded
    from prefect_llm_reports.tasks.citations.locating import located

__all__ = ["Checked", "checked", "folded", "located"]

__getattr__ = lazily(
    __name__,
    {
        "Checked": "checking",
        "checked": "checking",
        "folded": "folding",
        "located": "locating",
    },
)
