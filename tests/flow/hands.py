"""A worker of shards in the test's own event loop, and what it can be made to do wrong."""

from __future__ import annotations

import asyncio
import contextvars
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

from flows.shards import report_shard

DEPLOYMENT = "report-shard/hands"


class Hands:
    """Takes the runs of report-shard that are due and runs them, as a worker would.

    Attributes:
        taken: Every run that was taken, in order.
        refuses: Says of a run that its process cannot be started: it crashes at once.
        dies: Says of a run under way that its process is killed now; asked again and again.
    """

    def __init__(self) -> None:
        self.taken: list[FlowRun] = []
        self.refuses: Callable[[FlowRun], bool] = lambda _: False
        self.dies: Callable[[FlowRun], bool] = lambda _: False
        self._running: dict[UUID, asyncio.Task[Any]] = {}

    async def __aenter__(self) -> Hands:
        made = await report_shard.to_deployment("hands")
        self._deployment: UUID = await cast("Any", made.aapply())
        self._working = asyncio.create_task(self._work(), context=contextvars.copy_context())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in (self._working, *self._running.values()):
            task.cancel()
        await asyncio.gather(self._working, *self._running.values(), return_exceptions=True)

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
                    if run.id in known:
                        continue
                    known.add(run.id)
                    self.taken.append(run)
                    if self.refuses(run):
                        await client.set_flow_run_state(run.id, Crashed(message="no such image"))
                        continue
                    flow: Any = report_shard
                    work: Any = run_flow(flow, flow_run=run, return_type="state")
                    self._running[run.id] = asyncio.create_task(work)
                for run in self.taken:
                    task = self._running.get(run.id)
                    if task and not task.done() and self.dies(run):
                        await self._kill(client, run, task)
                await asyncio.sleep(0.05)

    async def _kill(self, client: Any, run: FlowRun, task: asyncio.Task[Any]) -> None:
        """What is left of a killed process: nothing but what it had written."""
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await client.set_flow_run_state(run.id, Crashed(message="killed"), force=True)
