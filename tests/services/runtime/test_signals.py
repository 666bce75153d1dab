"""A signal ends a run soon, and every answer that was paid for is kept."""

from __future__ import annotations

import json
import signal
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from tests.harness import faults
from tests.harness.checker import PaidOnce, answered, asked, kept_requests, request_id
from tests.harness.endpoint import Endpoint
from tests.harness.processes import (
    CALLS_A_TOPIC,
    CONCURRENCY,
    LOADED,
    CommandLine,
    ended,
    endpoint_process,
    free_port,
    titles,
    wait_until,
)

pytestmark = pytest.mark.services

HEEDING = """
import asyncio, json, sys
from prefect_llm_reports.tasks.runtime.signals import Interruption

heed = Interruption.heed

def heeded(self, number):
    heed(self, number)
    print("heeded", flush=True)

Interruption.heed = heeded
"""
"""Says on stdout when a run has heeded a signal."""
COMMAND_LINE = f"""{HEEDING}
from prefect_llm_reports.flows.cli.main import main
sys.exit(main())
"""
SIDE_BY_SIDE = (
    HEEDING
    + """
from prefect_llm_reports.flows import report_batch
from prefect_llm_reports.tasks.llm.blocks import LLMEndpoint

async def all_of_them():
    batches = []
    for number, request in enumerate(map(json.loads, sys.argv[1:])):
        name = f"endpoint-{number}"
        await LLMEndpoint(base_url=request.pop("base_url")).save(name, overwrite=True)
        batches.append(report_batch(**request, endpoint=name))
    await asyncio.gather(*batches)

asyncio.run(all_of_them())
"""
)


WEB = """
import asyncio, os
from fastapi import FastAPI
from prefect_llm_reports.flows import report_batch

app = FastAPI()

def batch(name):
    topics = [f"{name} {number}" for number in range(6)]
    output, options = os.environ["OUTPUT"], {"concurrency": 4}
    return report_batch(topics=topics, output=f"{output}/{name}", options=options)

@app.get("/awaited")
async def awaited():
    return (await batch("awaited")).status

@app.get("/thread")
def thread():
    async def run():
        return await batch("thread")
    return asyncio.run(run()).status

@app.get("/")
def ready():
    return True
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_batch_and_keeps_every_answer(
    command: CommandLine, log: Path, number: signal.Signals, status: int
) -> None:
    """After SIGTERM or Ctrl-C no call is begun, those under way are kept, and JSON is printed."""
    batch = command.batch(titles(1))
    with Endpoint(log=log) as endpoint:
        endpoint.fail(faults.held(), times=None, when=lambda request: request.number > 6)
        command.base_url = endpoint.base_url
        started = command.started("run", *batch, "--json", program=("-c", COMMAND_LINE))
        with started as process:
            wait_until(lambda: len(_in_flight(log)) == CONCURRENCY)
            process.send_signal(number)
            signalled = time.monotonic()
            assert process.stdout is not None
            assert process.stdout.readline() == "heeded\n"
            endpoint.release()
            stopped = ended(process)
            took = time.monotonic() - signalled
        made = asked(log)
        kept = kept_requests(command.store)
        again = command.run(*batch)

    assert (stopped.status, stopped.result["status"]) == (status, "stopped"), stopped.err
    assert took < 30
    assert stopped.result["error"]["kind"] == "interrupted"
    assert number.name in stopped.result["error"]["message"]
    assert len(made) == 6 + CONCURRENCY
    assert {request_id(key) for key in made} == kept
    assert again.status == 0, again.err
    assert len(asked(log)) == len(set(asked(log))) == 10 * CALLS_A_TOPIC


def test_a_signal_does_not_wait_for_an_endpoint_that_hangs(command: CommandLine, log: Path) -> None:
    """Calls that do not end are given up: the process is gone within 30 s of the signal."""
    with endpoint_process(log, "--latency", "3600") as base_url:
        command.base_url = base_url
        with command.started("run", *command.batch(titles(1)), "--json") as process:
            wait_until(lambda: len(asked(log)) == CONCURRENCY)
            process.send_signal(signal.SIGTERM)
            signalled = time.monotonic()
            stopped = ended(process)
            took = time.monotonic() - signalled

    assert stopped.status == 143, stopped.err
    assert took < 30
    assert len(asked(log)) == CONCURRENCY


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_a_worker_ends_keeps_every_answer(
    command: CommandLine, log: Path, number: signal.Signals
) -> None:
    """SIGTERM and SIGINT to a flow run's own process let the calls under way end, and lose none."""
    topics = titles(1)
    options = {"concurrency": CONCURRENCY}
    request = {"topics": topics, "output": str(command.output), "options": options}
    with endpoint_process(log, "--latency", "0.5") as base_url:
        command.base_url = base_url
        checker = PaidOnce(log, command.store, base_url, CONCURRENCY, CONCURRENCY)
        with command.started(program=("-c", LOADED, json.dumps(request))) as process:
            wait_until(lambda: len(answered(log)) >= 6)
            process.send_signal(number)
            signalled = time.monotonic()
            stopped = ended(process)
            took = time.monotonic() - signalled
        checker.end_of_life(killed=True)
        again = command.run(*command.batch(topics))
        checker.end_of_life(killed=False)

    assert stopped.status != 0
    assert took < 30
    assert again.status == 0, again.err
    assert checker.breaches == []
    assert checker.in_flight == [0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_batches_side_by_side_in_one_process_keep_every_answer(
    command: CommandLine, log: Path, number: signal.Signals
) -> None:
    """One has calls that end soon, the other slow ones: neither's end costs the other an answer."""
    slow_log = log.with_name("slow")
    with Endpoint(log=log) as quick, Endpoint(log=slow_log) as slow:
        quick.fail(faults.held(), times=None, when=lambda request: request.number > 6)
        slow.fail(faults.held(), times=None)
        requests = [
            {
                "topics": titles(round_number),
                "output": str(command.output),
                "options": {"concurrency": CONCURRENCY},
                "base_url": endpoint.base_url,
            }
            for round_number, endpoint in enumerate((quick, slow))
        ]
        program = ("-c", SIDE_BY_SIDE, *map(json.dumps, requests))
        with command.started(program=program) as process:
            wait_until(lambda: all(len(_in_flight(one)) == CONCURRENCY for one in (log, slow_log)))
            process.send_signal(number)
            signalled = time.monotonic()
            assert process.stdout is not None
            assert [process.stdout.readline() for _ in (quick, slow)] == ["heeded\n"] * 2
            for endpoint in (quick, slow):
                endpoint.release()
            stopped = ended(process)
            took = time.monotonic() - signalled

    assert stopped.status != 0
    assert took < 30
    assert len(asked(log)) == 6 + CONCURRENCY
    assert len(asked(slow_log)) == CONCURRENCY
    assert {request_id(key) for key in asked(log) + asked(slow_log)} == kept_requests(command.store)
    results = [json.loads(file.read_text()) for file in command.output.glob("*/batch.json")]
    assert [result["status"] for result in results] == ["stopped", "stopped"]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, -15), (signal.SIGINT, 0)])
def test_a_web_server_ends_as_ever_with_the_batches_of_its_requests(
    command: CommandLine, log: Path, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    """Uvicorn gets the signal at once; an awaited batch ends with what is paid, and is answered.

    A batch in a thread gets no signal, and uvicorn waits for it as for any request.
    """
    (tmp_path / "web.py").write_text(WEB)
    port = free_port()
    uvicorn = ("-m", "uvicorn", "--app-dir", str(tmp_path), "web:app", "--port", str(port))
    answers: dict[str, str] = {}

    def request(path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=240) as answer:
            return json.loads(answer.read())

    def ask(path: str) -> None:
        answers[path] = request(path)

    with Endpoint(log=log) as endpoint:
        endpoint.fail(faults.held(), times=None)
        command.base_url = endpoint.base_url
        with command.started(program=uvicorn, OUTPUT=str(command.output)) as process:
            wait_until(lambda: _is_answered(lambda: request("")) or process.poll() is not None)
            assert process.poll() is None, ended(process).err
            asking = [Thread(target=ask, args=(path,)) for path in ("awaited", "thread")]
            for thread in asking:
                thread.start()
            wait_until(lambda: len(asked(log)) == 2 * CONCURRENCY)
            process.send_signal(number)
            wait_until(lambda: not _is_answered(lambda: request("")))  # it takes no more requests
            endpoint.release()
            stopped = ended(process)
            for thread in asking:
                thread.join()

    assert stopped.status == status, stopped.err
    assert answers == {"awaited": "stopped", "thread": "complete"}, stopped.err
    assert {request_id(key) for key in asked(log)} == kept_requests(command.store)
    assert len(asked(log)) == CONCURRENCY + 6 * CALLS_A_TOPIC


def _is_answered(request: Callable[[], object]) -> bool:
    try:
        request()
    except OSError:
        return False
    return True


def _in_flight(log: Path) -> set[str]:
    """Questions that an endpoint has not answered yet."""
    return set(asked(log)) - set(answered(log))
