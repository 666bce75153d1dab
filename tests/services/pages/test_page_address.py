"""Filters stay in the address of a list, and a report's Markdown can be copied."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.services.pages.site import RUN, expect, opened, topics

if TYPE_CHECKING:  # only these tests need a browser; collecting the others does not
    from playwright.sync_api import Browser

pytestmark = pytest.mark.services


def test_filters_come_back(browser: Browser, base: str, tides: str) -> None:
    """A list is as it was after a reload, after a look at a report, and in another window."""
    with opened(browser, f"{base}/{RUN}/index.html") as page:
        page.get_by_label("Topic contains").fill("e & #=ü")
        page.get_by_label("Topic contains").fill("e")
        page.get_by_label("Status").select_option("published")
        page.get_by_label("Score from").fill("8")
        page.get_by_role("columnheader", name="Cost").get_by_role("button").click()
        page.get_by_role("columnheader", name="Cost").get_by_role("button").click()
        shown = topics(page)
        assert [shown[0], shown[-1], len(shown)] == ["Tidal power", "Bees", 3]
        address = page.evaluate("location.href")
        for _ in range(2):
            page.reload()
            assert topics(page) == shown
        page.get_by_role("link", name="Tidal power").click()
        page.wait_for_url(f"{base}/{tides}/index.html")
        page.go_back()
        expect(page.get_by_role("status")).to_have_text("3 of 6 reports")
        assert topics(page) == shown
        assert page.get_by_label("Status").input_value() == "published"
        expect(page.get_by_role("columnheader", name="Cost")).to_have_attribute(
            "aria-sort", "ascending"
        )
        page.get_by_role("button", name="Clear").click()
        assert page.evaluate("location.href") == f"{base}/{RUN}/index.html"
        assert len(topics(page)) == 6
    with opened(browser, address) as page:
        assert topics(page) == shown
        page.evaluate("location.hash = '#main'")
        assert topics(page) == shown
        page.evaluate("location.hash = '#words=zinc'")
        expect(page.get_by_role("status")).to_have_text("1 of 6 reports")


ADDRESSES = [
    ("#words=apple+ORCH", "1 of 6"),
    ("#words=e%20%26%20%23%3D", "0 of 6"),
    ("#status=nonsense", "6 of 6"),
    ("#least=many&most=%3Cscript%3E", "6 of 6"),
    ("#sort=nonsense+down&unknown=1", "6 of 6"),
    ("#words=%", "0 of 6"),
    ("#=&=&&", "6 of 6"),
    ("#main", "6 of 6"),
    ("#status=below", "0 of 6"),
]


def test_any_address_opens(browser: Browser, site: Path) -> None:
    """An address that somebody changed by hand never breaks the page."""
    with opened(browser, f"{site.as_uri()}/{RUN}/index.html") as page:
        for end, shown in ADDRESSES:
            page.evaluate("hash => { location.hash = hash; }", "#x=")
            page.evaluate("hash => { location.hash = hash; }", end)
            expect(page.get_by_role("status")).to_have_text(f"{shown} reports")


def test_the_list_of_runs_keeps_its_filters(browser: Browser, site: Path) -> None:
    """A topic searched for in the list of all runs stays in its address."""
    with opened(browser, f"{site.as_uri()}/index.html") as page:
        page.get_by_label("contains").fill("apple")
        assert page.evaluate("location.hash") == "#words=apple"
        page.reload()
        expect(page.get_by_role("status")).to_have_text("1 of 3 runs")


def test_all_reports_are_searched_from_a_file(browser: Browser, site: Path, tides: str) -> None:
    """A word of a heading or summary finds a report, without a server, and its link opens it."""
    with opened(browser, f"{site.as_uri()}/search.html") as page:
        page.get_by_label("contains").fill("honey APPLES")
        assert topics(page) == ["Bees"]
        page.get_by_label("contains").fill("sites")
        page.get_by_role("link", name="Tidal power").click()
        page.wait_for_url(f"{site.as_uri()}/{tides}/index.html")
        page.go_back()
        expect(page.get_by_role("status")).to_have_text("1 of 2 reports")


def test_the_markdown_is_copied(browser: Browser, base: str, site: Path, tides: str) -> None:
    """The button copies report.md as it is, with a click and with the keyboard."""
    with opened(browser, f"{base}/{tides}/index.html#source") as page:
        button = page.get_by_role("button", name="Copy the Markdown")
        button.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_text("Copied.", exact=True)).to_be_visible()
        page.locator("main").evaluate(
            "main => main.appendChild(document.createElement('textarea')).focus()"
        )
        page.keyboard.press("Control+V")
        pasted = page.locator("textarea").input_value()
        assert pasted.strip() == (site / tides / "report.md").read_text().strip()
    with opened(browser, f"{base}/{tides}/index.html", java_script_enabled=False) as page:
        assert page.get_by_role("button", name="Copy").count() == 0
