"""A run opened in the Prefect UI by a browser, as somebody would who wants to know how it went."""

from __future__ import annotations

import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager

from playwright.sync_api import Page, sync_playwright
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.harness.pace import PATIENCE_S
from tests.services.pages.site import CHROMIUM, QUIET


def opened(api_url: str) -> dict[str, float]:
    """Open the run that began last; seconds to its head and log, its tasks and its topics.

    Prefect draws the graph of a large run only on demand, and of more than 10,000 task runs never.

    Raises:
        Exception: Something did not appear, or the page met an error.
    """
    run = _last_run(api_url)
    took: dict[str, float] = {}
    with _page() as page:
        began = time.monotonic()
        page.goto(f"{api_url.removesuffix('/api')}/runs/flow-run/{run.id}")
        page.get_by_text(run.name).first.wait_for()
        took["name and state"] = time.monotonic() - began
        page.get_by_text("Finished in state").first.wait_for()
        took["log"] = time.monotonic() - began

        began = time.monotonic()
        page.get_by_text("Task Runs", exact=True).first.click()
        page.locator(".state-list-item").first.wait_for()
        took["list of task runs"] = time.monotonic() - began

        began = time.monotonic()
        page.get_by_text("Artifacts", exact=True).first.click()
        page.get_by_role("link", name="report-batch-topics").first.click()
        page.get_by_text("published", exact=True).first.wait_for()
        took["table of topics"] = time.monotonic() - began
    return took


def _last_run(api_url: str) -> FlowRun:
    with temporary_settings({PREFECT_API_URL: api_url}), get_client(sync_client=True) as client:
        [run] = client.read_flow_runs(limit=1, sort=FlowRunSort.START_TIME_DESC)
    return run


@contextmanager
def _page() -> Generator[Page]:
    """A page of a browser; at the end AssertionError when a script of it failed."""
    path = next(found for found in map(shutil.which, CHROMIUM) if found)
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        page = browser.new_page(viewport={"width": 1400, "height": 1600})
        page.set_default_timeout(1000 * PATIENCE_S)
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page
        browser.close()
    assert not errors, errors
