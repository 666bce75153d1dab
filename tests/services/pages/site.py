"""An output folder with runs of every kind, and how the tests open its pages in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from prefect_llm_reports.tasks.branches.pages import branch_run_page, branches_page
from prefect_llm_reports.tasks.contract.branch_results import (
    BranchBatchResult,
    BranchesResult,
    BranchOutput,
    InquiryResult,
    Tally,
)
from prefect_llm_reports.tasks.contract.calls import Ranking
from prefect_llm_reports.tasks.contract.records import Calls, ErrorReport, Usage
from prefect_llm_reports.tasks.contract.reports import (
    Critique,
    Draft,
    Refined,
    ReportResult,
    Topic,
)
from prefect_llm_reports.tasks.pages.reader import reader_page
from prefect_llm_reports.tasks.pages.report import (
    history_json,
    report_html,
    report_markdown,
    summary_text,
)
from prefect_llm_reports.tasks.pages.runs import (
    ListedReport,
    RunEntry,
    SearchedReport,
    run_page,
    runs_page,
    search_page,
)
from prefect_llm_reports.tasks.text.changes import Earlier, changes_markdown, compared
from tests.harness.pace import PATIENCE_S
from tests.unit.branches.test_pages import VALUES
from tests.unit.pages.test_report import ATTACKS, batch, published, refined

if TYPE_CHECKING:  # only these tests need a browser; collecting the others does not
    from playwright.sync_api import Browser, Page

RUN = "20261122T120000Z-a1b2"
BRANCHES = "20261120T120000Z-d4e5"
CHROMIUM = ["chromium", "chromium-browser", "google-chrome"]
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
QUIET += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
FIRST = """# Tides

Opening words stay.

## Costs

The barrage costs ten million a year to run.

## Sites

| Site | MW |
|------|---:|
| Sihwa | 254 |

- [x] surveyed
- [ ] licensed

```python
print("tide")
```

A claim.[^1]

[^1]: A source.
"""
SECOND = FIRST.replace("ten million", "twelve million") + "\n## Outlook\n\nMore to come.\n"
OLD = FIRST.replace("## Costs", "## Old part\n\nGone now.\n\n## Costs").replace("a year", "yearly")
HOSTILE = "\n\n".join(
    [
        "# <script>alert(1)</script>",
        *ATTACKS,
        "[a](JAVASCRIPT:alert(1)) [b](java\nscript:alert(1)) [c](&#106;avascript:alert(1))",
        "![r][remote]\n\n[remote]: https://evil.test/r.png",
        "<svg><animate onbegin=alert(1) attributeName=x></svg>",
        "<details open ontoggle=alert(1)><summary>x</summary></details>",
        '<input autofocus onfocus="alert(1)">',
        "## </article></main><script>alert(2)</script>",
    ]
)


def expect(what: Any) -> Any:
    """Playwright's own, which waits until what is expected holds."""
    from playwright.sync_api import expect as expected

    expected.set_options(timeout=1000 * PATIENCE_S)
    return expected(what)


def two_drafts(topic: Topic, first: str, second: str) -> Refined:
    critique = Critique(
        score=6, strengths=["Clear"], improvements=["Say what it costs now"], summary="Too old."
    )
    drafts = (
        Draft(number=1, parent=None, text=first, score=6, critique=critique),
        Draft(number=2, parent=1, text=second, score=8, critique=critique),
    )
    return refined(topic=topic, drafts=drafts)


def add_report(run: Path, report: Refined, summary: str, earlier: str | None) -> ReportResult:
    """Write one result directory, and say what became of it."""
    folder = run / report.topic.slug
    folder.mkdir()
    markdown = report_markdown(report, offline=False)
    before = None if earlier is None else Earlier("20261101T000000Z-0", earlier, 7.0)
    changes = compared(before, markdown)
    files = {
        "report.md": markdown,
        "report.html": report_html(report, summary, offline=False),
        "summary.txt": summary_text(summary),
        "history.json": history_json(report),
        "changes.md": changes_markdown(changes, report.topic.title, 8),
        "report.pdf": "%PDF-1.7",
    }
    sizes = {name: len(text.encode()) for name, text in files.items()}
    files["index.html"] = reader_page(report, summary, markdown, changes, sizes, offline=False)
    files["manifest.json"] = "{}"
    for name, text in files.items():
        (folder / name).write_bytes(text.encode())
    return published(
        report.topic.title, slug=report.topic.slug, directory=str(folder), changes=changes.count
    )


def add_branches(output: Path) -> None:
    """Write a run of branches: one input answered and merged, one that failed."""
    error = ErrorReport(kind="answer_refused", message="Refused.")
    answer = {**VALUES, "thinking": "Moon and sun.", "points": ["high", "low"], "more": {"a": [1]}}
    result = BranchesResult(
        status="partial",
        query="How often is the tide high?",
        merge="best",
        outputs=[
            BranchOutput(name="first", status="answered", output=answer, model="m"),
            BranchOutput(name="second", status="failed", error=error),
        ],
        merged=answer,
        winner="first",
        ranking=(Ranking(name="first", score=7.5, scores=(7, 8), reasons=("clear", "good")),),
        tally=(Tally(value="twice", votes=2, branches=("first", "second")),),
    )
    nodes = [
        SimpleNamespace(name=name, branch=SimpleNamespace(instructions="Say it."))
        for name in ("first", "second")
    ]
    program: Any = SimpleNamespace(nodes=nodes, results=nodes[:1], model="m")
    inquiry: Any = SimpleNamespace(title=result.query)
    run = output / BRANCHES
    (run / "tide").mkdir(parents=True)
    (run / "batch.json").write_text("{}")
    (run / "tide" / "output.json").write_text("{}")
    (run / "tide" / "output.html").write_text(branches_page(result, inquiry, program))
    about = {"cost_usd": Decimal("0.01")}
    done = InquiryResult(
        query=result.query, slug="tide", status="complete", directory="x", answered=2, **about
    )
    bad = InquiryResult(query="Why?", slug="why", status="failed", answered=0, error=error)
    told = BranchBatchResult(
        run_id=BRANCHES,
        status="partial",
        run_directory=str(run),
        started=datetime(2026, 11, 20, 12, tzinfo=UTC),
        duration_s=61,
        calls=Calls(made=4),
        usage=Usage(),
        merge="best",
        branches=("first", "second"),
        inquiries=[done, bad],
        **about,
    )
    (run / "index.html").write_text(branch_run_page(told))


def write_site(output: Path) -> None:
    """An output folder: a run with good, hostile, failed and unstarted reports, big ones, branches.

    Args:
        output: The folder, empty.
    """
    run = output / RUN
    run.mkdir()
    tides = two_drafts(Topic(title="Tidal power"), FIRST, SECOND)
    attack = two_drafts(Topic(title="</td><script>alert(3)</script>"), HOSTILE, f"{HOSTILE}\n\nx")
    error = ErrorReport(kind="answer_refused", message="<img src=x onerror=alert(4)> No.")
    reports = [
        add_report(run, tides, "It pays.\n\nBut late.", OLD),
        add_report(run, attack, HOSTILE, HOSTILE.replace("evil", "good")),
        published("Àpple orchards", slug="apple", score=6.0, cost_usd=Decimal("0.9")),
        published("Bees", slug="bees", score=9.5, cost_usd=None),
        ReportResult(topic="Rust", slug="rust", status="failed", cost_usd=None, error=error),
        ReportResult(topic="Zinc", slug="zinc", status="not_started"),
    ]
    (run / "index.html").write_text(run_page(batch(*reports, run_id=RUN)))
    (run / "batch.json").write_text("{}")
    (run / "topics.csv").write_text("topic\r\n")
    many = [
        published(f"Topic {n} of very many", slug=f"t{n}", score=1 + n % 10, cost_usd=Decimal(n))
        for n in range(1000)
    ]
    big = output / "20261123T120000Z-b1b2"
    big.mkdir()
    (big / "index.html").write_text(run_page(batch(*many, run_id=big.name)))
    day = datetime(2026, 11, 22, 12, tzinfo=UTC)
    runs = [
        RunEntry(
            *(RUN, day, "partial", 4, 6, Decimal("1.5"), "finished"),
            name="Tidal power + 5 more · gpt-5-mini",
            topics=("Tidal power", "Àpple orchards", "Zinc"),
        ),
        RunEntry(big.name, day.replace(day=23), "complete", 1000, 1000, None, "finished"),
        RunEntry("20261124T120000Z-c1", None, None, 0, 0, None, "unfinished"),
    ]
    (output / "index.html").write_text(runs_page(runs))
    reports = (
        ListedReport("Tidal power", tides.topic.slug, 8.5),
        ListedReport("Bees", "b", 4, True),
    )
    words = ("Summary. Costs · Sites", "Honey. · Àpples")
    searched = [SearchedReport(runs[0], *pair) for pair in zip(reports, words, strict=True)]
    (output / "search.html").write_text(search_page(searched))
    add_branches(output)


@contextmanager
def opened(browser: Browser, url: str, **context: Any) -> Iterator[Page]:
    """A page that must stay silent: no error, no dialog, no request but for documents of ours."""
    root = url.split("/2026")[0].removesuffix("/index.html").removesuffix("/search.html")
    said: list[str] = []
    with browser.new_context(**context) as fresh:
        fresh.set_default_timeout(1000 * PATIENCE_S)
        page = fresh.new_page()
        page.on("console", lambda message: said.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.on("dialog", lambda dialog: said.append(f"dialog: {dialog.message}"))

        def watch(request: Any) -> None:
            if not (request.is_navigation_request() and request.url.startswith(root)):
                said.append(f"request: {request.url}")

        fresh.on("request", watch)
        page.goto(url)
        yield page
        assert said == []


def topics(page: Page) -> list[str]:
    """The topics shown, in order."""
    rows = page.locator("[data-rows] tbody tr:visible td:first-child")
    return [text or "" for text in rows.evaluate_all("cells => cells.map(c => c.dataset.value)")]
