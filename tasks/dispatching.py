"""Who runs the shards of a batch: a deployment's workers, or the flow's own task runner.

Both start tries and say how they ended; what that means for the batch is decided in `sharding`.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Generator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, cast
from uuid import UUID

from prefect import Task, get_client, get_run_logger
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterParentFlowRunId,
)
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments.flow_runs import arun_deployment
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.futures import PrefectFuture
from prefect.settings import get_current_settings
from prefect.states import Cancelled, Cancelling, Crashed
from prefect.task_runners import TaskRunner

from tasks.errors import BadInput
from tasks.runs import flow_run_here

End = Literal["completed", "failed", "crashed", "cancelled"]
LOOK_S = 2.0
"""Seconds between two looks at what has become of the tries."""
PAGE = 200
"""Flow runs that the API returns at once, at most."""
WAITING_S = 60.0
"""Seconds without a free worker after which that is said."""


@dataclass(eq=False)
class Try:
    """One try at one shard.

    Attributes:
        number: Which shard.
        name: What an operator finds it by.
        flow_run: Hex id of its flow run; empty: not known yet.
        running: It has begun, as far as is known.
        end: How it ended; None: it has not.
        said: What was said of its end.
    """

    number: int
    name: str
    flow_run: str = ""
    running: bool = False
    end: End | None = None
    said: str = ""
    since: float = field(default_factory=time.monotonic)


class Workers(Protocol):
    """Those who run shards."""

    shared: bool
    """They may be on other machines, and die without anybody here noticing."""

    async def begin(self, number: int, digest: str) -> Try:
        """Start a try at a shard, or find one that is still under way."""
        ...

    async def look(self, tries: Sequence[Try]) -> None:
        """Wait a little, then bring the tries up to date."""
        ...

    async def lose(self, one: Try, why: str) -> None:
        """Give up a try that shows no sign of life."""
        ...

    async def end(self, tries: Sequence[Try]) -> None:
        """Have no try begin any more, and those under way cancelled."""
        ...


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
        self._told: set[UUID] = set()

    async def begin(self, number: int, digest: str) -> Try:
        """Start a run, or take over one that an earlier try of this flow run has started."""
        prefix = f"{self._parent.id}-{self._run_id}-{number}-{digest[:16]}-"
        if self._earlier is None:
            self._earlier = await self._children()
        own = [run for run in self._earlier if (run.idempotency_key or "").startswith(prefix)]
        active = [run for run in own if not (run.state and run.state.is_final())]
        if active:
            run = active[0]
            self._log.info("shard %d: goes on in %s", number, run.name)
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
        except Exception as error:  # the API is away: the next look will tell
            self._log.warning("the shards' states are not known: %s", type(error).__name__)
            return
        for run in runs:
            if run.state:
                self._update(by_id[run.id], run, run.state)
        if self._earlier is not None:  # what is final now must be known as such by `begin`
            now = {run.id: run for run in runs}
            self._earlier = [now.get(run.id, run) for run in self._earlier]

    def _update(self, one: Try, run: FlowRun, state: State[Any]) -> None:
        one.name = f"flow run {run.name}"
        if state.is_running() and not one.running:
            one.running, one.since = True, time.monotonic()
        if state.is_final():
            one.end = _end_of(state)
            one.said = state.message or ""
        elif not one.running and state.name == "Late" and run.id not in self._told:
            self._told.add(run.id)
            self._log.warning(
                "shard %d waits for a worker: start one, or raise the limit of the work pool of %s",
                one.number,
                self._deployment,
            )

    async def lose(self, one: Try, why: str) -> None:
        """Mark the run Crashed, for people and for whoever may still run it."""
        async with get_client() as client:
            await client.set_flow_run_state(UUID(one.flow_run), Crashed(message=why), force=True)
        one.end, one.said = "crashed", why

    async def end(self, tries: Sequence[Try]) -> None:
        """Cancel the runs: those that have not begun at once, others by their workers."""
        async with get_client() as client:
            for one in tries:
                state = Cancelling() if one.running else Cancelled(message="the batch was stopped")
                try:
                    await client.set_flow_run_state(UUID(one.flow_run), state)
                except PrefectException as error:
                    self._log.warning("%s is not cancelled: %s", one.name, error)

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


class RunnerWorkers:
    """The flow's own task runner: processes of this machine, a Dask cluster.

    Args:
        step: The task that runs a shard.
        runner: Where it is submitted.
        output: Where reports go, as a worker finds it.
        run_id: The batch's run.
    """

    shared = False

    def __init__(
        self, step: Task[..., Any], runner: TaskRunner[Any], output: str, run_id: str
    ) -> None:
        self._step = step
        self._runner = runner
        self._given = {"output": output, "run_id": run_id}
        self._futures: dict[Try, PrefectFuture[Any]] = {}
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._replacements = ExitStack()

    async def begin(self, number: int, digest: str) -> Try:
        """Submit the task; where the runner's processes are gone, to another runner like it."""
        del digest
        parameters = {**self._given, "shard": number}
        try:
            future = await asyncio.to_thread(self._submit, parameters)
        except BrokenExecutor:
            self._runner = self._replacements.enter_context(self._runner.duplicate())
            future = await asyncio.to_thread(self._submit, parameters)
        one = Try(number, f"task run {future.task_run_id}", running=True)
        self._futures[one] = future
        future.add_done_callback(self._note_end)
        return one

    def _note_end(self, future: PrefectFuture[Any]) -> None:
        del future
        self._loop.call_soon_threadsafe(self._ended.set)

    def _submit(self, parameters: dict[str, Any]) -> PrefectFuture[Any]:
        with api_of_this_process():
            return self._runner.submit(self._step, parameters)

    async def look(self, tries: Sequence[Try]) -> None:
        """Wait until a try has ended, a little at most."""
        self._ended.clear()
        if not any(_is_over(self._futures[one]) for one in tries):
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._ended.wait()
            except TimeoutError:
                return
        for one in tries:
            future = self._futures[one]
            if _is_over(future):
                one.end, one.said = await asyncio.to_thread(_ending, future)

    async def lose(self, one: Try, why: str) -> None:
        """Give up on a try; the runner itself knows better whether it is under way."""
        one.end, one.said = "crashed", why

    async def end(self, tries: Sequence[Try]) -> None:
        """Take back what has not begun; what is under way ends by itself, without its order."""
        for one in tries:
            cancel = getattr(cast("Any", self._futures[one]).wrapped_future, "cancel", None)
            if cancel:
                await asyncio.to_thread(cancel)

    def close(self) -> None:
        """End the runners that took the place of broken ones."""
        self._replacements.close()


@contextmanager
def api_of_this_process() -> Generator[None]:
    """Have processes that are started meanwhile use this one's embedded server, if it has one."""
    name = "PREFECT_API_URL"
    if get_current_settings().api.url or name in os.environ:
        yield
        return
    with get_client(sync_client=True) as client:
        os.environ[name] = str(client.api_url)
    try:
        yield
    finally:
        del os.environ[name]


def _is_over(future: Any) -> bool:
    return bool(future.wrapped_future.done())


def _ending(future: PrefectFuture[Any]) -> tuple[End, str]:
    """How a task that is over ended; whatever is raised here, its worker did not live to tell."""
    try:
        future.wait()
        state = future.state
    except BaseException as error:
        return "crashed", f"{type(error).__name__}: {error}"
    if not state.is_final():
        return "crashed", "the worker was lost"
    return _end_of(state), state.message or ""


def _end_of(state: State[Any]) -> End:
    if state.is_completed():
        return "completed"
    if state.is_cancelled():
        return "cancelled"
    return "crashed" if state.is_crashed() else "failed"


async def check_deployment(name: str) -> None:
    """Make sure that there is a deployment that runs shards.

    Raises:
        BadInput: There is none of this name.
    """
    try:
        async with get_client() as client:
            await client.read_deployment_by_name(name)
    except ObjectNotFound:
        raise BadInput(
            f"shard_deployment {name}: there is no such deployment; deploy report-shard, as"
            " deployments/prefect.yaml does, or leave shards out"
        ) from None


def offered(runner: TaskRunner[Any]) -> int:
    """How many shards a task runner can run at once, as far as it tells."""
    if hasattr(runner, "adapt_kwargs"):  # Dask: one a worker process
        with api_of_this_process():
            nthreads: dict[str, int] = cast("Any", runner).client.nthreads()
        return max(1, len(nthreads))
    return max(1, int(getattr(runner, "_max_workers", 1)))
