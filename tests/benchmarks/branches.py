"""Many inputs to parallel branches beside bare asyncio: `python -m tests.benchmarks.branches`.

Both run in this process, against an endpoint process of their own, with a Prefect server apart.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

from tests.services.processes import endpoint_process, prefect_server

BRANCHES = [{"name": f"view-{n}", "instructions": f"Answer as expert {n}."} for n in range(8)]


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--inputs", type=int, default=50)
    parser.add_argument("--latency", type=float, default=0.5)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, prefect_server(Path(temporary)) as api_url:
        os.environ["PREFECT_API_URL"] = api_url
        os.environ["OPENAI_API_KEY"] = "sk-test"
        log = Path(temporary) / "endpoint.log"
        with endpoint_process(log, "--latency", str(chosen.latency)) as base_url:
            os.environ["OPENAI_BASE_URL"] = base_url
            measure(Path(temporary), base_url, chosen)


def measure(folder: Path, base_url: str, chosen: argparse.Namespace) -> None:
    """Run the flow and the baseline in turn, and print medians and their ratio."""
    from flows import branch_batch
    from tasks.chat import request_body
    from tasks.checking import check_branches
    from tasks.settings import Settings
    from tests.benchmarks.bare import ask_all

    queries = [f"What is said of case {n}?" for n in range(chosen.inputs)]
    checked = check_branches(
        queries=queries,
        branches=BRANCHES,
        merge="all",
        model="gpt-5-mini",
        output=None,
        saved={},
        endpoint=None,
        options={"store": str(folder / "none")},
        settings=Settings(),
    )
    bodies = [
        [request_body(ask, ask.model, (), ask.max_output_tokens, ())]
        for inquiry in checked.inquiries
        for node in checked.asker.program.nodes
        for ask in [checked.asker.branch(inquiry, node, {})]
    ]
    bare: list[float] = []
    flow: list[float] = []
    for number in range(chosen.rounds):
        bare.append(asyncio.run(ask_all(base_url, bodies, chosen.concurrency)))
        options = {"store": str(folder / f"store-{number}"), "concurrency": chosen.concurrency}
        run: Any = branch_batch(
            queries=queries,
            branches=BRANCHES,
            model="gpt-5-mini",
            output=str(folder / f"answers-{number}"),
            options=options,
        )
        result = asyncio.run(run)
        assert result.calls.made == len(bodies), result.calls
        flow.append(result.duration_s)
        print(f"round {number + 1}: bare {bare[-1]:.2f} s, flow {flow[-1]:.2f} s")  # noqa: T201
    ratio = statistics.median(flow) / statistics.median(bare)
    print(  # noqa: T201
        f"{chosen.inputs} inputs x {len(BRANCHES)} branches of {chosen.latency:g} s, concurrency"
        f" {chosen.concurrency}: bare asyncio {statistics.median(bare):.2f} s, flow"
        f" {statistics.median(flow):.2f} s, ratio {ratio:.2f}"
    )


if __name__ == "__main__":
    main()
