"""One batch in one process, and split over several: `python -m tests.benchmarks.shards`.

Each run is a process of its own, measured from start to exit with all that it starts, or with the
workers that run its shards; Prefect's server and the endpoint run apart, on the same cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.harness.cluster import Workers, deploy
from tests.harness.processes import CommandLine, endpoint_process, prefect_server

CALLS_A_TOPIC = 7


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--topics", type=int, default=100)
    parser.add_argument("--latency", type=float, default=0.5)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--pool", action="store_true", help="a process pool of the batch instead of workers"
    )
    parser.add_argument("--inside", type=json.loads, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.inside:
        run_inside(**chosen.inside)
        return
    say(f"locks taken and given back: {locks(chosen.processes)}")
    with tempfile.TemporaryDirectory() as temporary:
        log = Path(temporary) / "endpoint.log"
        with endpoint_process(log, "--latency", str(chosen.latency)) as base_url:
            environment = {
                **os.environ,
                "PREFECT_LOGGING_LEVEL": "ERROR",
                "OPENAI_API_KEY": "sk-test",
                "OPENAI_BASE_URL": base_url,
            }
            compare(Path(temporary), environment, chosen)


def compare(folder: Path, environment: dict[str, str], chosen: argparse.Namespace) -> None:
    """Run every number of processes in turn, several rounds, and print medians."""
    rows: dict[int, list[dict[str, float]]] = {count: [] for count in chosen.processes}
    for number in range(chosen.rounds):
        for count in chosen.processes:
            few = measured(folder / f"few-{number}-{count}", environment, count, count, chosen)
            at = folder / f"all-{number}-{count}"
            whole = measured(at, environment, chosen.topics, count, chosen)
            calls = CALLS_A_TOPIC * (chosen.topics - count)
            whole["ms a call"] = 1000 * (whole["cpu"] - few["cpu"]) / calls
            whole["start"] = few["wall"]
            rows[count].append(whole)
            say(f"round {number + 1}, {count} processes: {shown(whole)}")
    say(
        f"\n{chosen.topics} topics x {CALLS_A_TOPIC} calls of {chosen.latency:g} s, concurrency"
        f" {chosen.concurrency}, {os.cpu_count()} cores; medians of {chosen.rounds}"
    )
    for count, found in rows.items():
        medians = {name: statistics.median(row[name] for row in found) for name in found[0]}
        say(f"{count} processes: {shown(medians)}")


def measured(
    folder: Path, environment: dict[str, str], topics: int, count: int, chosen: argparse.Namespace
) -> dict[str, float]:
    """One run as a process: seconds, and seconds of CPU with all its children."""
    inside = {
        "folder": str(folder),
        "topics": topics,
        "processes": count,
        "concurrency": chosen.concurrency,
        "pool": chosen.pool,
    }
    with prefect_server(folder) as api_url:  # one that still works at the last run would count
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with workers(folder, api_url, environment, 0 if chosen.pool or count == 1 else count):
            began = time.monotonic()
            done = subprocess.run(
                [sys.executable, "-m", "tests.benchmarks.shards", "--inside", json.dumps(inside)],
                env={**environment, "PREFECT_API_URL": api_url},
                stdout=subprocess.PIPE,
                check=True,
            )
            wall = time.monotonic() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = json.loads(done.stdout)
    assert told["made"] == topics * CALLS_A_TOPIC, told
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": wall, "batch": told["duration_s"], "cpu": cpu}


@contextmanager
def workers(folder: Path, api_url: str, environment: dict[str, str], count: int) -> Generator[None]:
    """So many workers that look for shards, and end with all that they started."""
    if not count:
        yield
        return
    deploy(api_url)
    command = CommandLine(folder, api_url, environment["OPENAI_BASE_URL"])
    found = Workers(command, folder)
    try:
        found.keep(count)
        yield
    finally:
        found.end()


def run_inside(folder: str, topics: int, processes: int, concurrency: int, *, pool: bool) -> None:
    """The measured process itself."""
    from prefect.task_runners import ProcessPoolTaskRunner

    from prefect_llm_reports.flows import report_batch

    flow: Any = report_batch
    options: dict[str, Any] = {"store": f"{folder}/store", "concurrency": concurrency}
    if processes > 1 and not pool:
        options["shards"] = processes
    elif processes > 1:
        flow = flow.with_options(task_runner=ProcessPoolTaskRunner(max_workers=processes))
    result = asyncio.run(
        flow(
            topics=[f"Topic number {n}" for n in range(topics)],
            model="gpt-5-mini",
            output=f"{folder}/reports",
            options=options,
        )
    )
    assert result.status == "complete", result.error
    print(json.dumps({"made": result.calls.made, "duration_s": result.duration_s}))  # noqa: T201


def locks(counts: list[int]) -> str:
    """What one lock of the answer store costs while so many processes take locks of their own."""
    with tempfile.TemporaryDirectory() as temporary:
        found: list[str] = []
        for count in counts:
            with multiprocessing.get_context("spawn").Pool(count) as pool:
                took = pool.starmap(take_locks, [(f"{temporary}/locks", n) for n in range(count)])
            found.append(f"{statistics.mean(took):.1f} µs with {count}")
    return ", ".join(found)


def take_locks(path: str, number: int, times: int = 20_000) -> float:
    """Microseconds of CPU for one lock, of keys that nobody else wants."""
    from prefect_llm_reports.tasks.answers.locks import FileLocks
    from prefect_llm_reports.tasks.contract.records import digest

    keys = [digest(f"{number} {n}") for n in range(1000)]

    async def take() -> float:
        shared = FileLocks.at(Path(path))
        began = time.process_time()
        for n in range(times):
            key = keys[n % len(keys)]
            assert await shared.try_lock(key)
            shared.unlock(key)
        return 1e6 * (time.process_time() - began) / times

    return asyncio.run(take())


def shown(row: dict[str, float]) -> str:
    """A row in words."""
    return (
        f"{row['wall']:.1f} s from start to exit ({row['start']:.1f} s of it to start and end),"
        f" batch {row['batch']:.1f} s, CPU {row['cpu']:.1f} s, {row['ms a call']:.1f} ms a call"
    )


def say(line: str) -> None:
    """Print at once."""
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
