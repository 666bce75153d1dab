"""The baseline: the same requests by bare asyncio with the same client, and nothing else.

As a process: `python -m tests.benchmarks.bare BODIES.json --base-url URL --concurrency N`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import openai

from prefect_llm_reports.tasks.llm.transport import open_http


async def ask_all(base_url: str, bodies: list[list[dict[str, Any]]], concurrency: int) -> float:
    """Send chains of requests, the chains at the same time; seconds from first to last.

    Args:
        base_url: The endpoint.
        bodies: Chains of request bodies; one chain's are sent one after the other.
        concurrency: Requests under way at once, at most.
    """
    gate = asyncio.Semaphore(concurrency)
    async with AsyncExitStack() as resources:
        http = await resources.enter_async_context(open_http(base_url, concurrency))
        client = openai.AsyncOpenAI(
            api_key="sk-test", base_url=base_url, http_client=http, max_retries=0
        )

        async def chain(requests: list[dict[str, Any]]) -> None:
            for body in requests:
                async with gate:
                    await client.chat.completions.create(**body)

        began = time.perf_counter()
        await asyncio.gather(*map(chain, bodies))
        return time.perf_counter() - began


def main() -> None:
    """Send the chains in a file and end."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bare")
    parser.add_argument("bodies", type=Path)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--concurrency", type=int, required=True)
    chosen = parser.parse_args()
    bodies = json.loads(chosen.bodies.read_text())
    asyncio.run(ask_all(chosen.base_url, bodies, chosen.concurrency))


if __name__ == "__main__":
    main()
