"""A batch over three workers of a pool, on PostgreSQL and Redis, some of them killed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.harness.checker import answered, asked, check_files, kept_requests, request_id
from tests.harness.cluster import Workers, deploy, server_on_postgres_and_redis
from tests.harness.processes import CommandLine, Ended, ended, endpoint_process

pytestmark = [pytest.mark.services, pytest.mark.timeout(1200)]

BATCH = """
import asyncio, json, sys
from prefect_llm_reports.flows import report_batch
result = asyncio.run(report_batch(**json.loads(sys.argv[1])))
print(result.model_dump_json())
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of this module."""
    return tmp_path_factory.mktemp("shards")


@pytest.fixture(scope="module")
def log(folder: Path) -> Path:
    """The endpoint's log."""
    return folder / "endpoint.log"


@pytest.fixture(scope="module")
def command(folder: Path, log: Path) -> Iterator[CommandLine]:
    """A server on PostgreSQL and Redis with the flow deployed, and an endpoint."""
    with (
        server_on_postgres_and_redis(folder) as api_url,
        endpoint_process(log, "--latency", "0.3") as base_url,
    ):
        deploy(api_url)
        yield CommandLine(folder, api_url, base_url)


@pytest.fixture(scope="module")
def workers(command: CommandLine, folder: Path) -> Iterator[Workers]:
    """Three workers that share the answer store and the output."""
    found = Workers(command, folder)
    try:
        yield found
    finally:
        found.end()


def parameters(command: CommandLine, topics: list[str], **options: Any) -> str:
    """The parameters of a batch, as JSON."""
    import json

    return json.dumps(
        {
            "topics": topics,
            "model": "gpt-5-mini",
            "output": str(command.output),
            "options": {"shards": 3, "concurrency": 12, **options},
        }
    )


def children(command: CommandLine, result: Any) -> list[FlowRun]:
    """The runs of a batch's shards, by the name they have in its directory."""

    async def read() -> list[FlowRun]:
        async with get_client() as client:
            runs = await client.read_flow_runs(limit=200)
            [batch] = [r for r in runs if r.id.hex.endswith(result["run_id"][-8:])]
            chosen = FlowRunFilterParentFlowRunId(any_=[batch.id])
            return await client.read_flow_runs(
                flow_run_filter=FlowRunFilter(parent_flow_run_id=chosen)
            )

    with temporary_settings({PREFECT_API_URL: command.api_url}):
        return asyncio.run(read())


def followed(command: CommandLine, workers: Workers, given: str) -> Iterator[Any]:
    """A batch as a process; yields while it runs, and at last what it left behind."""
    with command.started(given, program=("-c", BATCH), LLM_REPORTS_LEASE_S="10") as process:
        while process.poll() is None:
            workers.look()
            yield None
            try:
                process.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
        yield ended(process)


def test_three_workers_share_a_batch(command: CommandLine, workers: Workers, log: Path) -> None:
    """60 topics: each published once, 420 calls as in one process, all three workers at work."""
    workers.keep(3)
    topics = [f"Topic number {n}" for n in range(60)]
    *_, left = followed(command, workers, parameters(command, topics))
    assert isinstance(left, Ended)
    result = left.result

    assert result["status"] == "complete", left.err
    assert len(asked(log)) == len(set(asked(log))) == 420
    assert result["calls"]["made"] == 420
    assert [r["topic"] for r in result["reports"]] == topics
    run = Path(result["run_directory"])
    assert len([*run.glob("*/manifest.json")]) == check_files(command.output) == 60
    assert not (run / ".shards").exists()

    shards = children(command, result)
    assert {s.parameters["shard"] for s in shards} == {1, 2, 3}
    assert {s.state_name for s in shards} == {"Completed"}
    ran = {str(s.id) for s in shards}
    assert [len(seen & ran) for seen in workers.seen.values()] == [1, 1, 1]

    verify = [sys.executable, "-m", "prefect_llm_reports.flows.cli", "verify", str(command.output)]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout[:8]) == (0, "all good"), done.stdout


def test_a_killed_worker_costs_the_calls_in_flight(
    command: CommandLine, workers: Workers, log: Path
) -> None:
    """SIGKILL for worker and engine of a shard: another worker ends it, no kept answer is asked."""
    workers.keep(3)
    topics = [f"Killed topic {n}" for n in range(18)]
    already = len(asked(log))
    killed: list[str] = []
    kept: set[str] = set()
    left: Ended | None = None
    for found in followed(command, workers, parameters(command, topics, concurrency=6)):
        left = found
        if not killed and len(answered(log)) >= already + 30:
            shards = {run for seen in workers.seen.values() for run in seen}
            victim = sorted(shards & at_work(workers))[0]
            workers.kill_the_one_at(victim)
            kept = kept_requests(command.store)
            killed.append(victim)
            before = len(asked(log))
    assert left is not None
    result = left.result

    assert killed
    assert result["status"] == "complete", left.err
    questions = asked(log)[already:]
    assert len(set(questions)) == 18 * 7
    assert len(questions) - 18 * 7 <= 2, "more than the dead shard's calls in flight were repeated"
    again = asked(log)[before:]
    assert not [key for key in again if request_id(key) in kept]
    run = Path(result["run_directory"])
    assert len([*run.glob("*/manifest.json")]) == 18
    assert check_files(command.output) >= 18
    shards_of = children(command, result)
    assert len(shards_of) == 4
    assert {s.state_name for s in shards_of if str(s.id) == killed[0]} == {"Crashed"}
    assert {s.state_name for s in shards_of if str(s.id) != killed[0]} == {"Completed"}


def at_work(workers: Workers) -> set[str]:
    """The flow runs that are at work below the workers now."""
    now = Workers(workers.command, workers.folder, {pid: set() for pid in workers.seen})
    now._processes = [p for p in workers._processes if p.poll() is None]
    now.look()
    return {run for seen in now.seen.values() for run in seen}
