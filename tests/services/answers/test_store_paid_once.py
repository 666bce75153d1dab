"""No paid answer is lost or bought twice: real processes, killed, doubled, starved."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.harness.checker import (
    PaidOnce,
    Tail,
    answered,
    asked,
    check_files,
    kept_requests,
    request_id,
)
from tests.harness.processes import (
    CALLS_A_TOPIC,
    CONCURRENCY,
    LOADED,
    CommandLine,
    ended,
    endpoint_process,
    kill_group,
    titles,
    wait_until,
)

pytestmark = pytest.mark.services

KILLS = int(os.environ.get("PAID_ONCE_KILLS", "6"))
SEED = int(os.environ.get("PAID_ONCE_SEED", "20261122"))
MOST_IN_FLIGHT = CONCURRENCY
"""As many as are under way at once: a call has its turn until its answer is in the store."""


@pytest.mark.timeout(max(900, 60 * KILLS))
def test_kills_at_random_moments_repeat_only_what_was_in_flight(
    command: CommandLine, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """However often SIGKILL ends a batch, only calls in flight are repeated and all is published.

    A third of the kills comes just after an answer has left the endpoint, a sixth at any time in
    the life of the process, the others at any time while calls are made.
    """
    rng = random.Random(SEED)
    checker = PaidOnce(log, command.store, command.base_url, CONCURRENCY, MOST_IN_FLIGHT)
    began = time.monotonic()
    whole = command.run(*command.batch(titles(0)))
    life_s = time.monotonic() - began
    calls_s = whole.result["duration_s"]
    checker.end_of_life(killed=False)

    round_number = 0
    while checker.kills < KILLS:
        round_number += 1
        batch = command.batch(titles(round_number))
        for _ in range(min(KILLS - checker.kills, rng.randint(5, 9))):
            if not _killed(command, batch, log, rng, life_s, calls_s):
                break
            checker.end_of_life(killed=True)
        done = command.run(*batch)
        checker.end_of_life(killed=False)
        assert done.status == 0, done.err
        assert [r["status"] for r in done.result["reports"]] == ["published"] * 10
        assert check_files(command.output) >= 10 * (round_number + 1)
        total = len(asked(log))
        assert total - checker.repeats == 10 * CALLS_A_TOPIC * (round_number + 1)

        if KILLS > 10 or checker.kills == KILLS:
            with capsys.disabled():
                print(f"\nround {round_number}, seed {SEED}: {checker}")  # noqa: T201
        assert checker.breaches == []
    assert checker.repeats <= sum(checker.in_flight)


def _killed(
    command: CommandLine,
    batch: tuple[str, ...],
    log: Path,
    rng: random.Random,
    life_s: float,
    calls_s: float,
) -> bool:
    """Start the batch and kill it at a random moment; False when it was finished before."""
    tail = Tail(log)
    kind = rng.choice(["life", "answer", "answer", "calls", "calls", "calls"])
    at = rng.random()
    with command.started("run", *batch, "--json") as process:
        if kind == "life":
            began = time.monotonic()
            wait_until(
                lambda: process.poll() is not None or time.monotonic() > began + at * life_s,
                every=0.002,
            )
        elif kind == "answer":
            enough = rng.randint(1, 20)
            wait_until(lambda: process.poll() is not None or tail.answered >= enough, every=0.0005)
            time.sleep(at * 0.01)  # the moment of the kill: what it meets is up to chance
        else:
            wait_until(lambda: process.poll() is not None or tail.asked > 0, every=0.002)
            began = time.monotonic()
            wait_until(
                lambda: process.poll() is not None or time.monotonic() > began + at * calls_s / 3,
                every=0.002,
            )
        alive = process.poll() is None
        kill_group(process)
        if not alive:
            assert ended(process).status == 0
        return alive


def test_two_processes_at_once_make_the_calls_of_one(command: CommandLine, log: Path) -> None:
    """The same batch in two processes at once is paid for once, and both publish everything."""
    batch = ("run", *command.batch(titles(1)), "--json")
    with command.started(*batch) as one, command.started(*batch) as two:
        ends = [ended(one), ended(two)]
    results = [end.result for end in ends]

    assert [end.status for end in ends] == [0, 0], ends[0].err + ends[1].err
    assert len(asked(log)) == len(set(asked(log))) == 10 * CALLS_A_TOPIC
    assert sum(result["calls"]["made"] for result in results) == 10 * CALLS_A_TOPIC
    assert check_files(command.output) == 20


def test_a_killed_owner_of_a_lock_hinders_nobody(command: CommandLine, log: Path) -> None:
    """A process that waits for another's answer asks itself as soon as the other is dead."""
    topics = titles(1, 1)
    with endpoint_process(log, "--latency", "3600") as silent:
        owner = CommandLine(command.folder, command.api_url, silent)
        with owner.started("run", *owner.batch(topics)) as held:
            wait_until(lambda: len(asked(log)) == 1)
            kill_group(held)
            assert owner.store.exists()
    began = time.monotonic()
    done = command.run(*command.batch(topics))

    assert done.status == 0, done.err
    assert time.monotonic() - began < 60


IMPORTED = """
import asyncio, json, sys
from prefect_llm_reports.flows import report_batch
print(asyncio.run(report_batch(**json.loads(sys.argv[1]))).model_dump_json())
"""


def test_however_a_batch_is_started_it_uses_the_same_answers(
    command: CommandLine, log: Path
) -> None:
    """Worker's entrypoint and Python import find what the command line has paid for."""
    topics = ["Tidal power", "C++"]
    request = {"topics": topics, "model": "gpt-5-mini", "output": str(command.output)}
    ways: dict[str, tuple[str, ...]] = {
        "command": ("-m", "prefect_llm_reports.flows.cli", "run", *command.batch(topics), "--json"),
        "entrypoint": ("-c", LOADED, json.dumps(request)),
        "import": ("-c", IMPORTED, json.dumps(request)),
    }
    made: list[int] = []
    for way in ways.values():
        with command.started(program=way) as process:
            done = ended(process)
        assert done.status == 0, done.err
        made.append(done.result["calls"]["made"])

    assert made == [2 * CALLS_A_TOPIC, 0, 0]
    assert len(asked(log)) == 2 * CALLS_A_TOPIC


def _mounted(folder: Path, size: str) -> bool:
    folder.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    return subprocess.run(mount, check=False, capture_output=True).returncode == 0


@pytest.fixture
def small_disk(command: CommandLine) -> Iterator[bool]:
    """The store on a disk of 1 MB; False where nothing can be mounted."""
    mounted = _mounted(command.store, "1000k")
    yield mounted
    if mounted:
        subprocess.run(["umount", str(command.store)], check=True)


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))
from prefect_llm_reports.flows.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def long_answers(log: Path) -> Iterator[str]:
    """An endpoint whose drafts have 3,000 words."""
    with endpoint_process(log, "--latency", "0.02", "--words", "3000") as base_url:
        yield base_url


def test_a_full_disk_costs_no_answer(
    command: CommandLine, log: Path, long_answers: str, small_disk: bool
) -> None:
    """On a full disk the batch ends with status 4 and says so; with space again nothing is lost.

    Where no small disk can be mounted, a limit on the size of files takes its place.
    """
    command.base_url = long_answers
    batch = command.batch(titles(1))
    program = ("-m", "prefect_llm_reports.flows.cli") if small_disk else ("-c", LIMITED)
    with command.started("run", *batch, "--json", program=program) as process:
        full = ended(process)
    kept = kept_requests(command.store)
    before = asked(log)

    assert full.status == 4, full.err
    assert full.result["status"] == "stopped"
    assert len(before) < 10 * CALLS_A_TOPIC
    if small_disk:
        assert "disk full" in full.result["error"]["message"]
        assert "disk full" in full.err
        assert len(before) > 10
        assert {request_id(key) for key in answered(log)} == kept
        grow = ["mount", "-o", "remount,size=64m", str(command.store)]
        subprocess.run(grow, check=True)
    done = command.run(*batch)
    again = asked(log)[len(before) :]
    assert done.status == 0, done.err
    assert not {request_id(key) for key in again} & kept
    if small_disk:
        assert len(asked(log)) == len(set(asked(log))) == 10 * CALLS_A_TOPIC
    check_files(command.output)


def _fill_up(path: Path) -> None:
    """Write until nothing fits any more."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass


def test_a_disk_that_others_fill_costs_at_most_what_was_in_flight(
    command: CommandLine, log: Path, long_answers: str, small_disk: bool
) -> None:
    """When another program takes all space at once, what was kept before stays kept."""
    if not small_disk:
        return  # the test above has shown what a limit does
    command.base_url = long_answers
    batch = command.batch(titles(2))
    filler = command.store / "filler"
    with command.started("run", *batch, "--json") as process:
        wait_until(lambda: len(answered(log)) >= 8, every=0.001)
        _fill_up(filler)
        full = ended(process)
    kept = kept_requests(command.store)
    lost = {key for key in asked(log) if request_id(key) not in kept}
    filler.unlink()

    assert full.status == 4, full.err
    assert "disk full" in full.result["error"]["message"]
    assert len(lost) <= 2 * CONCURRENCY
    if lost:
        assert "asked for again" in full.result["warnings"][-1]
    subprocess.run(["mount", "-o", "remount,size=64m", str(command.store)], check=True)
    done = command.run(*batch)
    assert done.status == 0, done.err
    assert len(asked(log)) == 10 * CALLS_A_TOPIC + len(lost)
