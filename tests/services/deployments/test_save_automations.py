"""The automations of deployments/save_automations.py, with a real server, workers and a receiver.

Silent runs are detected; crashed runs restart elsewhere, a few times only; a notification is sent.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Crashed, Pending, Running

from prefect_llm_reports.flows import report_batch
from tests.harness import ROOT
from tests.harness.checker import answered
from tests.harness.processes import CommandLine, endpoint_process, prefect_server, wait_until
from tests.harness.receiver import Receiver

pytestmark = pytest.mark.services

TOPICS = ["Tidal power", "Heat pumps", "Edge computing"]
SILENT_S = 35
"""Just above the shortest heartbeat that Prefect allows, 30 s."""


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """A server on loopback that notifications are posted to."""
    with Receiver() as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for everything."""
    return tmp_path_factory.mktemp("automations")


@pytest.fixture(scope="module")
def command(folder: Path) -> Iterator[CommandLine]:
    """A Prefect server with two pools and a deployment in each, and an endpoint."""
    with (
        prefect_server(folder / "server") as api_url,
        endpoint_process(folder / "endpoint.log", "--latency", "0.2") as base_url,
        temporary_settings({PREFECT_API_URL: api_url}),
    ):
        for pool in ("worked", "idle"):
            on_server(lambda client, name=pool: client.create_work_pool(_pool(name)))
            source: Any = report_batch.from_source(str(ROOT), "flows/reports.py:report_batch")
            source.deploy(pool, work_pool_name=pool, print_next_steps=False, ignore_warnings=True)
        yield CommandLine(folder, api_url, base_url)


def _pool(name: str) -> WorkPoolCreate:
    return WorkPoolCreate(name=name, type="process")


@pytest.fixture(scope="module", autouse=True)
def saved(command: CommandLine, receiver: Receiver) -> str:
    """The automations, saved with a short threshold and one restart; what the command said."""
    return save_automations(command, "--silent-after", str(SILENT_S), url=receiver.url)


def save_automations(
    command: CommandLine, *arguments: str, url: str = "", fails: bool = False
) -> str:
    """Run the command; what it said, or what was wrong."""
    done = subprocess.run(
        [sys.executable, "deployments/save_automations.py", "--restarts", "1", *arguments],
        env={**command.environment, "LLM_REPORTS_NOTIFY_URL": url},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == fails, done.stderr
    return done.stderr if fails else done.stdout


def on_server(ask: Callable[[PrefectClient], Coroutine[Any, Any, Any]]) -> Any:
    """Ask the server something."""

    async def answer() -> Any:
        async with get_client() as client:
            return await ask(client)

    return asyncio.run(answer())


def start(command: CommandLine, pool: str, **options: Any) -> UUID:
    """Start a run of the pool's deployment."""

    async def ask(client: PrefectClient) -> UUID:
        deployment = await client.read_deployment_by_name(f"report-batch/{pool}")
        parameters = {
            "topics": TOPICS,
            "output": str(command.output),
            "options": {"concurrency": 2, **options},
        }
        run = await client.create_flow_run_from_deployment(deployment.id, parameters=parameters)
        return run.id

    return on_server(ask)


def state_of(run_id: UUID) -> str:
    """The name of a run's state."""
    return on_server(lambda client: client.read_flow_run(run_id)).state.name


def states_of(run_id: UUID) -> list[str]:
    """The names of all states that a run has had."""
    states = on_server(lambda client: client.read_flow_run_states(run_id))
    return [state.name for state in sorted(states, key=lambda state: state.timestamp)]


def crash(run_id: UUID, message: str = "killed") -> None:
    """Let a run begin and crash, as its worker would report it."""

    async def ask(client: PrefectClient) -> None:
        for state in (Pending(), Running(), Crashed(message=message)):
            await client.set_flow_run_state(run_id, state)

    on_server(ask)


@contextmanager
def worker(command: CommandLine, name: str) -> Iterator[subprocess.Popen[str]]:
    """A worker of the pool `worked`."""
    arguments = ("worker", "start", "--pool", "worked", "--type", "process", "--name", name)
    with command.started(
        *arguments,
        program=("-m", "prefect"),
        PREFECT_HOME=str(command.folder / name),
        PREFECT_WORKER_QUERY_SECONDS="1",
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY="30",
    ) as process:
        yield process


def family(process: int) -> list[int]:
    """A process and all that descend from it."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [process, *(one for child in children for one in family(int(child)))]


def test_a_run_whose_worker_and_process_are_killed_is_finished_by_another_worker(
    command: CommandLine, receiver: Receiver
) -> None:
    """Silence is noticed, the run crashes, begins again and buys nothing answered twice."""
    log = command.folder / "endpoint.log"
    with worker(command, "first") as first:
        run_id = start(command, "worked")
        wait_until(lambda: len(answered(log)) >= 8, every=0.1)
        with worker(command, "second"):
            for process in family(first.pid):
                os.kill(process, signal.SIGKILL)
            before = answered(log)
            wait_until(lambda: state_of(run_id) == "Completed", every=0.5)

    states = states_of(run_id)
    died = states.index("Crashed")
    assert states[died - 1 : died + 2] == ["Running", "Crashed", "AwaitingRetry"]
    assert states[-2:] == ["Running", "Completed"]
    after = answered(log)
    repeated = [key for key in after[len(before) :] if key in set(before)]
    assert len(repeated) <= 2, "more than the calls in flight were repeated"
    assert len(set(after)) == 7 * len(TOPICS)
    assert len(list(command.output.glob("*/*/manifest.json"))) == len(TOPICS)
    [told] = receiver.told("crashed", run_id)
    assert f"No heartbeat for {SILENT_S} s" in told


def test_failures_and_budget_stops_are_told_in_their_own_words(
    command: CommandLine, receiver: Receiver
) -> None:
    """A run out of budget and one that stops are notified with state and message."""
    prices = {"gpt-5-mini": {"input": 1, "output": 1}}
    with worker(command, "third"):
        poor = start(command, "worked", budget_usd="0.000001", refresh=True, prices=prices)
        wrong = start(command, "worked", store="/proc/nowhere")
        wait_until(lambda: receiver.told("budget exhausted", poor), every=0.2)
        wait_until(lambda: receiver.told("failed", wrong), every=0.2)
    assert "BudgetExhausted" in receiver.told("budget exhausted", poor)[0]
    assert "/proc/nowhere" in receiver.told("failed", wrong)[0]
    assert not receiver.told("failed", poor)


def test_a_run_that_no_worker_takes_is_told_as_late(
    command: CommandLine, receiver: Receiver
) -> None:
    """A pool without a worker does not go unnoticed."""
    waiting = start(command, "idle")
    wait_until(lambda: receiver.told("late", waiting), every=0.2)


def test_a_run_that_crashes_again_and_again_stays_crashed(
    command: CommandLine, receiver: Receiver
) -> None:
    """With one restart, the second crash is notified and is the last."""
    doomed, later = start(command, "idle"), start(command, "idle")
    crash(doomed)
    wait_until(lambda: state_of(doomed) == "AwaitingRetry", every=0.2)
    crash(doomed)
    crash(later)  # what comes after is dealt with after
    wait_until(lambda: state_of(later) == "AwaitingRetry", every=0.2)
    wait_until(lambda: len(receiver.told("crashed", doomed)) == 2, every=0.2)
    assert state_of(doomed) == "Crashed"


def test_the_command_brings_automations_up_to_date_and_removes_them(
    command: CommandLine, receiver: Receiver, saved: str
) -> None:
    """Saved once, unchanged the second time, updated by name, removed on demand."""
    names = sorted(line.removeprefix("saved ") for line in saved.splitlines())
    assert len(names) == 8

    def on_the_server() -> list[str]:
        return sorted(a.name for a in on_server(lambda client: client.read_automations()))

    assert on_the_server() == names
    again = save_automations(command, "--silent-after", str(SILENT_S), url=receiver.url)
    assert {line.split(" ", 1)[0] for line in again.splitlines()} == {"unchanged"}
    silent = "llm-reports: silent runs are crashed"
    [watching] = on_server(lambda client: client.read_automations_by_name(silent))
    on_server(lambda client: client.pause_automation(watching.id))
    off = save_automations(command, "--silent-after", str(SILENT_S), url=receiver.url)
    assert f"unchanged (off) {silent}" in off
    on_server(lambda client: client.resume_automation(watching.id))
    other = save_automations(command, "--silent-after", "60")
    assert [line for line in other.splitlines() if line.startswith("updated")] == [
        f"updated {silent}"
    ]
    assert "LLM_REPORTS_NOTIFY_URL" in other
    assert on_the_server() == names
    removed = save_automations(command, "--remove")
    assert sorted(line.removeprefix("removed ") for line in removed.splitlines()) == names
    assert on_the_server() == []


def test_a_notification_block_is_told_and_nobody_is_called_by_what_a_model_wrote(
    command: CommandLine, receiver: Receiver
) -> None:
    """Any block with `notify` will do; marks by which chats call people are taken out."""
    block = CustomWebhookNotificationBlock(
        name="ops",
        url=receiver.url,
        json_data={"text": "{{subject}}: {{body}}", "what": "by block", "flow_run_id": "none"},
    )
    block.save("ops", _sync=True)  # pyright: ignore
    said = save_automations(command, "--notify", "custom-webhook/ops")
    assert "saved llm-reports: tell of runs that are crashed" in said
    crash(start(command, "idle"), message="<!channel> @here")
    wait_until(lambda: any(body["what"] == "by block" for body in receiver.bodies), every=0.2)
    [told] = [body["text"] for body in receiver.bodies if body["what"] == "by block"]
    assert told.startswith("LLM reports: crashed: idle: run ")
    assert "(!channel> (at)here" in told
    unknown = save_automations(command, "--notify", "slack-webhook/nowhere", fails=True)
    assert "no block slack-webhook/nowhere is saved" in unknown
