"""The command line as a real process: exit status, streams, and what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from prefect.settings import get_current_settings

from tests.harness import ROOT, faults
from tests.harness.endpoint import Endpoint


class Shell:
    """Runs `llm-reports` in a folder of one test, against the harness's Prefect server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PREFECT_API_URL": str(get_current_settings().api.url),
            "LLM_REPORTS_STORE": str(folder / "store"),
        }

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command line to its end."""
        return subprocess.run(
            [sys.executable, "-m", "prefect_llm_reports.flows.cli.main", *arguments],
            cwd=self.folder,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """The command line in a folder of this test."""
    return Shell(tmp_path)


def test_json_is_alone_on_stdout_and_progress_on_stderr(shell: Shell) -> None:
    """With --json stdout is exactly the result; lines for people go to stderr."""
    done = shell("run", "Tidal power", "C++", "--model", "offline", "--json")

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert [r["topic"] for r in result["reports"]] == ["Tidal power", "C++"]
    assert "Tidal power: accepted, score" in done.stderr
    assert "2 of 2 reports published" in done.stderr
    assert (shell.folder / "reports" / "index.html").exists()
    assert "\x1b[" not in done.stderr


def test_a_failed_report_gives_status_3(shell: Shell, endpoint: Endpoint) -> None:
    """Some reports failed, the others are published: exit 3, with the reason."""
    endpoint.fail(faults.error(400, "no"), topic="C++", times=None)
    done = shell("run", "C++", "Tidal power", "--base-url", endpoint.base_url)

    assert done.returncode == 3, done.stderr
    assert "rejected the request (400" in done.stderr
    assert "1 of 2 reports published" in done.stderr


def test_a_rejected_key_gives_status_4(shell: Shell, endpoint: Endpoint) -> None:
    """Something fatal stops the batch: exit 4, and what to do."""
    endpoint.fail(faults.unauthorized(), times=None)
    done = shell("run", "C++", "Tidal power", "--base-url", endpoint.base_url)

    assert done.returncode == 4, done.stderr
    assert "key rejected by 127.0.0.1" in done.stderr
    assert "same command again" in done.stderr


def test_all_problems_are_listed_with_status_2_without_a_server(shell: Shell) -> None:
    """Bad input needs no Prefect server to be said, and is said in one go."""
    done = shell(
        "run", "--quality-threshold", "11", "--topics-file", "notes.doc", "--budget", "lots",
        PREFECT_API_URL="http://127.0.0.1:9/api",
    )  # fmt: skip

    assert done.returncode == 2
    assert done.stderr.count("error: ") == 4
    for problem in ("quality_threshold is 11", "notes.doc", "budget_usd", "OPENAI_API_KEY"):
        assert problem in done.stderr


def test_an_unreachable_prefect_server_gives_status_2(shell: Shell) -> None:
    """A configured server that does not answer is named, with how to start one."""
    done = shell("run", "C++", "--model", "offline", PREFECT_API_URL="http://127.0.0.1:9/api")

    assert done.returncode == 2
    assert "http://127.0.0.1:9/api does not answer" in done.stderr
    assert "prefect server start" in done.stderr


def test_an_unknown_endpoint_block_gives_status_2(shell: Shell) -> None:
    """A saved endpoint that does not exist is bad input, not a crash."""
    done = shell("run", "C++", "--endpoint", "nowhere")

    assert done.returncode == 2, done.stderr
    assert "endpoint 'nowhere'" in done.stderr
