"""A user's page templates, tried on samples before any LLM call.

Here: each page rendered twice, with all values and with as few as possible, so that a mistake in
any branch is found before a report is paid for. Not here: rendering (`pages.page`), prompt
templates (`calls.prompts`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from prefect_llm_reports.tasks.contract.calls import StepRecord
from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.options import ReportOptions
from prefect_llm_reports.tasks.contract.records import Calls, ErrorReport, Usage
from prefect_llm_reports.tasks.contract.reports import (
    BatchResult,
    ChangeCount,
    Critique,
    Draft,
    Refined,
    ReportResult,
    Topic,
)
from prefect_llm_reports.tasks.pages.page import (
    PAGES,
    TEMPLATES,
    forget_templates,
    refused_parts,
    rendered,
)
from prefect_llm_reports.tasks.pages.reader import reader_values
from prefect_llm_reports.tasks.pages.report import report_markdown, report_values
from prefect_llm_reports.tasks.pages.runs import RunEntry, run_values, runs_values
from prefect_llm_reports.tasks.templates.sandbox import misnamed, problem_of
from prefect_llm_reports.tasks.text.changes import Earlier, compared

_MOMENT = datetime(2026, 3, 14, 6, tzinfo=UTC)
_TEXT = (
    "# Sample\n\nOpening.\n\n## One\n\nThe text of a sample section.\n\n### Deeper\n\n- [x] Done\n"
)
_LATER = "# Sample\n\nOpening.\n\n## One\n\nThe new text of a sample section.\n\n## Two\n\nMore.\n"


def check_page_templates(options: ReportOptions) -> None:
    """Render every page with the user's templates and sample values.

    Raises:
        BadInput: A template has an unknown name, uses an unknown variable, does not render, or
            contains something that the page's policy refuses; each problem names the template.
    """
    folder = Path(options.templates) if options.templates else None
    if folder is None or not (folder / "pages").is_dir():
        return
    forget_templates()
    templates = str(folder)
    problems = misnamed(folder, "pages", TEMPLATES, "page template")
    for name in PAGES:
        for sample in SAMPLES[name]:
            found = _problems(name, sample, templates)
            problems += [problem for problem in found if problem not in problems]
    if problems:
        raise BadInput(*problems)


def _problems(name: str, sample: Callable[[], dict[str, object]], templates: str) -> list[str]:
    template = f"pages/{name}.html.j2"
    try:
        html = rendered(name, sample(), templates)
    except Exception as error:  # a user's template can raise anything
        return [problem_of(template, error)]
    refused = sorted(set(refused_parts(html, name, templates)))
    return [f"template {template}: the page's policy refuses {part}; remove it" for part in refused]


def _refined(*, full: bool) -> Refined:
    critique = Critique(score=8, strengths=["Clear."], improvements=["Shorter."], summary="Good.")
    step = StepRecord(
        step="draft",
        iteration=0,
        model="sample-model",
        endpoint="https://example.org",
        prompt_digest="",
        answer_key="",
        cached=False,
        attempts=1,
        request_id=None,
        usage=None,
        cost_usd=None,
    )
    first = Draft(number=1, parent=None, text=_TEXT, score=6.5, critique=critique)
    second = Draft(number=2, parent=1, text=_LATER, score=8, critique=critique)
    return Refined(
        topic=Topic(title="A sample topic" if full else "Sample"),
        drafts=(first, second) if full else (Draft(number=1, parent=None, text="Sample"),),
        best=2 if full else 1,
        iterations=2 if full else 1,
        stop_reason="accepted",
        created=1_773_468_000 if full else 0,
        steps=(step,) if full else (),
    )


def _report(*, full: bool) -> dict[str, object]:
    summary = "One paragraph.\n\nAnother one." if full else ""
    return report_values(_refined(full=full), summary, offline=full)


def _reader(*, full: bool) -> dict[str, object]:
    refined = _refined(full=full)
    markdown = report_markdown(refined, offline=full)
    earlier = Earlier("20260313T060000Z-1", f"{_TEXT}\n## Old\n\nGone.", 7) if full else None
    files = {"report.md": 1200, "report.html": 9000} if full else {}
    changes = compared(earlier, markdown)
    return reader_values(refined, "Summary.", markdown, changes, files, offline=full)


def _run(*, full: bool) -> dict[str, object]:
    error = ErrorReport(kind="answer_refused", message="No.", step="draft", attempts=1)
    count = ChangeCount(state="changed", since="20260313T060000Z-1", added=1)
    reports = [
        ReportResult(topic="A", slug="a", status="published", score=8, changes=count),
        ReportResult(topic="B", slug="b", status="failed", cost_usd=None, error=error),
        ReportResult(topic="C", slug="c", status="not_started"),
    ]
    return run_values(
        BatchResult(
            run_id="20260314T060000Z-2",
            status="stopped" if full else "complete",
            run_directory="reports/20260314T060000Z-2",
            offline=full,
            started=_MOMENT,
            duration_s=61,
            calls=Calls(made=3),
            usage=Usage(input_tokens=1000, output_tokens=2000),
            cost_usd=Decimal("0.01") if full else None,
            reports=reports if full else [],
            error=error if full else None,
            warnings=["A warning."] if full else [],
        )
    )


def _index(*, full: bool) -> dict[str, object]:
    done = RunEntry("20260314T060000Z-2", _MOMENT, "complete", 2, 3, Decimal("0.01"), "finished")
    open_ = RunEntry("20260313T060000Z-1", None, None, None, None, None, "unfinished")
    return runs_values([done, open_] if full else [])


SAMPLES: dict[str, tuple[Callable[[], dict[str, object]], ...]] = {
    name: (lambda make=make: make(full=True), lambda make=make: make(full=False))
    for name, make in (
        ("report", _report),
        ("reader", _reader),
        ("run", _run),
        ("index", _index),
    )
}
