"""Streams that are closed, full or gone, and a Prefect server that dies, end no batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import faults
from tests.harness.endpoint import Endpoint
from tests.harness.processes import CommandLine, Ended, prefect_server, wait_until
from tests.harness.terminals import offspring

pytestmark = pytest.mark.services

TOPICS = ("Tidal power", "Übermaß und Ernte")


def shell(command: CommandLine, line: str, **changed: str) -> Ended:
    """Run a line of the shell, in which `$RUN` is a batch of two topics."""
    program = f"{sys.executable} -m prefect_llm_reports.flows.cli"
    topics = " ".join(f"'{topic}'" for topic in TOPICS)
    run = f"{program} run {topics} --model offline --output {command.output}"
    done = subprocess.run(
        ["bash", "-c", line.replace("$RUN", run)],
        env={**command.environment, **changed},
        capture_output=True,
        check=False,
        timeout=240,
    )
    out, err = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
    return Ended(done.returncode, out, err)


@pytest.mark.parametrize(
    "line",
    [
        "set -o pipefail; $RUN 2>&1 | head -c 1; exit ${PIPESTATUS[0]}",
        "$RUN 2>&-",
        "$RUN 2>/dev/full",
        "$RUN >&- 2>&-",
        "$RUN <&- >&- 2>&-",
    ],
)
def test_progress_that_nobody_can_read_is_no_reason_to_stop(
    command: CommandLine, line: str
) -> None:
    """Reports, index and batch.json are whole, and the exit status is 0."""
    done = shell(command, line)
    assert done.status == 0, done.err
    (batch,) = command.output.glob("*/batch.json")
    assert json.loads(batch.read_text())["status"] == "complete"
    assert (batch.parent / "SHA256SUMS").exists()
    assert (command.output / "index.html").exists()


@pytest.mark.parametrize(
    "line",
    ["$RUN --json >&-", "$RUN --json >/dev/full", "$RUN --json | true; exit ${PIPESTATUS[0]}"],
)
def test_a_result_that_stdout_cannot_take_is_in_a_file(command: CommandLine, line: str) -> None:
    """One line says where; the exit status is that of the run."""
    done = shell(command, line)
    (batch,) = command.output.glob("*/batch.json")
    assert done.status == 0, done.err
    assert [x for x in done.err.splitlines() if "stdout cannot take the result" in x]
    assert f"it is in {batch}" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii", "TERM": "dumb"},
        {"TZ": "Nowhere/None", "PYTHONTZPATH": "/nonexistent"},
    ],
)
def test_a_bare_environment_takes_the_whole_result(
    command: CommandLine, environment: dict[str, str]
) -> None:
    """Without a locale the JSON is written with escapes."""
    done = shell(command, "$RUN --json", **environment)
    assert done.status == 0, done.err
    assert [report["topic"] for report in done.result["reports"]] == [*TOPICS]
    assert "Traceback" not in done.err


def test_a_user_without_name_and_home_gets_reports(command: CommandLine, tmp_path: Path) -> None:
    """As in a container with `--user 54321`; a warning names the folder of the answers."""
    program = (
        "import os, pwd, runpy, sys\n"
        "def nobody(_): raise KeyError('uid not found')\n"
        "pwd.getpwuid = pwd.getpwnam = nobody\n"
        "runpy.run_module('prefect_llm_reports.flows.cli', run_name='__main__')"
    )
    nameless = ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME", "PREFECT_HOME", "LLM_REPORTS_STORE")
    environment = {k: v for k, v in command.environment.items() if k not in nameless}
    done = subprocess.run(
        [sys.executable, "-c", program, "run", "Tides", "--model", "offline", "--output", "made"],
        env={**environment, "TMPDIR": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert f"paid answers are kept in {tmp_path}" in done.stderr
    assert "Traceback" not in done.stderr
    assert [*tmp_path.glob("made/*/batch.json")]


def test_a_server_that_dies_in_mid_run_costs_no_report(
    command: CommandLine, tmp_path: Path
) -> None:
    """All is published, the exit status is 0, and the last line says what the UI lacks."""
    known = set(offspring(os.getpid()))
    with prefect_server(tmp_path / "own") as url, Endpoint() as endpoint:
        (server,) = set(offspring(os.getpid())) - known
        endpoint.fail(faults.held(), times=None, step="summary")
        changed = {"PREFECT_API_URL": url, "OPENAI_BASE_URL": endpoint.base_url}
        output = ("--output", str(command.output), "--json")
        with command.started("run", *TOPICS, *output, **changed) as process:
            wait_until(lambda: endpoint.count(step="summary") == len(TOPICS))
            os.kill(server, 9)
            endpoint.release()
            out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert json.loads(out)["status"] == "complete"
    assert "The Prefect server went away" in err.splitlines()[-1]
    assert "Traceback" not in err
