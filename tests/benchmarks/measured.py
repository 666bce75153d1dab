"""What the benchmarks share: whole processes with their time, CPU and memory, and the requests."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import answers


@dataclass(frozen=True)
class Measured:
    """One process from start to exit.

    Attributes:
        seconds: Wall clock.
        cpu_s: User and system time of the process and what it waited for.
        peak_mb: Largest resident set.
        began: When it was started, on the machine's monotonic clock.
        out: What it wrote to stdout.
    """

    seconds: float
    cpu_s: float
    peak_mb: float
    began: float
    out: str


def measured(arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> Measured:
    """Run this Python with arguments to its end; AssertionError when it fails."""
    began = time.monotonic()
    with log.open("ab") as err, (log.parent / f"{log.name}.out").open("w+b") as out:
        process = subprocess.Popen(
            [sys.executable, *arguments], env={**os.environ, **environment}, stdout=out, stderr=err
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - began
        out.seek(0)
        said = out.read().decode()
    assert process.returncode == 0, f"{arguments}: exit {process.returncode}, see {log}"
    cpu_s = used.ru_utime + used.ru_stime
    return Measured(seconds, cpu_s, used.ru_maxrss / 1024, began, said)


def chains(topics: Sequence[str], words: int = 300) -> list[list[dict[str, Any]]]:
    """The request bodies that reports on these topics take, one chain a topic."""
    from tasks.answering import Answer
    from tasks.asking import summary_ask
    from tasks.chat import request_body
    from tasks.checking import check_batch
    from tasks.policies import LLMStep
    from tasks.refining import refine
    from tasks.schemas import Ask, Topic
    from tasks.settings import Settings

    batch = check_batch(
        topics=list(topics),
        topics_file=None,
        max_iterations=3,
        quality_threshold=8,
        model="gpt-5-mini",
        output="/tmp",
        saved={},
        endpoint=None,
        options={},
        settings=Settings(openai_base_url="http://127.0.0.1:1/v1"),
    )

    async def chain(topic: Topic) -> list[dict[str, Any]]:
        bodies: list[dict[str, Any]] = []

        async def answer(step: LLMStep | None, ask: Ask) -> tuple[Answer, bool]:
            del step
            body = request_body(ask, ask.model, (), ask.max_output_tokens, ())
            bodies.append(body)
            said = answers.completion(body, answers.key(body), words=words, scores=(6, 7, 8))
            text = said["choices"][0]["message"]["content"]
            return Answer(
                text=ask.accept(text), model=ask.model, endpoint="", created=0, usage=None,
                cost_usd=None, request_id=None, attempts=1,
            ), False  # fmt: skip

        refined = await refine(batch.plan, topic, answer)
        await answer(None, summary_ask(batch.plan, topic, refined.winner.text))
        return bodies

    async def all_chains() -> list[list[dict[str, Any]]]:
        return [await chain(topic) for topic in batch.topics]

    return asyncio.run(all_chains())


def first_asked(log: Path) -> float:
    """When the first request arrived at the endpoint that writes this log."""
    with log.open() as lines:
        return json.loads(next(lines))["at"]
