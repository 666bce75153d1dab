"""The command line in the tests' own process, which is quicker than a process for each test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from prefect_llm_reports.flows.cli.main import main


@dataclass
class Ended:
    """What the command left behind."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Ended]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line in a folder, with no Prefect server to reach and no key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLM_REPORTS_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nobody")

    def ended(*arguments: str) -> Ended:
        with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
            try:
                status = main([*arguments])
            except SystemExit as left:  # argparse's way to end
                status = int(left.code or 0)
        return Ended(status, *capsys.readouterr())

    return ended
