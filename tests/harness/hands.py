"""A worker of shards in the test's own process, and what it can be made to do wrong."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from typing import Any, cast
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.flow_engine import run_flow
from prefect.states import Crashed

from prefect_llm_reports.flows.shards import report_shard

DEPLOYMENT = "report-shard/hands"


class _Engine:
    """One flow run in a thread with an event loop of its own, which no signal reaches."""

    def __init__(self, run: FlowRun) -> None:
        self._run = run
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self.thread = threading.Thread(
            target=contextvars.copy_context().run, args=(self._begin,), daemon=True
        )
        self.thread.start()

    def _begin(self) -> None:
        async def work() -> None:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            flow: Any = report_shard
            running: Any = run_flow(flow, flow_run=self._run, return_type="state")
            await running

        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(work())

    async def kill(self) -> None:
        """End it; what is left of it is what it had written."""
        if self._loop and self._task and self.thread.is_alive():
            with contextlib.suppress(RuntimeError):  # its loop has just closed
                self._loop.call_soon_threadsafe(self._task.cancel)
        await asyncio.to_thread(self.thread.join)


class Hands:
    """Takes the runs of report-shard that are due and runs them, as a worker would.

    Attributes:
        taken: Every run that was taken, in order.
        refuses: Says of a run that its process cannot be started: it crashes at once.
        dies: Says of a run under way that its process is killed now; asked again and again.

    Args:
        slots: Runs at work at once.
    """

    def __init__(self, slots: int = 100) -> None:
        self._slots = slots
        self.taken: list[FlowRun] = []
        self.refuses: Callable[[FlowRun], bool] = lambda _: False
        self.dies: Callable[[FlowRun], bool] = lambda _: False
        self._running: dict[UUID, _Engine] = {}

    async def __aenter__(self) -> Hands:
        made = await report_shard.to_deployment("hands")
        self._deployment: UUID = await cast("Any", made.aapply())
        self._working = asyncio.create_task(self._work(), context=contextvars.copy_context())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._working.cancel()
        await asyncio.gather(self._working, return_exceptions=True)
        for engine in self._running.values():
            await engine.kill()

    def shards(self) -> list[int]:
        """The number of every shard that was taken, in order."""
        return [run.parameters["shard"] for run in self.taken]

    async def _work(self) -> None:
        due = FlowRunFilter(
            deployment_id=FlowRunFilterDeploymentId(any_=[self._deployment]),
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
        )
        known: set[UUID] = set()
        async with get_client() as client:
            while True:
                for run in await client.read_flow_runs(flow_run_filter=due):
                    at_work = sum(e.thread.is_alive() for e in self._running.values())
                    if run.id in known or at_work >= self._slots:
                        continue
                    known.add(run.id)
                    self.taken.append(run)
                    if self.refuses(run):
                        await client.set_flow_run_state(run.id, Crashed(message="no such image"))
                        continue
                    self._running[run.id] = _Engine(run)
                for run in self.taken:
                    engine = self._running.get(run.id)
                    if engine and engine.thread.is_alive() and self.dies(run):
                        await engine.kill()
                        dead = Crashed(message="killed")
                        await client.set_flow_run_state(run.id, dead, force=True)
                await asyncio.sleep(0.05)
