"""Many inputs to parallel branches beside bare asyncio.

Both run in this process, against an endpoint process of their own, with the Prefect server apart.
"""

from __future__ import annotations

import asyncio
import os
from statistics import median
from typing import Any

from prefect_llm_reports.flows import branch_batch
from prefect_llm_reports.tasks.branches.checking import check_branches
from prefect_llm_reports.tasks.contract.requests import BranchesRequest
from prefect_llm_reports.tasks.contract.settings import Settings
from prefect_llm_reports.tasks.llm.requests import request_body
from tests.benchmarks.bare import ask_all
from tests.benchmarks.bench import Bench, Figure

BRANCHES = [{"name": f"view-{n}", "instructions": f"Answer as expert {n}."} for n in range(8)]
INPUTS, LATENCY, CONCURRENCY = 50, 0.5, 100


def branches(bench: Bench) -> list[Figure]:
    """Fifty inputs to eight branches each, a hundred calls at once."""
    with bench.endpoint(LATENCY) as (url, _):
        os.environ |= {
            "PREFECT_API_URL": bench.api_url,
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_BASE_URL": url,
        }
        return _measured(bench, url)


def _measured(bench: Bench, url: str) -> list[Figure]:
    queries = [f"What is said of case {n}?" for n in range(INPUTS)]
    request = BranchesRequest(
        queries=queries,
        branches=BRANCHES,
        model="gpt-5-mini",
        options={"store": str(bench.folder / "none")},
    )
    checked = check_branches(request, Settings(), {})
    bodies = [
        [request_body(ask, ask.model, (), ask.max_output_tokens, ())]
        for inquiry in checked.inquiries
        for node in checked.asker.program.nodes
        for ask in [checked.asker.branch(inquiry, node, {})]
    ]
    bare: list[float] = []
    flow: list[float] = []
    for number in range(bench.rounds):
        bare.append(asyncio.run(ask_all(url, bodies, CONCURRENCY)))
        run: Any = branch_batch(
            queries=queries,
            branches=BRANCHES,
            model="gpt-5-mini",
            output=str(bench.folder / f"answers-{number}"),
            options={
                "store": str(bench.folder / f"branches-{number}"),
                "concurrency": CONCURRENCY,
            },
        )
        result = asyncio.run(run)
        assert result.calls.made == len(bodies), result.calls
        flow.append(result.duration_s)
        bench.tell(f"branches: bare {bare[-1]:.2f} s, flow {flow[-1]:.2f} s")
    return [
        Figure(
            f"{INPUTS} inputs x {len(BRANCHES)} branches of {LATENCY:g} s, {CONCURRENCY} at once,"
            " in one process",
            f"{median(flow) / median(bare):.2f} times bare asyncio"
            f" ({median(flow):.2f} s to {median(bare):.2f} s)",
        )
    ]
