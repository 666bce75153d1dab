"""Shards as runs of a deployment, on the workers of a work pool.

Here: the beginning of a try, and the signs of its end. Not here: the effect of its end on the batch
(`following`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from prefect import get_client, get_run_logger
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterParentFlowRunId,
)
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments.flow_runs import arun_deployment
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.states import Cancelled, Cancelling, Crashed

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.runtime.context import flow_run_here
from prefect_llm_reports.tasks.shards.workers import LOOK_S, Try, end_of

PAGE = 200
"""Flow runs that the API returns at once, at most."""


class DeploymentWorkers:
    """Workers of a work pool, each shard a run of a deployment.

    Args:
        deployment: The deployment, as flow name/deployment name.
        output: Where reports go, as a worker finds it.
        run_id: The batch's run.
    """

    shared = True

    def __init__(self, deployment: str, output: str, run_id: str) -> None:
        self._deployment = deployment
        self._output = output
        self._run_id = run_id
        self._parent = flow_run_here()
        self._earlier: list[FlowRun] | None = None
        self._log = get_run_logger()
        self._warned: set[UUID] = set()

    async def begin(self, number: int, digest: str) -> Try:
        """Start a run, or take over one that this flow run started before it was retried."""
        prefix = f"{self._parent.id}-{self._run_id}-{number}-{digest[:16]}-"
        if self._earlier is None:
            self._earlier = await self._children()
        own = [run for run in self._earlier if (run.idempotency_key or "").startswith(prefix)]
        active = [run for run in own if not (run.state and run.state.is_final())]
        if active:
            run = active[0]
            self._log.info("shard %d: %s goes on", number, run.name)
        else:
            run = await arun_deployment(
                self._deployment,
                parameters={"output": self._output, "run_id": self._run_id, "shard": number},
                flow_run_name=f"shard {number} of {self._run_id}",
                timeout=0,
                idempotency_key=f"{prefix}{len(own) + 1}",
            )
            self._earlier.append(run)
        return Try(number, f"flow run {run.name}", run.id.hex)

    async def look(self, tries: Sequence[Try]) -> None:
        """Ask the API for the states of all tries."""
        await asyncio.sleep(LOOK_S)
        by_id = {UUID(one.flow_run): one for one in tries}
        try:
            runs = await self._read(FlowRunFilter(id=FlowRunFilterId(any_=[*by_id])), len(by_id))
        except Exception as error:  # the API is away; look again later
            self._log.warning(
                "the shards' states could not be read, looking again: %s", type(error).__name__
            )
            return
        for run in runs:
            if run.state:
                self._update(by_id[run.id], run, run.state)
        if self._earlier is not None:  # `begin` must not take over a run that is final now
            now = {run.id: run for run in runs}
            self._earlier = [now.get(run.id, run) for run in self._earlier]

    def _update(self, one: Try, run: FlowRun, state: State[Any]) -> None:
        one.name = f"flow run {run.name}"
        if state.is_running() and not one.running:
            one.running, one.since = True, time.monotonic()
        if state.is_final():
            one.end = end_of(state)
            one.said = state.message or ""
        elif not one.running and state.name == "Late" and run.id not in self._warned:
            self._warned.add(run.id)
            self._log.warning(
                "shard %d waits for a worker: start one, or raise the limit of the work pool of %s",
                one.number,
                self._deployment,
            )

    async def lose(self, one: Try, why: str) -> None:
        """Mark the run Crashed, in the UI and for a worker that may still run it."""
        async with get_client() as client:
            await client.set_flow_run_state(UUID(one.flow_run), Crashed(message=why), force=True)
        one.end, one.said = "crashed", why

    async def end(self, tries: Sequence[Try]) -> None:
        """Cancel the runs: at once before they begin, by their workers afterwards."""
        async with get_client() as client:
            for one in tries:
                state = Cancelling() if one.running else Cancelled(message="the batch was stopped")
                try:
                    await client.set_flow_run_state(UUID(one.flow_run), state)
                except PrefectException as error:
                    self._log.warning("%s could not be cancelled: %s", one.name, error)

    async def _children(self) -> list[FlowRun]:
        chosen = FlowRunFilterParentFlowRunId(any_=[self._parent.id])
        return await self._read(FlowRunFilter(parent_flow_run_id=chosen))

    async def _read(self, wanted: FlowRunFilter, most: int = 100_000) -> list[FlowRun]:
        found: list[FlowRun] = []
        async with get_client() as client:
            while len(found) < most:
                page = await client.read_flow_runs(
                    flow_run_filter=wanted, limit=PAGE, offset=len(found)
                )
                found += page
                if len(page) < PAGE:
                    break
        return found


async def check_deployment(name: str) -> None:
    """Make sure that there is a deployment that runs shards.

    Raises:
        BadInput: There is no deployment of this name.
    """
    try:
        async with get_client() as client:
            await client.read_deployment_by_name(name)
    except ObjectNotFound:
        raise BadInput(
            f"shard_deployment {name}: there is no such deployment; deploy report-shard as in"
            " deployments/prefect.yaml, or leave out shards"
        ) from None
