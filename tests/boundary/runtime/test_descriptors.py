"""Runs on machines that let a process open few files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LIMITED = """
import resource, sys
soft, hard = map(int, sys.argv[1:3])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
from prefect_llm_reports.flows.cli.main import main
status = main()
sys.exit(status)
"""


def limited(
    soft: int, hard: int, *arguments: str, folder: Path
) -> subprocess.CompletedProcess[str]:
    """The command line in a process with limits, without an endpoint that answers."""
    program = LIMITED.replace("main()", f"main({[*arguments]!r})")
    return subprocess.run(
        [sys.executable, "-c", program, str(soft), str(hard)],
        env={
            "PATH": "/usr/bin",
            "HOME": str(folder),
            "OPENAI_API_KEY": "sk-test-key",
            "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
            "PREFECT_API_URL": "http://127.0.0.1:9/api",
        },
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("command", [("run", "Tides"), ("branches", "Tides?")])
def test_a_concurrency_beyond_the_limit_is_refused_before_any_call(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    """A run that cannot open its connections would wait for them for ever."""
    done = limited(64, 64, *command, "--concurrency", "100", folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "100 calls at once need 164 open files, and this process may have 64" in done.stderr
    assert "ulimit -n 164" in done.stderr


def test_a_command_raises_its_own_limit_where_it_may() -> None:
    """Many systems give 256 or 1,024 at first, and let a process ask for more."""
    program = """
import resource
from prefect_llm_reports.tasks.runtime.descriptors import check_descriptors
from prefect_llm_reports.tasks.runtime.environment import ask_for_descriptors
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 512))
ask_for_descriptors()
check_descriptors(400)
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "(512, 512)"
