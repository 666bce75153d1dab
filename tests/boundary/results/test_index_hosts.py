"""Published folders work behind the static hosts that people use."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.boundary.results.test_verifying import publish

SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")


class _Links(HTMLParser):
    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [v for n, v in attrs if n in ("href", "src") and v and not v.startswith("#")]


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output with a run."""
    folder = tmp_path_factory.mktemp("published")
    publish(folder)
    return folder


def test_every_link_names_a_file_by_its_exact_name(output: Path) -> None:
    """S3 websites and nginx know case, and no index of a folder below the first page."""
    files = {str(path.relative_to(output)) for path in output.rglob("*") if path.is_file()}
    followed = 0
    for page in output.rglob("*.html"):
        for link in _Links(page).found:
            parts = urlsplit(link)
            assert not parts.netloc, link
            assert not parts.path.startswith("/"), link
            target = (page.parent / unquote(parts.path)).resolve().relative_to(output.resolve())
            assert str(target) in files, (page, link)
            followed += 1
    assert followed > 10


def test_names_are_plain(output: Path) -> None:
    """No name has a space, a sign that SharePoint refuses, or the first sign of a hidden file."""
    for path in output.rglob("*"):
        if path.name not in (".nojekyll", ".runs.json", ".search.json"):
            assert SAFE.match(path.name), path


def test_github_pages_serve_the_files_as_they_are(output: Path) -> None:
    """Jekyll would make another report.html of each report.md; it is switched off."""
    assert (output / ".nojekyll").is_file()
