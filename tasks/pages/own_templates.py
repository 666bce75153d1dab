"""A user's page templates, tried on samples before any LLM call.

Here: each page rendered twice, with all values and with as few as possible, so that a mistake in
any branch is found before a report is paid for. Not here: rendering (`pages.page`), prompt
templates (`calls.prompts`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from prefect_llm_reports.tasks.contract.calls import StepRecord
from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.evidence import (
    Claim,
    Evidence,
    EvidenceCount,
    Passage,
    Source,
)
from prefect_llm_reports.tasks.contract.options import ReportOptions
from prefect_llm_reports.tasks.contract.provenance import Approval, Provenance, Remark
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
from prefect_llm_reports.tasks.pages.provenance import provenance_of
from prefect_llm_reports.tasks.pages.reader import reader_values
from prefect_llm_reports.tasks.pages.report import report_markdown, report_values
from prefect_llm_reports.tasks.pages.runs import RunEntry, run_values, runs_values
from prefect_llm_reports.tasks.templates.rows import Row
from prefect_llm_reports.tasks.templates.sandbox import misnamed, problem_of
from prefect_llm_reports.tasks.text.changes import Earlier, compared

OF_A_REPORT = ("report", "reader")
"""Pages about one report, and so about one topic and its row."""
NO_ROW: tuple[Mapping[str, str], ...] = ({},)
_MOMENT = datetime(2026, 3, 14, 6, tzinfo=UTC)
_COUNT = EvidenceCount(sentences=2, coverage=0.5, verified=1, absent=1, doubtful=1)
_EVIDENCE = Evidence(
    slug="a-sample-topic",
    sources=(
        Source(
            id="s1",
            name="a.md",
            location="x/a.md",
            sha256="",
            bytes=9,
            kind="markdown",
            skipped=("2 words left out",),
        ),
    ),
    passages=(Passage(id="s1-1", source="s1", place="One", text="Sample words here.", sha256=""),),
    claims=(
        Claim(
            sentence="One.",
            note="1",
            passage="s1-1",
            quote="words",
            start=7,
            end=12,
            verdict="verified",
            support="partly",
            reason="Nearly.",
        ),
        Claim(sentence="Two.", note="2", passage="s1-1", quote="other", verdict="absent"),
    ),
    counts=_COUNT,
    problem="The judge did not answer.",
)
_TEXT = (
    "# Sample\n\nOpening.\n\n## One\n\nThe text of a sample section.\n\n### Deeper\n\n- [x] Done\n"
)
_LATER = "# Sample\n\nOpening.\n\n## One\n\nThe new text of a sample section.\n\n## Two\n\nMore.\n"


def check_page_templates(options: ReportOptions, rows: Iterable[Mapping[str, str]] = ({},)) -> None:
    """Render every page with the user's templates and sample values.

    Args:
        options: Name the user's templates.
        rows: Rows of topics, one for each set of columns that there is.

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
            for row in rows if name in OF_A_REPORT else NO_ROW:
                found = _problems(name, sample, templates, row)
                problems += [problem for problem in found if problem not in problems]
    if problems:
        raise BadInput(*problems)


def _problems(
    name: str, sample: Callable[[], dict[str, object]], templates: str, row: Mapping[str, str]
) -> list[str]:
    template = f"pages/{name}.html.j2"
    values = {**sample(), "row": Row(row)} if name in OF_A_REPORT else sample()
    try:
        html = rendered(name, values, templates)
    except Exception as error:  # a user's template can raise anything
        return [problem_of(template, error, row)]
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
        topic=Topic(title="A sample topic", guidance="For readers.")
        if full
        else Topic(title="Sample"),
        drafts=(first, second) if full else (Draft(number=1, parent=None, text="Sample"),),
        best=2 if full else 1,
        iterations=2 if full else 1,
        stop_reason="plateau" if full else "accepted",
        created=1_773_468_000 if full else 0,
        steps=(step,) if full else (),
        remarks=(Remark(iteration=1, draft=1, comment="Shorter."),) if full else (),
        evidence=_EVIDENCE if full else None,
    )


def _report(*, full: bool) -> dict[str, object]:
    summary = "One paragraph.\n\nAnother one." if full else ""
    refined = _refined(full=full)
    made = _provenance(refined) if full else None
    return report_values(refined, summary, offline=full, provenance=made)


def _reader(*, full: bool) -> dict[str, object]:
    refined = _refined(full=full)
    markdown = report_markdown(refined, offline=full)
    earlier = Earlier("20260313T060000Z-1", f"{_TEXT}\n## Old\n\nGone.", 7) if full else None
    files = {"report.md": 1200, "report.html": 9000} if full else {}
    changes = compared(earlier, markdown)
    made = _provenance(refined) if full else None
    return reader_values(
        refined, "Summary.", markdown, changes, files, offline=full, provenance=made
    )


def _provenance(refined: Refined) -> Provenance:
    approval = Approval(reviewer="A. Reader", time=_MOMENT, digest="0" * 64)
    return provenance_of(refined, offline=False, approval=approval)


def _run(*, full: bool) -> dict[str, object]:
    error = ErrorReport(kind="answer_refused", message="No.", step="draft", attempts=1)
    count = ChangeCount(state="changed", since="20260313T060000Z-1", added=1)
    reports = [
        ReportResult(
            topic="A", slug="a", status="published", score=8, changes=count, evidence=_COUNT
        ),
        ReportResult(topic="D", slug="d", status="published", score=4, stop_reason="plateau"),
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
            options={"model": "sample-model", "quality_threshold": 8} if full else {},
        )
    )


def _index(*, full: bool) -> dict[str, object]:
    done = RunEntry(
        run_id="20260314T060000Z-2",
        started=_MOMENT,
        status="complete",
        published=2,
        total=3,
        cost_usd=Decimal("0.01"),
        state="finished",
        name="Tidal power + 2 more",
        topics=("Tidal power", "Zinc", "Bees"),
        below=1,
    )
    open_ = RunEntry("20260313T060000Z-1", None, None, None, None, None, "unfinished")
    return runs_values(
        [done, open_] if full else [], *(("feed.xml", "search.html") if full else ())
    )


SAMPLES: dict[str, tuple[Callable[[], dict[str, object]], ...]] = {
    name: (lambda make=make: make(full=True), lambda make=make: make(full=False))
    for name, make in (
        ("report", _report),
        ("reader", _reader),
        ("run", _run),
        ("index", _index),
    )
}
