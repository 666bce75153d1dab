"""What the benchmarks share: whole processes with their time, CPU and memory, and the requests."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect_llm_reports.tasks.contract.calls import Answer, Ask
from prefect_llm_reports.tasks.contract.reports import Refined, Topic
from prefect_llm_reports.tasks.contract.requests import BatchRequest
from prefect_llm_reports.tasks.contract.settings import Settings
from prefect_llm_reports.tasks.llm.requests import request_body
from prefect_llm_reports.tasks.reports.checking import check_batch
from prefect_llm_reports.tasks.reports.questions import own_summary_ask
from prefect_llm_reports.tasks.reports.refining import refine
from tests.harness import answers


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


@dataclass(frozen=True)
class Report:
    """A report as the fake endpoint's answers make it.

    Attributes:
        bodies: The requests that it takes, in order.
        refined: Its drafts and scores.
        summary: Its executive summary.
    """

    bodies: list[dict[str, Any]]
    refined: Refined
    summary: str


def reports(topics: Sequence[str], words: int = 300) -> list[Report]:
    """Reports on these topics, made without any request."""
    batch = check_batch(
        BatchRequest(topics=list(topics), model="gpt-5-mini", output=tempfile.gettempdir()),
        Settings(openai_base_url="http://127.0.0.1:1/v1"),
        {},
    )

    async def report(topic: Topic) -> Report:
        bodies: list[dict[str, Any]] = []

        async def answer(step: Any, ask: Ask, after: Iterable[str] = ()) -> tuple[Answer, bool]:
            del step, after
            body = request_body(ask, ask.model, (), ask.max_output_tokens, ())
            bodies.append(body)
            said = answers.completion(body, answers.key(body), words=words, scores=(6, 7, 8))
            text = ask.accept(said["choices"][0]["message"]["content"])
            return Answer(text=text, model=ask.model, endpoint=batch.plan.endpoint), False

        refined = await refine(batch.plan, topic, answer)
        ask = own_summary_ask(batch.plan, refined)
        return Report(bodies, refined, (await answer(None, ask))[0].text)

    async def all_of_them() -> list[Report]:
        return [await report(topic) for topic in batch.topics]

    return asyncio.run(all_of_them())
