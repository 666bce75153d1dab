"""A deployment whose run dies is retried as the Prefect UI does it, and pays nothing twice."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import AwaitingRetry

from tests.harness.checker import answered
from tests.harness.processes import CommandLine, endpoint_process, prefect_server, wait_until

pytestmark = pytest.mark.services

SERVE = """
from prefect_llm_reports.flows import report_batch
report_batch.serve(name="here", pause_on_shutdown=False)
"""
TOPICS = ["Tidal power", "Heat pumps", "Edge computing"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The endpoint's log."""
    return tmp_path / "endpoint.log"


@pytest.fixture
def command(tmp_path: Path, log: Path) -> Iterator[CommandLine]:
    """A Prefect server, an endpoint, a store and an output folder."""
    with (
        prefect_server(tmp_path / "server") as api_url,
        endpoint_process(log, "--latency", "0.2") as base_url,
    ):
        yield CommandLine(tmp_path, api_url, base_url)


def engine_of(parent: int) -> int:
    """The process that the runner has started for the one flow run."""
    started = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    [engine] = [p for p in started if "spawn_main" in Path(f"/proc/{p}/cmdline").read_text()]
    return int(engine)


def test_retry_in_the_ui_goes_on_where_the_killed_run_stopped(
    command: CommandLine, log: Path
) -> None:
    """A run killed in the middle is retried in its own directory, with nothing repeated."""

    async def start() -> UUID:
        async with get_client() as client:
            deployment = await client.read_deployment_by_name("report-batch/here")
            run = await client.create_flow_run_from_deployment(
                deployment.id,
                parameters={
                    "topics": TOPICS,
                    "output": str(command.output),
                    "options": {"concurrency": 2},
                },
            )
            return run.id

    async def state_of(run_id: UUID) -> str:
        async with get_client() as client:
            state = (await client.read_flow_run(run_id)).state
            return state.name if state else ""

    async def retry(run_id: UUID) -> None:
        async with get_client() as client:
            await client.set_flow_run_state(run_id, AwaitingRetry())

    def served() -> bool:
        async def find() -> bool:
            async with get_client() as client:
                return bool(await client.read_deployments())

        return asyncio.run(find())

    with (
        temporary_settings({PREFECT_API_URL: command.api_url}),
        command.started(program=("-c", SERVE), PREFECT_RUNNER_POLL_FREQUENCY="1") as process,
    ):
        wait_until(served, every=0.5)
        run_id = asyncio.run(start())
        wait_until(lambda: log.exists() and len(answered(log)) >= 8, every=0.1)
        os.kill(engine_of(process.pid), signal.SIGKILL)
        wait_until(lambda: asyncio.run(state_of(run_id)) == "Crashed", every=0.5)
        before = answered(log)
        asyncio.run(retry(run_id))
        wait_until(lambda: asyncio.run(state_of(run_id)) == "Completed", every=0.5)

    after = answered(log)
    repeated = [key for key in after[len(before) :] if key in set(before)]
    assert len(repeated) <= 2, "more than the calls in flight were repeated"
    assert len(set(after)) == 7 * len(TOPICS)
    [directory] = [path for path in command.output.iterdir() if path.is_dir()]
    assert len(list(directory.glob("*/manifest.json"))) == len(TOPICS)
    assert (directory / "batch.json").exists()
