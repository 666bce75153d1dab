"""Jinja2 in its sandbox, and every template: prompts, pages, PDF, schemas of files.

Here: rendering with bounds on time and size. Not here: what goes into a template (`calls.prompts`,
`pages`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect_llm_reports.tasks import lazily

if TYPE_CHECKING:
    from prefect_llm_reports.tasks.templates.sandbox import Html, Limits, Sandbox

__all__ = ["Html", "Limits", "Sandbox"]

__getattr__ = lazily(
    __name__,
    {
        "Html": "sandbox",
        "Limits": "sandbox",
        "Sandbox": "sandbox",
    },
)
