"""Formatting: the tasks that turn a refined report into the files that people read.

Not here: how a file is made (`pages`), how it is written (`publishing`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from prefect import task
from prefect.futures import PrefectFuture

from prefect_llm_reports.tasks.calls.policies import LOCAL_STEP
from prefect_llm_reports.tasks.contract.choices import Format
from prefect_llm_reports.tasks.contract.errors import FormatFailed
from prefect_llm_reports.tasks.contract.reports import Refined
from prefect_llm_reports.tasks.pages.document import document_of
from prefect_llm_reports.tasks.pages.report import report_html, report_markdown
from prefect_llm_reports.tasks.runtime.runner import as_is, ended

logger = logging.getLogger(__name__)


@task(task_run_name="{refined.topic.slug} / markdown", **LOCAL_STEP)
async def format_as_markdown(refined: Refined, *, offline: bool) -> str:
    """Write report.md: front matter and clean Markdown."""
    return report_markdown(refined, offline=offline)


@task(task_run_name="{refined.topic.slug} / html", **LOCAL_STEP)
async def format_as_html(
    refined: Refined, summary: str, *, offline: bool, templates: str | None = None
) -> str:
    """Write report.html: one self-contained page."""
    return report_html(refined, summary, offline=offline, templates=templates)


@task(task_run_name="{refined.topic.slug} / pdf", **LOCAL_STEP)
async def format_as_pdf(refined: Refined, summary: str, *, offline: bool) -> bytes:
    """Typeset report.pdf in a thread."""
    from prefect_llm_reports.tasks.pages.pdf import pdf_of

    return await asyncio.to_thread(lambda: pdf_of(document_of(refined, summary, offline=offline)))


@task(task_run_name="{refined.topic.slug} / docx", **LOCAL_STEP)
async def format_as_docx(refined: Refined, summary: str, *, offline: bool) -> bytes:
    """Write report.docx in a thread."""
    from prefect_llm_reports.tasks.pages.word import docx_of

    return await asyncio.to_thread(lambda: docx_of(document_of(refined, summary, offline=offline)))


_OPTIONAL: dict[Format, Any] = {"pdf": format_as_pdf, "docx": format_as_docx}
Formatting = Sequence[tuple[Format, PrefectFuture[Any]]]


def begin_formats(
    formats: Sequence[Format], refined: Refined, summary: str, *, offline: bool
) -> Formatting:
    """Start the formatters of all optional formats."""
    return [
        (name, _OPTIONAL[name].submit(as_is(refined), summary, offline=offline)) for name in formats
    ]


async def made_formats(
    slug: str, formatting: Formatting
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """Wait for the optional formats; the report is published without one that fails.

    Returns:
        The files by name, and a warning for each missing file.
    """
    files: dict[str, bytes] = {}
    warnings: list[str] = []
    for name, future in formatting:
        try:
            files[f"report.{name}"] = await ended(future)
        except Exception as error:  # the report itself is finished and paid
            reason = str(error) if isinstance(error, FormatFailed) else type(error).__name__
            said = f"{slug}: published without report.{name}: {reason}"
            logger.warning(said, exc_info=not isinstance(error, FormatFailed))
            warnings.append(said)
    return files, tuple(warnings)
