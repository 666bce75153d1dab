"""A batch of reports beside bare asyncio: `python -m tests.benchmarks.batch`.

Both are whole processes from start to exit, in turn, against one endpoint process, with the
Prefect server apart; medians of several rounds, and their ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path

from tasks.environment import set_prefect_defaults
from tests.benchmarks.measured import Measured, chains, first_asked, measured
from tests.services.processes import endpoint_process, prefect_server


def main() -> None:
    """Measure, and print the figures."""
    set_prefect_defaults()
    parser = argparse.ArgumentParser()
    parser.add_argument("--topics", type=int, default=100)
    parser.add_argument("--latency", type=float, default=0.5)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--words", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with prefect_server(folder) as api_url:
            measure(folder, api_url, chosen)


def measure(folder: Path, api_url: str, chosen: argparse.Namespace) -> None:
    """Run bare asyncio and the flow in turn, then the same batch again, all of it cached."""
    topics = [f"Case {n} of the benchmark" for n in range(chosen.topics)]
    (folder / "topics.txt").write_text("\n".join(topics))
    requests = chains(topics, chosen.words)
    calls = sum(map(len, requests))
    (folder / "bodies.json").write_text(json.dumps(requests))
    bare: list[Measured] = []
    flow: list[Measured] = []
    again: list[Measured] = []
    first: list[float] = []
    inside: list[float] = []
    for number in range(chosen.rounds):
        log = folder / f"endpoint-{number}.log"
        arguments = ("--latency", str(chosen.latency), "--words", str(chosen.words))
        environment = {
            "PREFECT_API_URL": api_url,
            "PREFECT_HOME": str(folder / "prefect"),
            "OPENAI_API_KEY": "sk-test",
            "LLM_REPORTS_STORE": str(folder / f"store-{number}"),
        }
        wide = ("--concurrency", str(chosen.concurrency))
        with endpoint_process(folder / "bare.log", *arguments) as url:
            bodies = str(folder / "bodies.json")
            command = ("-m", "tests.benchmarks.bare", bodies, "--base-url", url, *wide)
            bare.append(measured(command, {}, folder / "bare.err"))
        with endpoint_process(log, *arguments) as url:
            command = (
                *("-m", "flows.cli", "run", "--topics-file", str(folder / "topics.txt")),
                *("--base-url", url, "--model", "gpt-5-mini", *wide),
                *("--output", str(folder / "reports"), "--json"),
            )
            flow.append(measured(command, environment, folder / "flow.err"))
            result = json.loads(flow[-1].out)
            assert result["status"] == "complete", result["status"]
            assert result["calls"] == {"made": calls, "cached": 0, "retried": 0}, result["calls"]
            first.append(first_asked(log) - flow[-1].began)
            again.append(measured(command, environment, folder / "again.err"))
            result = json.loads(again[-1].out)
            assert result["calls"] == {"made": 0, "cached": calls, "retried": 0}, result["calls"]
            inside.append(result["duration_s"])
        print(  # noqa: T201
            f"round {number + 1}: bare {bare[-1].seconds:.2f} s, flow {flow[-1].seconds:.2f} s"
            f" ({1000 * flow[-1].cpu_s / calls:.1f} ms of CPU a call, first call after"
            f" {first[-1]:.1f} s), cached {inside[-1]:.2f} s of {again[-1].seconds:.2f} s",
            flush=True,
        )
    start = statistics.median(m.cpu_s for m in again)
    del start
    ratio = statistics.median(m.seconds for m in flow) / statistics.median(m.seconds for m in bare)
    print(  # noqa: T201
        f"{chosen.topics} topics x {calls // chosen.topics} calls of {chosen.latency:g} s,"
        f" concurrency {chosen.concurrency}: bare asyncio"
        f" {statistics.median(m.seconds for m in bare):.2f} s, flow"
        f" {statistics.median(m.seconds for m in flow):.2f} s, ratio {ratio:.2f}; peak"
        f" {max(m.peak_mb for m in flow):.0f} MB"
    )


if __name__ == "__main__":
    main()
    os.sync()
