"""The project's Markdown pages: links lead somewhere, and the README stays short."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.harness import ROOT
from tests.harness.documents import Page, page, pages

PICTURES = sorted((ROOT / "flows/pictures").iterdir())


@pytest.mark.parametrize("one", pages(), ids=lambda one: one.name)
def test_relative_links_lead_to_a_file_and_a_heading(one: Page) -> None:
    """Each link within the project has its file, and each anchor its heading."""
    assert one.anchors, "a page without a heading"
    broken: list[str] = []
    for link in one.links:
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = (one.path.parent / name).resolve() if name else one.path
        inside = target.is_relative_to(ROOT)
        if not inside or not target.exists() or (anchor and anchor not in page(target).anchors):
            broken.append(link)
    assert broken == []


def test_every_page_is_reached_from_the_readme() -> None:
    """Following links from README.md leads to every other page."""
    reached, ahead = set[str](), [pages()[0]]
    while ahead:
        here = ahead.pop()
        reached.add(here.name)
        names = [link.partition("#")[0] for link in here.links if not link.startswith("http")]
        found = [page((here.path.parent / name).resolve()) for name in names if name[-3:] == ".md"]
        ahead += [one for one in found if one.name not in reached]
    assert reached == {one.name for one in pages()}


def test_the_readme_is_short_and_ends_with_the_releases() -> None:
    """At most 150 lines; the last section begins with the version of pyproject.toml."""
    text = page("README.md").text
    assert len(text.splitlines()) <= 150
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    heading, _, releases = text.rpartition("\n## ")[2].partition("\n\n")
    assert heading == "Releases"
    assert releases.startswith(f"**{project['version']}** ")


def test_the_first_two_commands_install_run_and_test() -> None:
    """`.ci/run` takes the README's first two `sh` blocks: the first one runs, the second tests."""
    first, second = page("README.md").blocks("sh")
    assert first.startswith("python3 -m venv .venv && .venv/bin/pip install --quiet . && ")
    assert "llm-reports run " in first
    assert "--model offline" in first
    assert second.endswith(".venv/bin/python -m pytest\n")


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_pictures_are_small_and_are_shown(path: Path) -> None:
    """Each picture is a PNG below 150 kB, and the README shows it."""
    assert path.read_bytes().startswith(b"\x89PNG\r\n")
    assert path.stat().st_size < 150_000
    assert f"flows/pictures/{path.name}" in page("README.md").links


def test_pages_and_pictures_are_not_installed() -> None:
    """No Markdown page and no picture is among the package's files."""
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert not [name for name in setup["packages"] if name.endswith("pictures")]
    patterns = [pattern for patterns in setup["package-data"].values() for pattern in patterns]
    assert not [pattern for pattern in patterns if pattern.endswith((".md", ".png", ".svg", "*"))]
