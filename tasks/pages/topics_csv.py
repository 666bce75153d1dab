"""topics.csv of a run: one row a topic, safe to open in a spreadsheet.

Here: the table and its columns. Not here: the page of the run (`pages.runs`).
"""

from __future__ import annotations

import csv
import io
import unicodedata

from prefect_llm_reports.tasks.contract.money import exact_cost
from prefect_llm_reports.tasks.contract.reports import BatchResult
from prefect_llm_reports.tasks.pages.report import score_text
from prefect_llm_reports.tasks.text.markdown import well_formed

CSV_COLUMNS = (
    "topic",
    "slug",
    "status",
    "score",
    "iterations",
    "stop_reason",
    "cost_usd",
    "input_tokens",
    "output_tokens",
    "directory",
    "error",
    "coverage",
    "doubtful",
)
_FORMULA, _BLANKS = frozenset("=+-@"), frozenset("\t\r\n")


def topics_csv(result: BatchResult) -> str:
    """Write topics.csv: one row a topic, and no cell that a spreadsheet takes for a formula."""
    out = io.StringIO(newline="")
    rows = csv.writer(out, lineterminator="\r\n")
    rows.writerow(CSV_COLUMNS)
    for report in result.reports:
        error, found = report.error, report.evidence
        cells = (
            report.topic,
            report.slug,
            report.status,
            "" if report.score is None else score_text(report.score),
            report.iterations,
            report.stop_reason or "",
            exact_cost(report.cost_usd),
            report.usage.input_tokens,
            report.usage.output_tokens,
            report.directory or "",
            f"{error.kind}: {error.message}" if error else "",
            found.coverage if found else "",
            found.doubtful if found else "",
        )
        rows.writerow([_cell(cell) if isinstance(cell, str) else cell for cell in cells])
    return out.getvalue()


def _cell(text: str) -> str:
    """Quote a formula, also one behind spaces, invisible or full-width characters."""
    text = text.replace("\0", "")
    seen = unicodedata.normalize("NFKC", text)
    seen = "".join(c for c in seen if c in "\t\r\n" or unicodedata.category(c)[0] != "C")
    armed = seen[:1] in _BLANKS or seen.lstrip()[:1] in _FORMULA
    return ("'" if armed else "") + well_formed(text)
