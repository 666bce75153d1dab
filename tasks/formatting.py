"""Formatting: the tasks that turn a refined report into the files people read."""

from __future__ import annotations

from prefect import task

from tasks.policies import LOCAL_STEP
from tasks.rendering import report_html, report_markdown
from tasks.schemas import Refined


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
