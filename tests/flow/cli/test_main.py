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
from tests.harness.endpoint import Endpoint, Reply


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


@pytest.mark.parametrize("command", ["run", "branches"])
def test_an_endpoint_without_flex_gives_status_2(
    shell: Shell, endpoint: Endpoint, command: str
) -> None:
    """It and the model are named, and nothing is asked at the standard price."""
    refused = faults.error(400, "Invalid service_tier argument: flex", param="service_tier")
    endpoint.fail(refused, times=None)
    half = {"input": 1, "output": 1}
    prices = {"gpt-5-mini": {"input": 2, "output": 2, "tiers": {"flex": half}}}
    done = shell(
        *(command, "C++", "--base-url", endpoint.base_url),
        *("--price", "flex", "--model", "gpt-5-mini"),
        LLM_REPORTS_PRICES=json.dumps(prices),
    )
    assert done.returncode == 2, done.stderr
    assert f"{endpoint.base_url.split('/')[2]} offers no flex for gpt-5-mini" in done.stderr
    assert {r.body["service_tier"] for r in endpoint.requests if r.body} == {"flex"}


def test_an_endpoint_that_answers_flex_at_its_standard_price_gives_status_2(shell: Shell) -> None:
    """It says so in its first answer; nothing more is asked."""
    script = Reply(edit=lambda completion: completion.update(service_tier="default"))
    half = {"input": 1, "output": 1}
    prices = {"gpt-5-mini": {"input": 2, "output": 2, "tiers": {"flex": half}}}
    with Endpoint(script=lambda request: script if request.method == "POST" else None) as endpoint:
        done = shell(
            *("run", "C++", "--base-url", endpoint.base_url),
            *("--price", "flex", "--model", "gpt-5-mini"),
            LLM_REPORTS_PRICES=json.dumps(prices),
        )
        asked = endpoint.count(status=200, step="draft")
    assert done.returncode == 2, done.stderr
    assert "offers no flex for gpt-5-mini (it answered in the tier 'default')" in done.stderr
    assert asked == 1


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


BRANCHES = """
branches:
  - {name: facts, instructions: State facts., output: [{name: facts, type: text}]}
  - {name: view, instructions: Judge., uses: [facts.facts], temperature: 0.2}
merge: synthesize
options: {merge_instructions: Be short.}
"""


@pytest.mark.parametrize(
    "command",
    [
        ("run", "Tidal power", "C++", "--words", "300", "--max-iterations", "1"),
        ("branches", "Tides?", '{"budget": 3}', "--branches-file", "branches.yaml"),
    ],
    ids=["run", "branches"],
)
def test_a_run_is_retried_as_it_was_asked_and_pays_nothing_twice(
    shell: Shell, endpoint: Endpoint, command: tuple[str, ...]
) -> None:
    """`retry` repeats a run of either kind by its name; all files are known to `verify`."""
    (shell.folder / "branches.yaml").write_text(BRANCHES)
    where = ("--base-url", endpoint.base_url, "--output", "made", "--json")
    first = json.loads(shell(*command, *where).stdout)
    asked = len(endpoint.requests)
    done = shell("retry", first["run_id"], *where)

    assert done.returncode == 0, done.stderr
    again = json.loads(done.stdout)
    assert first["calls"]["made"] == asked == len(endpoint.requests)
    assert again["calls"] == {"made": 0, "cached": asked, "retried": 0}
    spent = {"calls", "usage", "cost_usd", "pacing", "started", "duration_s"}
    places = {"run_id", "run_directory", "reports", "inquiries"}
    for key in first.keys() - spent - places:
        assert again[key] == first[key], key
    checked = shell("verify", "made")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "2 runs" in checked.stdout
