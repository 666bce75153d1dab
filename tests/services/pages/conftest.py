"""What the tests of pages share: an output folder, a browser, the folder behind a web server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from prefect_llm_reports.tasks.contract.reports import Topic
from tests.services.pages.site import CHROMIUM, QUIET, RUN, write_site

if TYPE_CHECKING:  # only these tests need a browser; collecting the others does not
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder with runs of every kind."""
    output = tmp_path_factory.mktemp("reports")
    write_site(output)
    return output


@pytest.fixture(scope="module")
def tides(site: Path) -> str:
    """Address of the good report's folder, relative to the output."""
    return f"{RUN}/{Topic(title='Tidal power').slug}"


@pytest.fixture(scope="module")
def hostile() -> str:
    """Address of the hostile report's folder, relative to the output."""
    return f"{RUN}/{Topic(title='</td><script>alert(3)</script>').slug}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests."""
    path = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    assert path, "install chromium: apt-get install chromium"
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield running
        running.close()


class Quiet(SimpleHTTPRequestHandler):
    """Serves the output folder and logs nothing."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module", params=["file", "http"])
def base(request: pytest.FixtureRequest, site: Path) -> Iterator[str]:
    """Address of the output folder: on disk, and behind a web server."""
    if request.param == "file":
        yield site.as_uri()
        return
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
