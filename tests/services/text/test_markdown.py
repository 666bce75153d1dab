"""The official example files of CommonMark and GFM, as Debian packages them, in the page."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.boundary.text.test_markdown_examples import assert_whole

pytestmark = pytest.mark.services

COPIES = [("golang-github-yuin-goldmark-dev", 640), ("cmark-gfm", 660)]
"""Packages with the examples of CommonMark and of GFM, and how many there are at least."""

_EXAMPLE = re.compile(r"^`{32} example[^\n]*\n(.*?)^\.\n.*?^`{32}$", re.MULTILINE | re.DOTALL)


def examples(package: str, folder: Path) -> list[str]:
    """The Markdown of each example in the specification that a Debian package ships."""
    download = ["apt-get", "download", "-qq", package]
    if subprocess.run(download, cwd=folder, capture_output=True).returncode:
        subprocess.run(["apt-get", "update", "-qq"], check=True, capture_output=True)
        subprocess.run(download, cwd=folder, check=True, capture_output=True)
    [archive] = folder.glob(f"{package}_*.deb")
    subprocess.run(["dpkg-deb", "-x", archive, folder / package], check=True)
    if listed := list((folder / package).rglob("spec.json")):
        return [example["markdown"] for example in json.loads(listed[0].read_bytes())]
    [found] = (folder / package).rglob("spec.txt.gz")
    text = gzip.decompress(found.read_bytes()).decode()
    return [example.replace("\u2192", "\t") for example in _EXAMPLE.findall(text)]


@pytest.mark.parametrize(("package", "least"), COPIES)
def test_every_official_example_leaves_the_page_whole(
    tmp_path: Path, package: str, least: int
) -> None:
    """Each example is balanced, holds allowed elements only, and swallows nothing after it."""
    found = examples(package, tmp_path)
    assert len(found) >= least
    for number, text in enumerate(found, start=1):
        try:
            assert_whole(text)
        except AssertionError as broken:
            raise AssertionError(f"example {number}: {text!r}") from broken
