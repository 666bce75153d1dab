"""The pictures of README.md: pages of a real run with `--model offline`, seen by a real browser.

`python -m tests.harness.pictures` makes them again. It needs Chromium (`apt install chromium`) and
Playwright, which the extra `dev` installs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.harness import ROOT

PICTURES = ROOT / "flows/pictures"
TOPICS = ("Edge computing", "Rust in systems programming", "Tidal power")
SIZES = {"report": (1200, 760), "run": (1060, 860)}
"""Width and height of the window for each picture, in pixels."""


def make(folder: Path) -> None:
    """Run a batch into a folder, and take the pictures of its last report and of the run.

    Args:
        folder: An empty folder for the run and everything that Prefect keeps.
    """
    command = [sys.executable, "-m", "prefect_llm_reports.flows.cli", "run", *TOPICS]
    done = subprocess.run(
        [*command, "--model", "offline", "--json"],
        cwd=folder,
        env={
            **os.environ,
            "PREFECT_HOME": str(folder / "prefect"),
            "LLM_REPORTS_STORE": str(folder / "answers"),
        },
        capture_output=True,
        check=True,
        text=True,
        timeout=600,
    )
    result = json.loads(done.stdout)
    pages = {
        "report": Path(result["reports"][-1]["directory"], "index.html"),
        "run": Path(result["run_directory"], "index.html"),
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name, (width, height) in SIZES.items():
            page = browser.new_page(viewport={"width": width, "height": height})
            page.goto((folder / pages[name]).as_uri())
            page.screenshot(path=PICTURES / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        make(Path(home))
    for name in SIZES:
        picture = PICTURES / f"{name}.png"
        sys.stdout.write(f"{picture}: {picture.stat().st_size:,} bytes\n")
