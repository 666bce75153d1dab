"""Real processes for service tests: a Prefect server, the fake endpoint, the command line.

Each is a context manager that ends what it started, by its process id, and waits until it is gone.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prefect_llm_reports.tasks.runtime.server import free_port
from tests.harness.pace import PATIENCE_S

EMPTY_DATABASE = (
    Path(tempfile.gettempdir()) / f"llm-reports-tests-{os.getuid()}" / f"{version('prefect')}.db"
)
"""A database of this Prefect in which nothing has happened; making one takes 8 s of CPU."""
COMPLETE = {
    "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "false",
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",
}
"""Settings of a server whose database is a copy: tables and types of blocks are there."""

CONCURRENCY = 4
"""Calls that a batch of the command line makes at once."""
CALLS_A_TOPIC = 7
"""Calls of a report by the fake endpoint, whose scores go 6, 7, 8."""
LOADED = """
import asyncio, json, sys
from prefect.flows import load_flow_from_entrypoint
flow = load_flow_from_entrypoint("flows/reports.py:report_batch")
print(asyncio.run(flow(**json.loads(sys.argv[1]))).model_dump_json())
"""
"""A program that loads the flow as a worker does, and runs it with the parameters it is given."""


def titles(round_number: int, count: int = 10) -> list[str]:
    """Topics that no other round has."""
    return [f"Topic {number} of round {round_number}" for number in range(1, count + 1)]


def wait_until(
    true: Callable[[], Any],
    timeout: float = PATIENCE_S,
    every: float = 0.02,
    told: Callable[[], Any] = str,
) -> None:
    """Look until it is true; after `timeout` seconds an AssertionError with what `told` gives."""
    ends = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < ends, f"not true within {timeout} s. {told()}"
        time.sleep(every)


def end(process: subprocess.Popen[Any], number: int = signal.SIGTERM) -> None:
    """End a process that was started here, and wait until it is gone."""
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(PATIENCE_S)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return False
    except OSError:
        return False


@contextmanager
def prefect_server(folder: Path, **settings: str) -> Iterator[str]:
    """A Prefect API server with a database of its own, or as settings say; gives its address."""
    home = folder / "prefect-server"
    home.mkdir(parents=True)
    database = home / "prefect.db"
    if EMPTY_DATABASE.exists() and not any("DATABASE" in name for name in settings):
        shutil.copy(EMPTY_DATABASE, database)
        settings = COMPLETE | settings
    port = free_port()
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", "--factory"),
                "prefect.server.api.server:create_app",
                *("--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"),
            ],
            env={
                **os.environ,
                "PREFECT_HOME": str(home),
                "PREFECT_SERVER_UI_API_URL": f"http://127.0.0.1:{port}/api",
                "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
                **settings,
            },
            stdout=log,
            stderr=log,
        )
    try:
        url = f"http://127.0.0.1:{port}/api"
        wait_until(lambda: process.poll() is not None or _answers(f"{url}/health"), every=0.1)
        assert process.poll() is None, (home / "log").read_text()
        if database.exists() and not EMPTY_DATABASE.exists():
            _keep_empty(database)
        yield url
    finally:
        end(process)


def prefect_home(home: Path) -> Path:
    """Make a Prefect home with an empty database, so that an embedded server makes none first."""
    if not EMPTY_DATABASE.exists():
        with tempfile.TemporaryDirectory() as folder, prefect_server(Path(folder)):
            pass
    home.mkdir(parents=True)
    shutil.copy(EMPTY_DATABASE, home / "prefect.db")
    return home


def _keep_empty(database: Path) -> None:
    EMPTY_DATABASE.parent.mkdir(mode=0o700, exist_ok=True)
    made = EMPTY_DATABASE.with_suffix(f".{os.getpid()}")
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(made)) as copy:
        source.backup(copy)
    made.replace(EMPTY_DATABASE)


@contextmanager
def endpoint_process(log: Path, *arguments: str) -> Iterator[str]:
    """The fake endpoint as a process with a log; gives its base URL."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.harness.endpoint", "--port", "0", "--log", str(log)),
            *("--max-seconds", "7200", *arguments),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["base_url"]
    finally:
        end(process)
        if process.stdout:
            process.stdout.close()


@dataclass
class CommandLine:
    """Runs `llm-reports` in processes that share a store, an endpoint and a Prefect server."""

    folder: Path
    api_url: str
    base_url: str

    @property
    def store(self) -> Path:
        """Where paid answers are kept."""
        return self.folder / "store"

    @property
    def output(self) -> Path:
        """Where reports are published."""
        return self.folder / "reports"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of each process."""
        return {
            **os.environ,
            "PREFECT_API_URL": self.api_url,
            "PREFECT_HOME": str(self.folder / "prefect"),
            "LLM_REPORTS_STORE": str(self.store),
            "OPENAI_BASE_URL": self.base_url,
            "OPENAI_API_KEY": "sk-test-key",
        }

    @contextmanager
    def started(
        self,
        *arguments: str,
        program: Sequence[str] = ("-m", "prefect_llm_reports.flows.cli"),
        cwd: Path | None = None,
        **changed: str,
    ) -> Iterator[subprocess.Popen[str]]:
        """The command line, started in a process group of its own; killed if it is still there."""
        process = subprocess.Popen(
            [sys.executable, *program, *arguments],
            cwd=cwd,
            env={**self.environment, **changed},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            kill_group(process)
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()

    def run(self, *arguments: str, **changed: str) -> Ended:
        """Run the command line to its end."""
        with self.started("run", *arguments, "--json", **changed) as process:
            return ended(process)

    def batch(self, topics: Sequence[str], *more: str) -> tuple[str, ...]:
        """The arguments of a batch."""
        return (*topics, "--output", str(self.output), "--concurrency", str(CONCURRENCY), *more)


@dataclass(frozen=True)
class Ended:
    """What a process left behind."""

    status: int
    out: str
    err: str

    @property
    def result(self) -> Mapping[str, Any]:
        """The result that `--json` printed."""
        assert self.out, f"status {self.status}, nothing on stdout:\n{self.err}"
        return json.loads(self.out)


def ended(process: subprocess.Popen[str], timeout: float = PATIENCE_S) -> Ended:
    """Wait for the end of a process."""
    out, err = process.communicate(timeout=timeout)
    return Ended(process.returncode, out, err)


def kill_group(process: subprocess.Popen[Any]) -> None:
    """SIGKILL a process started in a group of its own, and everything it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE_S)
