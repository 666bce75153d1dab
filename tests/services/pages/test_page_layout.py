"""The pages fit: on phones and desks, in print, with titles and tables of any size."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from prefect_llm_reports.tasks.contract.evidence import EvidenceCount
from prefect_llm_reports.tasks.contract.records import ErrorReport
from prefect_llm_reports.tasks.contract.reports import ReportResult, Topic
from prefect_llm_reports.tasks.pages.report import report_html
from prefect_llm_reports.tasks.pages.runs import RunEntry, run_page, runs_page
from tests.harness.processes import wait_until
from tests.services.pages.site import opened
from tests.unit.pages.test_report import batch, published, reader, refined

if TYPE_CHECKING:  # only these tests need a browser; collecting the others does not
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.services

LONG = "W" * 500
SENTENCE = "A remark of several words that needs a column in which it can be read. " * 3
WIDE = f"""# Wide

Opening.

| Site | Country | Megawatts | Built by | Remarks | Cost | Last |
|---|---|--:|---|---|--:|---|
| Sihwa | Korea | 254 | Daewoo | {SENTENCE} | 10,000,000 | ended |

| a | b |
|---|---|
| 1 | 2 |
"""
DENSE = "# Dense\n\n" + "".join(
    f"|{'|'.join(cells)}|\n"
    for cells in (
        [f"column{n}" for n in range(16)],
        ["-"] * 16,
        [f"{n}00000000" for n in range(16)],
    )
)
UGLY = f"# {LONG}\n\n## {LONG}\n\n{LONG} `{LONG}`\n\n- {LONG}\n\n|{LONG}|b|\n|-|-|\n|{LONG}|c|\n"
COUNTS = EvidenceCount(sentences=40, verified=30, coverage=0.95, doubtful=12)
PAPER_PX = 658
"""Width of the text on A4 with the margins of the style sheet."""
STICKING_OUT = """() => [...document.querySelectorAll('body *')]
    .filter((one) => !one.closest('.table, pre, .skip, thead'))
    .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
    .map((one) => `${one.tagName}.${one.className}`)"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages with the longest words and widest tables."""
    error = ErrorReport(kind="answer_refused", message=LONG, step="draft", request_id=LONG[:200])
    run = batch(
        published(LONG, slug="a", stop_reason="plateau"),
        published(f"Tidal power {SENTENCE}", slug="b"),
        ReportResult(topic=LONG, slug="c", status="failed", cost_usd=None, error=error),
        options={"model": LONG, "quality_threshold": 8.0, "endpoint": LONG},
        warnings=[LONG],
        error=error,
    )
    day = datetime(2026, 11, 22, 12, tzinfo=UTC)
    runs = [
        RunEntry("r", day, "complete", 3, 3, None, "finished", LONG, (LONG,), below=2),
        RunEntry(LONG[:200], None, None, None, None, None, "unfinished"),
    ]
    grounded = batch(
        published("The tidal scheme in the Wex estuary", slug="g", score=7, evidence=COUNTS),
        options={"quality_threshold": 8.0},
    )
    folder = tmp_path_factory.mktemp("layout")
    ugly = refined(UGLY, topic=Topic(title=LONG, guidance=LONG[:300]), stop_reason="plateau")
    written = {
        "run": run_page(run),
        "grounded": run_page(grounded),
        "index": runs_page(runs),
        "ugly": reader(ugly, earlier=f"# T\n\n## {LONG}\n\nOld.\n"),
        "wide": report_html(refined(WIDE), "s", offline=True),
        "dense": report_html(refined(DENSE), "s", offline=False),
    }
    for name, html in written.items():
        (folder / f"{name}.html").write_text(html)
    return folder


@pytest.mark.parametrize("name", ["run", "grounded", "index", "ugly", "wide", "dense"])
def test_nothing_sticks_out(browser: Browser, pages: Path, name: str) -> None:
    """However long a word and narrow a screen, only tables and code scroll, inside themselves."""
    with opened(browser, f"{pages.as_uri()}/{name}.html") as page:
        for width in (320, 390, 768, 1400):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate(STICKING_OUT) == [], width


@pytest.mark.parametrize("name", ["run", "grounded", "index", "ugly", "wide", "dense"])
def test_tables_fit_on_paper(browser: Browser, pages: Path, name: str) -> None:
    """In print every column ends on the paper, and no table is left to scroll."""
    with opened(browser, f"{pages.as_uri()}/{name}.html") as page:
        page.set_viewport_size({"width": PAPER_PX, "height": 900})
        page.emulate_media(media="print")
        ends = page.locator("td:visible, th:visible").evaluate_all(
            "cells => Math.max(...cells.map(one => one.getBoundingClientRect().right))"
        )
        assert 0 < ends <= PAPER_PX + 1


def test_the_last_columns_are_printed(browser: Browser, pages: Path) -> None:
    """The printed run has its Cost, and a printed report the last column of its table."""
    from pypdf import PdfReader

    for name, words in (("run", ("Cost", "$0.0412")), ("wide", ("10,000,000", "ended"))):
        with opened(browser, f"{pages.as_uri()}/{name}.html") as page:
            read = PdfReader(BytesIO(page.pdf(format="A4")))
            text = " ".join(one.extract_text() for one in read.pages)
            assert [word for word in words if word not in text] == [], text


def test_a_desk_shows_all_columns_of_a_run(browser: Browser, pages: Path) -> None:
    """With coverage and doubtful claims, too, the table of reports need not be scrolled."""
    with opened(
        browser, f"{pages.as_uri()}/grounded.html", viewport={"width": 1280, "height": 900}
    ) as page:
        sizes = page.locator(".list .table").evaluate("one => [one.scrollWidth, one.clientWidth]")
        assert sizes[0] <= sizes[1]


def width_of(page: Page, what: str) -> float:
    box = page.locator(what).first.bounding_box()
    assert box
    return box["width"]


def test_a_wide_table_has_the_page_and_readable_columns(browser: Browser, pages: Path) -> None:
    """It is wider than the text, which keeps its width, and no column shrinks to a few letters."""
    with opened(
        browser, f"{pages.as_uri()}/wide.html", viewport={"width": 1400, "height": 900}
    ) as page:
        text, page_width = width_of(page, "article > p"), width_of(page, "main") - 48
        assert width_of(page, "article > .wide") == pytest.approx(page_width, abs=2)
        assert text < 0.7 * page_width
        assert width_of(page, "article > .table:not(.wide)") == pytest.approx(text, abs=2)
        page.set_viewport_size({"width": 390, "height": 800})
        assert width_of(page, "td.prose") >= 14 * 16
        cells = page.locator(".wide td").evaluate_all("all => all.map(one => one.offsetWidth)")
        assert min(cells) >= 4.5 * 16


def test_a_table_that_scrolls_shows_it(browser: Browser, pages: Path) -> None:
    """On a phone a shadow stands where the table goes on, and the keyboard scrolls it."""
    with opened(
        browser, f"{pages.as_uri()}/wide.html", viewport={"width": 390, "height": 800}
    ) as page:
        table = page.locator(".wide")
        assert table.evaluate("one => one.scrollWidth > one.clientWidth")
        assert "linear-gradient" in table.evaluate("one => getComputedStyle(one).backgroundImage")
        table.focus()
        page.keyboard.press("End")
        page.keyboard.press("ArrowRight")
        wait_until(lambda: table.evaluate("one => one.scrollLeft") > 0, every=0.05)
