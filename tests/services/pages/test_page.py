"""The pages in a real browser: from a folder and from a web server, by mouse and by keyboard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.services.pages.site import RUN, expect, opened, topics

if TYPE_CHECKING:  # only these tests need a browser; collecting the others does not
    from playwright.sync_api import Browser

pytestmark = pytest.mark.services


def test_every_page_opens_without_error_or_request(
    browser: Browser, base: str, tides: str, hostile: str
) -> None:
    """No page logs an error or asks for anything, however hostile the text in it is."""
    for path in ("index.html", f"{RUN}/index.html"):
        with opened(browser, f"{base}/{path}") as page:
            expect(page.locator("h1")).to_be_visible()
    for folder in (tides, hostile):
        with opened(browser, f"{base}/{folder}/report.html") as page:
            assert page.locator("article").count() == 1
        with opened(browser, f"{base}/{folder}/index.html") as page:
            for tab in page.get_by_role("tab").all():
                tab.click()
            page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true; })")


def test_hostile_text_triggers_nothing_when_used(browser: Browser, base: str, hostile: str) -> None:
    """Hovering, focusing and following what a hostile report holds runs and loads nothing."""
    with opened(browser, f"{base}/{hostile}/report.html") as page:
        links = page.locator("article a").evaluate_all("all => all.map(a => a.protocol)")
        assert set(links) <= {"http:", "https:", "mailto:", page.url.split("//")[0]}
        assert page.locator("article").locator("script, img, svg, iframe, form, style").count() == 0
        for _ in range(30):
            page.keyboard.press("Tab")
        page.locator("article").hover()
    with opened(browser, f"{base}/{hostile}/index.html#drafts") as page:
        expect(page.get_by_role("tabpanel")).to_contain_text("onerror=alert(1)")
        assert page.locator("main").locator("script, img, iframe, form, style").count() == 0


def test_the_run_page_sorts_by_mouse_and_keyboard(browser: Browser, base: str) -> None:
    """Each heading sorts, up and down; what has no value stays last."""
    with opened(browser, f"{base}/{RUN}/index.html") as page:
        given = topics(page)
        cost = page.get_by_role("columnheader", name="Cost")
        cost.get_by_role("button").click()
        expect(cost).to_have_attribute("aria-sort", "descending")
        assert topics(page)[0] == "Àpple orchards"
        cost.get_by_role("button").click()
        expect(cost).to_have_attribute("aria-sort", "ascending")
        assert set(topics(page)[-2:]) == {"Bees", "Rust"}

        head = page.get_by_role("columnheader", name="Topic")
        head.get_by_role("button").focus()
        page.keyboard.press("Enter")
        expect(head).to_have_attribute("aria-sort", "ascending")
        expect(cost).to_have_attribute("aria-sort", "none")
        assert topics(page)[-5:] == ["Àpple orchards", "Bees", "Rust", "Tidal power", "Zinc"]
        page.keyboard.press("Space")
        expect(head).to_have_attribute("aria-sort", "descending")
        assert topics(page)[0] == "Zinc"
        page.get_by_role("button", name="Clear").click()
        assert topics(page) == given


def test_the_run_page_filters_by_mouse_and_keyboard(browser: Browser, base: str) -> None:
    """Words, status, score and cost narrow the list; accents and case do not matter."""
    with opened(browser, f"{base}/{RUN}/index.html") as page:
        page.get_by_label("Topic contains").fill("apple ORCH")
        expect(page.get_by_role("status")).to_have_text("1 of 6 reports")
        assert topics(page) == ["Àpple orchards"]
        page.get_by_label("Topic contains").fill("no such topic")
        expect(page.get_by_text("No report fits these filters.")).to_be_visible()
        page.get_by_role("button", name="Clear").click()
        assert len(topics(page)) == 6

        page.get_by_label("Status").select_option("failed")
        assert topics(page) == ["Rust"]
        expect(page.locator("tbody tr:visible")).to_contain_text("onerror=alert(4)> No.")
        page.get_by_role("button", name="Clear").click()
        page.get_by_label("Score from").fill("9")
        assert topics(page) == ["Bees"]
        page.get_by_label("Score from").fill("")
        page.get_by_label("Cost up to").fill("0.05")
        assert "Bees" not in topics(page)
        assert "Tidal power" in topics(page)

        page.get_by_role("button", name="Clear").focus()
        page.keyboard.press("Enter")
        page.get_by_label("Topic contains").focus()
        page.keyboard.type("zinc")
        assert topics(page) == ["Zinc"]
        page.keyboard.press("Tab")
        page.keyboard.type("pub")
        assert topics(page) == []


def test_a_report_is_chosen_by_keyboard_and_read(browser: Browser, base: str, tides: str) -> None:
    """The selector lists every published report and opens the chosen one."""
    with opened(browser, f"{base}/{RUN}/index.html") as page:
        choose = page.get_by_label("Report", exact=True)
        assert choose.locator("option").count() == 4
        choose.focus()
        page.keyboard.type("Tidal")
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Open")).to_be_focused()
        page.keyboard.press("Enter")
        page.wait_for_url(f"{base}/{tides}/index.html")
        expect(page.get_by_role("heading", name="Summary")).to_be_visible()
        expect(page.get_by_text("It pays.")).to_be_visible()
        page.get_by_role("link", name="All reports of this run").click()
        page.wait_for_url(f"{base}/{RUN}/index.html")
        page.get_by_role("link", name="All runs").click()
        page.get_by_label("contains").fill("apple ORCH")
        expect(page.get_by_role("status")).to_have_text("1 of 3 runs")
        page.get_by_role("link", name="Tidal power + 5 more").click()
        page.wait_for_url(f"{base}/{RUN}/index.html")


def test_the_tabs_work_by_mouse_and_keyboard(browser: Browser, base: str, tides: str) -> None:
    """One view at a time, by click, arrows, Home and End; an address opens its view."""
    with opened(browser, f"{base}/{tides}/index.html") as page:
        tabs = page.get_by_role("tab")
        assert tabs.all_inner_texts() == ["Report", "Markdown", "Drafts", "Changes", "Files"]
        expect(page.get_by_role("tabpanel")).to_have_count(1)
        expect(page.get_by_role("article").get_by_role("table")).to_be_visible()
        page.get_by_role("tab", name="Markdown").click()
        expect(page.get_by_role("tabpanel", name="Markdown")).to_contain_text("## Costs")
        assert page.url.endswith("#source")
        for key, name in (
            ("ArrowRight", "Drafts"),
            ("End", "Files"),
            ("ArrowRight", "Report"),
            ("ArrowLeft", "Files"),
            ("Home", "Report"),
        ):
            page.keyboard.press(key)
            tab = page.get_by_role("tab", name=name)
            expect(tab).to_be_focused()
            expect(tab).to_have_attribute("aria-selected", "true")
            expect(page.get_by_role("tabpanel", name=name)).to_be_visible()
            expect(page.get_by_role("tabpanel")).to_have_count(1)
    with opened(browser, f"{base}/{tides}/index.html#changes") as page:
        panel = page.get_by_role("tabpanel", name="Changes")
        expect(panel).to_contain_text("1 section added, 1 dropped, 1 rewritten, 2 unchanged")
        panel.get_by_role("link", name="Outlook").click()
        expect(page.get_by_role("tabpanel", name="Report")).to_be_visible()
        expect(page.locator("#s-outlook")).to_be_in_viewport()


def test_the_drafts_show_what_was_changed_and_why(browser: Browser, base: str, tides: str) -> None:
    """Changed words are marked, unchanged paragraphs open on demand, the critique stands by."""
    with opened(browser, f"{base}/{tides}/index.html#drafts") as page:
        panel = page.get_by_role("tabpanel", name="Drafts")
        assert panel.locator("p.changed del").all_inner_texts() == ["ten"]
        assert panel.locator("p.changed ins").all_inner_texts() == ["twelve"]
        expect(panel.locator("p.added").first).to_contain_text("## Outlook")
        expect(panel.get_by_text("Say what it costs now").first).to_be_visible()
        kept = panel.get_by_text("Opening words stay.").nth(1)
        expect(kept).to_be_hidden()
        panel.locator("details.same > summary").first.click()
        expect(kept).to_be_visible()
        page.keyboard.press("Enter")
        expect(kept).to_be_hidden()


def test_every_file_can_be_downloaded(browser: Browser, site: Path, base: str, tides: str) -> None:
    """The list of files leads to each file of the directory, by mouse and by keyboard."""
    with opened(browser, f"{base}/{tides}/index.html#files") as page:
        links = page.get_by_role("tabpanel", name="Files").get_by_role("link")
        names = links.all_inner_texts()
        assert sorted([*names, "index.html"]) == sorted(p.name for p in (site / tides).iterdir())
        if not base.startswith("http"):
            return  # from a folder the browser shows or saves them, as it is set up
        for n, name in enumerate(names):
            with page.expect_download() as download:
                if n % 2:
                    links.nth(n).focus()
                    page.keyboard.press("Enter")
                else:
                    links.nth(n).click()
            assert download.value.suggested_filename == name
            assert Path(download.value.path()).read_bytes() == (site / tides / name).read_bytes()


def test_everything_can_be_read_without_script(
    browser: Browser, base: str, tides: str, hostile: str
) -> None:
    """With scripts off all reports, views, drafts and files are there, and no dead control."""
    with opened(browser, f"{base}/{RUN}/index.html", java_script_enabled=False) as page:
        assert page.locator("tbody tr").count() == 6
        assert page.locator("[data-controls]").is_hidden()
        assert page.locator("th button").count() == 0
        page.get_by_role("link", name="Tidal power").click()
        page.wait_for_url(f"{base}/{tides}/index.html")
        for words in ("It pays.", "Too old.", "## Costs", "history.json", "Old part"):
            assert page.get_by_text(words).first.is_visible(), words
    with opened(browser, f"{base}/{hostile}/report.html", java_script_enabled=False) as page:
        assert page.locator("article").is_visible()


def test_a_thousand_reports_stay_usable(browser: Browser, base: str) -> None:
    """The page of a big run is small, and sorts and filters at once."""
    with opened(browser, f"{base}/20261123T120000Z-b1b2/index.html") as page:
        assert len(page.content()) < 1_200_000
        spent, drawn = page.evaluate(
            """() => {
                const rows = document.querySelector('[data-rows]');
                const start = performance.now();
                rows.after(rows.cloneNode(true));
                document.body.getBoundingClientRect();
                rows.nextSibling.remove();
                document.body.getBoundingClientRect();
                const drawn = performance.now() - start;
                const button = document.querySelector('th[data-column=score] button');
                const words = document.querySelector('[data-words]');
                const began = performance.now();
                button.click();
                words.value = '99';
                words.dispatchEvent(new Event('input', { bubbles: true }));
                document.body.getBoundingClientRect();
                return [performance.now() - began, drawn];
            }"""
        )
        assert spent < 2 * drawn, "more than drawing the table twice anew"
        shown = topics(page)
        assert len(shown) == 19
        assert shown[0] == "Topic 99 of very many"


PAGES = {
    "index": "index.html",
    "run": f"{RUN}/index.html",
    "document": "{}/report.html",
    **{n: f"{{}}/index.html#{n}" for n in ("report", "source", "drafts", "changes", "files")},
}
CONTRAST = """() => {
    const channel = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const parse = (text) => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const behind = (node) => {
        for (let at = node; at; at = at.parentElement) {
            const found = parse(getComputedStyle(at).backgroundColor);
            if (found.length === 3 || found[3] === 1) return found;
        }
        return parse(getComputedStyle(document.body).backgroundColor);
    };
    const poor = [];
    for (const node of document.body.querySelectorAll('*')) {
        const own = [...node.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
        if (!own || !node.checkVisibility({ checkOpacity: true })) continue;
        const pair = [light(parse(getComputedStyle(node).color)), light(behind(node))];
        const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
        if (ratio < 4.5) poor.push(`${node.tagName}.${node.className} ${ratio.toFixed(2)}`);
    }
    return [...new Set(poor)];
}"""


@pytest.mark.parametrize("name", PAGES)
def test_text_is_readable_in_light_and_dark(
    browser: Browser, site: Path, tides: str, name: str
) -> None:
    """All text has at least the contrast of WCAG AA against what is behind it."""
    with opened(browser, f"{site.as_uri()}/{PAGES[name].format(tides)}") as page:
        colours: set[str] = set()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            colours.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
            assert page.evaluate(CONTRAST) == [], scheme
        assert len(colours) == 2


@pytest.mark.parametrize("name", PAGES)
def test_nothing_sticks_out_on_a_phone(browser: Browser, site: Path, tides: str, name: str) -> None:
    """On a narrow screen nothing needs sideways scrolling but tables and code of their own."""
    url = f"{site.as_uri()}/{PAGES[name].format(tides)}"
    with opened(browser, url, viewport={"width": 360, "height": 740}) as page:
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 360


def test_a_report_prints_as_a_document(browser: Browser, site: Path, tides: str) -> None:
    """On paper there is the text, on white, without what is for the screen only."""
    with opened(browser, f"{site.as_uri()}/{tides}/report.html", color_scheme="dark") as page:
        page.emulate_media(media="print")
        assert page.locator(".contents").is_hidden()
        assert page.locator(".elsewhere").is_hidden()
        assert page.locator("article").is_visible()
        colour = "getComputedStyle(document.body).backgroundColor"
        assert page.evaluate(colour) == "rgb(255, 255, 255)"
        assert page.pdf(format="A4").startswith(b"%PDF-")
