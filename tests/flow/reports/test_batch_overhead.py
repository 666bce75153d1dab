"""What a report costs beside its calls: task runs, events and requests to the server, counted."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from prefect import Task
from prefect.client.base import PrefectHttpxAsyncClient, PrefectHttpxSyncClient
from prefect.client.orchestration import PrefectClient
from prefect.events.worker import EventsWorker

from prefect_llm_reports.tasks.reports.progress_bar import PACE_S as PROGRESS_S
from prefect_llm_reports.tasks.runtime.event_groups import PACE_S as GROUP_S
from tests.flow.conftest import Bench
from tests.harness.endpoint import Endpoint

LOGS_S = 2
"""Seconds for which Prefect gathers log lines before it sends them."""
FEW, MANY = 22, 62
"""Topics of two batches; either has more than would get an artifact for each summary."""
STEPS = {
    "refine_report": 1,
    "generate_initial_draft": 1,
    "critique_content": 3,
    "revise_content": 2,
    "generate_summary": 1,
    "format_as_markdown": 1,
    "format_as_html": 1,
    "publish_report": 1,
}

Counts = dict[str, Counter[str]]


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counts:
    """Task runs by task, events by kind, requests by path, from now on."""
    counts: Counts = {"task runs": Counter(), "events": Counter(), "requests": Counter()}

    def count(of: type, method: str, what: str, name: Callable[..., str]) -> None:
        inner = getattr(of, method)

        def counted(*args: Any, **kwargs: Any) -> Any:
            counts[what][name(*args, **kwargs)] += 1
            return inner(*args, **kwargs)

        monkeypatch.setattr(of, method, counted)

    def path(_: Any, request: httpx.Request, *args: Any, **kwargs: Any) -> str:
        del args, kwargs
        return f"{request.method} {request.url.path}"

    count(Task, "create_local_run", "task runs", lambda task, *_, **__: task.name)
    count(EventsWorker, "send", "events", lambda _, event: event.event)
    request = PrefectClient.request

    async def grouped(self: PrefectClient, method: Any, path: Any, **rest: Any) -> httpx.Response:
        if path == "/events":
            counts["events"].update(event["event"] for event in json.loads(rest["content"]))
        return await request(self, method, path, **rest)

    monkeypatch.setattr(PrefectClient, "request", grouped)
    count(PrefectHttpxAsyncClient, "send", "requests", path)
    count(PrefectHttpxSyncClient, "send", "requests", path)
    return counts


def test_what_a_report_costs_the_server(bench: Bench, endpoint: Endpoint, counts: Counts) -> None:
    """Each step is a task run with two events at most; the server is asked nothing for a report."""
    spent: list[Counts] = []
    seconds = 0.0
    for count in (FEW, MANY):
        topics = [f"Case {n} of {count}" for n in range(count)]
        began = time.monotonic()
        assert bench.run(endpoint, topics).status == "complete"
        seconds = time.monotonic() - began
        spent.append({what: counter.copy() for what, counter in counts.items()})
        for counter in counts.values():
            counter.clear()
    few, many = spent
    reports = MANY - FEW
    more = {what: many[what] - few[what] for what in many}
    assert more["task runs"] == Counter({step: n * reports for step, n in STEPS.items()})
    task_runs = more["task runs"].total()
    assert more["events"].pop("prefect.task-run.Completed") == task_runs
    assert more["events"].pop("prefect.task-run.Running", 0) <= task_runs
    assert more["events"].keys() <= {"prefect.artifact.updated"}
    # Groups of events, progress and log go by time, whatever the number of reports.
    assert many["events"]["prefect.artifact.updated"] <= 3 + seconds / PROGRESS_S
    by_time = (
        ("POST /api/events", GROUP_S),
        ("PATCH /api/artifacts/", PROGRESS_S),
        ("POST /api/logs/", LOGS_S),
    )
    for path, every_s in by_time:
        assert _take(many["requests"], path) <= 3 + seconds / every_s, path
        _take(few["requests"], path)
    assert many["requests"].total() <= few["requests"].total() + 2, more["requests"]


def _take(requests: Counter[str], path: str) -> int:
    """Remove the requests of a path, and return how many they were."""
    return sum(requests.pop(name) for name in list(requests) if name.startswith(path))
