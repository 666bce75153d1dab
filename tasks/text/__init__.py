"""Text: Markdown parsed, cleaned and rendered, two texts compared, others' text made safe to show.

Here: pure functions over strings. Not here: pages (`pages`), answers that fit a schema
(`llm.answer_forms`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect_llm_reports.tasks import lazily

if TYPE_CHECKING:
    from prefect_llm_reports.tasks.text.changes import compared
    from prefect_llm_reports.tasks.text.foreign import shown, strict_json
    from prefect_llm_reports.tasks.text.markdown import one_line

__all__ = ["compared", "one_line", "shown", "strict_json"]

__getattr__ = lazily(
    __name__,
    {
        "compared": "changes",
        "one_line": "markdown",
        "shown": "foreign",
        "strict_json": "foreign",
    },
)
