"""Markdown as it is, without the cleaning that a report gets: parsed, and as HTML."""

from __future__ import annotations

from prefect_llm_reports.tasks.text.html import html_of
from prefect_llm_reports.tasks.text.markdown import Parsed, as_code, excessive, parse, well_formed


def parsed(text: str) -> Parsed:
    """Parse Markdown; too large or too tangled text becomes a single code block."""
    text = well_formed(text)
    return parse(as_code(text, "") if excessive(text) else text)


def sanitized_html(text: str) -> str:
    """The HTML of Markdown that nobody has cleaned."""
    return html_of(parsed(text))
