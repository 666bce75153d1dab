"""A run from a terminal, around the flow: what is still under way when the process ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import ROOT

LAST = """
import sys, threading
threading.main_thread().join()  # the process is about to end
print("imported", __name__, file=sys.stderr)
"""

WATCH = """
import atexit, sys, threading
atexit.register(lambda: print("threads:", threading.active_count(), file=sys.stderr))
"""


@pytest.mark.parametrize("module", ["openai", "aiohttp"])
def test_a_process_ends_only_when_no_import_is_under_way(tmp_path: Path, module: str) -> None:
    """A thread cut off while it loads a compiled module brings the process down (status -11)."""
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    (tmp_path / f"{module}.py").write_text(LAST)
    command = "-m prefect_llm_reports.flows.cli.main run Tides --model offline"
    done = subprocess.run(
        [sys.executable, *command.split()],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]),
            "PREFECT_API_URL": "http://127.0.0.1:9/api",
            "LLM_REPORTS_STORE": str(tmp_path / "store"),
        },
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 2, done.stderr
    assert "does not answer" in done.stderr
    assert f"imported {module}\nthreads: 1\n" in done.stderr
