"""Evidence in a real browser: note, passage, tab, keyboard, print, phone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from prefect_llm_reports.tasks.pages.reader import reader_page
from prefect_llm_reports.tasks.pages.report import report_html
from prefect_llm_reports.tasks.text.changes import compared
from tests.services.pages.site import RUN, expect, opened
from tests.unit.pages.test_proofs import EVIDENCE, TEXT
from tests.unit.pages.test_report import refined

if TYPE_CHECKING:  # only these tests need a browser; collecting the others does not
    from playwright.sync_api import Browser

pytestmark = pytest.mark.services


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A report whose notes are verified, wrong, misattributed and the writer's own."""
    folder = tmp_path / RUN
    folder.mkdir()
    report = refined(TEXT, evidence=EVIDENCE)
    (folder / "report.html").write_text(report_html(report, "Summary.", offline=False))
    page = reader_page(report, "Summary.", TEXT, compared(None, TEXT), {}, offline=False)
    (folder / "index.html").write_text(page)
    return folder.as_uri()


def test_evidence_in_a_browser(folder: str, browser: Browser) -> None:
    """Pointing at a mention, or going there by keyboard, shows its passage; the rest is at hand."""
    from axe_playwright_python.sync_playwright import Axe

    for name in ("report.html", "index.html"):
        with opened(browser, f"{folder}/{name}", viewport={"width": 1280, "height": 900}) as page:
            mention = page.locator(".footnote-ref").first
            seen = mention.locator(".seen")
            expect(seen).to_be_hidden()
            mention.hover()
            expect(seen).to_be_visible()
            expect(seen.locator("mark")).to_have_text("exact words of it")
            seen.locator("mark").hover()  # the way from the mention to its passage has no gap
            expect(seen).to_be_visible()
            page.mouse.move(1200, 850)
            expect(seen).to_be_hidden()
            page.locator(".footnote-ref a").first.focus()
            page.keyboard.press("Tab")
            second = page.locator(".footnote-ref").nth(1)
            expect(second.locator("a")).to_be_focused()
            expect(second.locator(".seen")).to_contain_text("Not found in any passage")
            expect(second.locator("a")).to_have_accessible_description(
                "Not found in any passage; the number 12 stands in no source."
            )
            if name == "index.html":
                page.keyboard.press("Escape")
                expect(second.locator(".seen")).to_be_hidden()
                page.keyboard.press("Tab")
                expect(page.locator(".footnote-ref").nth(2).locator(".seen")).to_be_visible()
            page.keyboard.press("Enter")
            note = page.locator("li.footnote-item").nth(2 if name == "index.html" else 1)
            expect(note).to_be_in_viewport()
            first = page.locator("li.footnote-item").first
            expect(first.locator(".proof")).to_contain_text("Found word for word in a.pdf, page iv")
            expect(first.locator("details mark")).to_be_hidden()
            first.locator("summary").focus()
            page.keyboard.press("Enter")
            expect(first.locator("details mark")).to_be_visible()
            assert Axe().run(page).response["violations"] == []
            page.emulate_media(media="print")
            expect(first.locator(".proof")).to_be_visible()
            expect(first.locator("details")).to_be_hidden()
    with opened(browser, f"{folder}/index.html#evidence", color_scheme="dark") as page:
        tab = page.get_by_role("tab", name="Evidence (2 doubtful)")
        expect(tab).to_have_attribute("aria-selected", "true")
        claims = page.locator(".claims > li")
        expect(claims.first).to_contain_text("Wrong.")
        expect(claims.nth(2).locator("mark")).to_have_text("exact words of it")
        assert Axe().run(page).response["violations"] == []
    with opened(browser, f"{folder}/report.html", viewport={"width": 390, "height": 800}) as page:
        page.locator(".footnote-ref a").first.focus()
        page.keyboard.press("Tab")
        expect(page.locator(".footnote-ref").nth(1).locator(".seen")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
