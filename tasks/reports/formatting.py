"""Formatting: the tasks that turn a refined report into the files that people read.

Not here: how a file is made (`pages`), how it is written (`publishing`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prefect import task
from prefect.futures import PrefectFuture

from prefect_llm_reports.tasks.calls.policies import LOCAL_STEP
from prefect_llm_reports.tasks.contract.choices import Format
from prefect_llm_reports.tasks.contract.errors import FormatFailed
from prefect_llm_reports.tasks.contract.provenance import Provenance
from prefect_llm_reports.tasks.contract.reports import Refined
from prefect_llm_reports.tasks.pages.document import document_of
from prefect_llm_reports.tasks.pages.fonts import packages_for
from prefect_llm_reports.tasks.pages.report import report_html, report_markdown
from prefect_llm_reports.tasks.runtime.runner import as_is, ended
from prefect_llm_reports.tasks.text.figures import counted
from prefect_llm_reports.tasks.text.foreign import shown

logger = logging.getLogger(__name__)

MOST_SIGNS = 12
"""Characters without a font that a warning names."""


@task(task_run_name="markdown · {refined.topic.short}", **LOCAL_STEP)
async def format_as_markdown(
    refined: Refined, *, offline: bool, provenance: Provenance | None = None
) -> str:
    """Write report.md: front matter and clean Markdown."""
    return report_markdown(refined, offline=offline, provenance=provenance)


@task(task_run_name="html · {refined.topic.short}", **LOCAL_STEP)
async def format_as_html(
    refined: Refined,
    summary: str,
    *,
    offline: bool,
    templates: str | None = None,
    provenance: Provenance | None = None,
) -> str:
    """Write report.html: one self-contained page."""
    return report_html(
        refined, summary, offline=offline, templates=templates, provenance=provenance
    )


@dataclass(frozen=True)
class MadeFile:
    """A file of an optional format.

    Attributes:
        body: Its bytes.
        warning: What is wrong with it; empty: nothing.
    """

    body: bytes
    warning: str = ""


@task(task_run_name="pdf · {refined.topic.short}", **LOCAL_STEP)
async def format_as_pdf(
    refined: Refined, summary: str, *, offline: bool, provenance: Provenance | None = None
) -> MadeFile:
    """Typeset report.pdf in a thread."""
    from prefect_llm_reports.tasks.pages.pdf import characters_without_font, pdf_of

    def made() -> MadeFile:
        document = document_of(refined, summary, offline=offline, provenance=provenance)
        return MadeFile(pdf_of(document), _without_font(characters_without_font(document)))

    return await asyncio.to_thread(made)


def _without_font(missing: str) -> str:
    if not missing:
        return ""
    return (
        f"report.pdf shows boxes in place of {counted(len(missing), 'character')}"
        f" ({shown(missing, MOST_SIGNS)}) because no font of this machine has them; install fonts,"
        f" such as Debian's {packages_for(missing)}, and run the same command with --refresh"
    )


@task(task_run_name="docx · {refined.topic.short}", **LOCAL_STEP)
async def format_as_docx(
    refined: Refined, summary: str, *, offline: bool, provenance: Provenance | None = None
) -> MadeFile:
    """Write report.docx in a thread."""
    from prefect_llm_reports.tasks.pages.word import docx_of

    document = document_of(refined, summary, offline=offline, provenance=provenance)
    return MadeFile(await asyncio.to_thread(docx_of, document))


_OPTIONAL: dict[Format, Any] = {"pdf": format_as_pdf, "docx": format_as_docx}
Formatting = Sequence[tuple[Format, PrefectFuture[Any]]]


def begin_formats(
    formats: Sequence[Format],
    refined: Refined,
    summary: str,
    *,
    offline: bool,
    provenance: Provenance | None = None,
) -> Formatting:
    """Start the formatters of all optional formats."""
    made = {"offline": offline, "provenance": as_is(provenance)}
    return [(name, _OPTIONAL[name].submit(as_is(refined), summary, **made)) for name in formats]


async def made_formats(
    slug: str, formatting: Formatting
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """Wait for the optional formats; the report is published without one that fails.

    Returns:
        The files by name, and a warning for each file that is missing or incomplete.
    """
    files: dict[str, bytes] = {}
    warnings: list[str] = []
    for name, future in formatting:
        try:
            made: MadeFile = await ended(future)
            files[f"report.{name}"] = made.body
            if made.warning:
                logger.warning("%s: %s", slug, made.warning)
                warnings.append(f"{slug}: {made.warning}")
        except Exception as error:  # the report itself is finished and paid
            reason = str(error) if isinstance(error, FormatFailed) else type(error).__name__
            said = f"{slug}: published without report.{name}: {reason}"
            logger.warning(said, exc_info=not isinstance(error, FormatFailed))
            warnings.append(said)
    return files, tuple(warnings)
