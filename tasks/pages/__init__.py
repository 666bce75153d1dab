"""Everything that a reader sees: HTML pages, PDF, DOCX, drawings.

Here: records turned into text and bytes, the clock as an argument. Not here: writing files
(`results`, `reports.publishing`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect_llm_reports.tasks import lazily

if TYPE_CHECKING:
    from prefect_llm_reports.tasks.pages.report import report_html, report_markdown

__all__ = ["report_html", "report_markdown"]

__getattr__ = lazily(
    __name__,
    {
        "report_html": "report",
        "report_markdown": "report",
    },
)
