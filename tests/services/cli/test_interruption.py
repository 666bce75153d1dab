"""Ctrl-C, SIGTERM and SIGHUP in a terminal: the whole group gets them, with an embedded server."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness import faults
from tests.harness.endpoint import Endpoint, Reply
from tests.harness.processes import prefect_home, prefect_server, wait_until
from tests.harness.terminals import Terminal, in_terminal, is_there, offspring

pytestmark = pytest.mark.services

Send = Callable[[Terminal], None]
CTRL_C, HANG_UP = Terminal.press_ctrl_c, Terminal.close


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A home without settings, and no server: the embedded one is used."""
    return {
        **os.environ,
        "PREFECT_HOME": str(prefect_home(tmp_path / "prefect")),
        "LLM_REPORTS_STORE": str(tmp_path / "store"),
        "OPENAI_API_KEY": "sk-test-key",
    }


SLOW = """
import sys, time

def slowly(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and "/slow" in f"/{arguments[0]}":
        print("reading", flush=True)
        time.sleep(3600)

sys.addaudithook(slowly)
"""
"""A file system that takes an hour to answer."""
RUN = ("run", "Tidal power", "Rust", "--output", "made")
BRANCHES = ("branches", "Tides", "Winds", "--output", "made", "--concurrency", "2")


@contextmanager
def calling(
    command: tuple[str, ...], fault: Reply, environment: dict[str, str], folder: Path
) -> Iterator[tuple[Endpoint, Terminal, list[int]]]:
    """A command with calls under way that meet a fault, and the processes that it has started."""
    with Endpoint() as endpoint:
        endpoint.fail(fault, times=None)
        environment["OPENAI_BASE_URL"] = endpoint.base_url
        with in_terminal(*command, environment=environment, folder=folder) as terminal:
            wait_until(lambda: endpoint.count() >= 2, told=lambda: terminal.shown)
            servers = offspring(terminal.process.pid)
            assert servers
            yield endpoint, terminal, servers


@pytest.mark.parametrize(
    ("command", "send", "status"),
    [
        (RUN, CTRL_C, 130),
        (BRANCHES, CTRL_C, 130),
        (RUN, lambda terminal: terminal.send(signal.SIGTERM), 143),
        (BRANCHES, lambda terminal: terminal.send(signal.SIGHUP), 129),
        (RUN, HANG_UP, 129),
    ],
    ids=["Ctrl-C", "Ctrl-C branches", "SIGTERM", "SIGHUP branches", "closed"],
)
def test_a_signal_to_the_whole_group_ends_a_run_with_what_is_paid(
    command: tuple[str, ...],
    send: Send,
    status: int,
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    """The embedded server does not get the signal, serves until the end, and is gone then."""
    with calling(command, faults.held(), environment, tmp_path) as (endpoint, terminal, servers):
        send(terminal)
        if send is not HANG_UP:
            terminal.wait_for("no new calls")
        wait_until(lambda: all(map(is_there, servers)))
        endpoint.release()
        found = terminal.ended()

    assert found == status, terminal.shown
    assert "Traceback" not in terminal.shown
    wait_until(lambda: not any(map(is_there, servers)))
    (batch,) = tmp_path.glob("made/*/batch.json")
    assert json.loads(batch.read_text())["status"] == "stopped"


def test_a_second_ctrl_c_ends_a_run_at_once(environment: dict[str, str], tmp_path: Path) -> None:
    """It does not wait for an endpoint that hangs."""
    with calling(RUN, faults.hang(), environment, tmp_path) as (_, terminal, servers):
        terminal.press_ctrl_c()
        terminal.wait_for("no new calls")
        terminal.press_ctrl_c()
        status = terminal.ended(15)

    assert status == 130, terminal.shown
    assert "Traceback" not in terminal.shown
    wait_until(lambda: not any(map(is_there, servers)))


@pytest.mark.parametrize(
    ("command", "when", "status", "line"),
    [
        (RUN, "Starting the embedded", 130, "no call was made"),
        (BRANCHES, "Starting the embedded", 130, "no call was made"),
        (("view", "pages", "--no-browser"), "Press Ctrl-C", 0, "Press Ctrl-C"),
        (("serve",), "Press Ctrl-C", 0, "Press Ctrl-C"),
    ],
    ids=["run", "branches", "view", "serve"],
)
def test_ctrl_c_outside_of_a_run_ends_with_a_line(
    command: tuple[str, ...],
    when: str,
    status: int,
    line: str,
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    """No traceback, no server left."""
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "index.html").write_text("<p>Hello")
    environment["OPENAI_BASE_URL"] = "http://127.0.0.1:9/v1"

    def ended() -> Terminal:
        with in_terminal(*command, environment=environment, folder=tmp_path) as terminal:
            terminal.wait_for(when)
            terminal.press_ctrl_c()
            assert terminal.ended() == status, terminal.shown
            return terminal

    if command == ("serve",):
        with prefect_server(tmp_path) as url:
            environment["PREFECT_API_URL"] = url
            terminal = ended()
    else:
        terminal = ended()
    assert line in terminal.shown
    assert "Traceback" not in terminal.shown


@pytest.mark.parametrize(
    ("command", "number", "status"),
    [
        (("verify", "slow"), signal.SIGINT, 130),
        (("verify", "slow"), signal.SIGTERM, 143),
        (("draw", "--branches-file", "slow/branches.yaml"), signal.SIGINT, 130),
        (
            ("runs", "close", "20260101T000000Z-00000000", "--output", "slow"),
            signal.SIGINT,
            130,
        ),
        (("run", "--topics-file", "slow/topics.txt", "--model", "offline"), signal.SIGINT, 130),
    ],
)
def test_a_signal_ends_commands_that_read(
    command: tuple[str, ...],
    number: signal.Signals,
    status: int,
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    """One line and its status, while a file or a folder does not come."""
    (tmp_path / "sitecustomize.py").write_text(SLOW)
    (tmp_path / "slow").mkdir()
    for name in ("branches.yaml", "topics.txt"):
        (tmp_path / "slow" / name).write_text("Tides")
    environment["PYTHONPATH"] = str(tmp_path)
    with in_terminal(*command, environment=environment, folder=tmp_path) as terminal:
        terminal.wait_for("reading")
        terminal.send(number)
        assert terminal.ended() == status, terminal.shown
    assert f"{number.name}: ended" in terminal.shown
    assert "Traceback" not in terminal.shown


def test_the_embedded_server_ends_with_a_run_that_is_killed(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """SIGKILL leaves no server behind."""
    with calling(RUN, faults.hang(), environment, tmp_path) as (_, terminal, servers):
        terminal.process.kill()
        terminal.ended()
        wait_until(lambda: not any(map(is_there, servers)))
