"""A Prefect task runner for async tasks on the flow's own event loop.

Here: running tasks, and how many at once. Not here: which tasks. Prefect's own runners give every
async task a thread and an event loop; here tasks share the flow's loop, and with it one client, one
pace and one budget.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar, cast
from uuid import UUID, uuid4

from prefect import Task
from prefect.client.schemas.objects import RunInput, State
from prefect.futures import PrefectFuture, PrefectFutureList, PrefectTaskRunFuture
from prefect.results import ResultRecord  # pyright: ignore[reportPrivateImportUsage]
from prefect.states import Failed, Pending
from prefect.task_engine import run_task_async
from prefect.task_runners import TaskRunner
from prefect.utilities.annotations import quote
from pydantic import BaseModel

R = TypeVar("R")
T = TypeVar("T")
Refusal = Callable[[dict[str, Any]], Awaitable[Exception | None]]
"""Gives the reason not to start a task run; None: start it."""


class LoopFuture(PrefectTaskRunFuture[R]):
    """A task run on this event loop; awaiting it gives its final state."""

    def __init__(self, task_run_id: UUID, running: asyncio.Task[State[R]]) -> None:
        super().__init__(task_run_id)
        self._running: asyncio.Future[State[R]] = running

    def forget(self) -> None:
        """Drop the result of a run that is over; keep its state."""
        known: asyncio.Future[State[R]] = self._running.get_loop().create_future()
        # Prefect's own copy is a new state, and takes longer than all else at the end of a topic.
        copied = BaseModel.model_copy(self._running.result(), update={"data": None})
        known.set_result(cast("State[R]", copied))
        self._running = known

    @property
    def state(self) -> State[R]:
        """The final state of a run that is over, else Pending."""
        return self._running.result() if self._running.done() else Pending()

    def __await__(self) -> Generator[Any, None, State[R]]:
        return asyncio.shield(self._running).__await__()

    def wait(self, timeout: float | None = None) -> None:
        """Return at once when the run is over; waiting would block the loop that it runs on."""
        del timeout
        if not self._running.done():
            raise RuntimeError(
                "this task run is on the running event loop; await its future instead"
            )

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> R:
        """The result of a run that is over; await the future first."""
        self.wait(timeout)
        result = ending(self._running.result())
        if isinstance(result, BaseException) and raise_on_failure:
            raise result
        return cast("R", result)

    def add_done_callback(self, fn: Callable[[PrefectFuture[R]], None]) -> None:
        """Call a function with this future when the run is over."""
        self._running.add_done_callback(lambda _: fn(self))


class EventLoopTaskRunner(TaskRunner[LoopFuture[Any]]):
    """Runs submitted tasks on the flow's event loop.

    A mapped task starts its runs in order, at most `window` at the same time, so that early items
    end before late ones start. Submitted tasks start at once, after the futures among their
    arguments.

    Args:
        window: Runs of one mapped task at the same time.

    Attributes:
        waits: Functions that each run of a mapped task awaits before it starts.
        refusals: Functions that get the parameters of each run of a mapped task before it starts;
            where one returns an error, no task run is made, and that is its outcome.
    """

    def __init__(self, window: int = 10) -> None:
        super().__init__()
        self.window = window
        self.waits: list[Callable[[], Awaitable[None]]] = []
        self.refusals: list[Refusal] = []
        self._refusal: State[Any] | None = None
        self._gate: asyncio.Semaphore | None = None
        self._runs: set[asyncio.Task[Any]] = set()

    def duplicate(self) -> EventLoopTaskRunner:
        """A runner of the same kind that is not started."""
        return EventLoopTaskRunner(self.window)

    def map(
        self,
        task: Task[Any, Any],
        parameters: dict[str, Any],
        wait_for: Iterable[PrefectFuture[Any]] | None = None,
    ) -> PrefectFutureList[LoopFuture[Any]]:
        """Submit a run for each item, `window` of them at the same time."""
        self._gate = asyncio.Semaphore(0)
        self._keep(_open(self._gate, self.window))
        try:
            return super().map(task, parameters, wait_for)
        finally:
            self._gate = None

    def submit(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        task: Task[Any, Any],
        parameters: dict[str, Any],
        wait_for: Iterable[PrefectFuture[Any]] | None = None,
        dependencies: dict[str, set[RunInput]] | None = None,
    ) -> LoopFuture[Any]:
        """Start a task run on the running event loop."""
        task_run_id = uuid4()
        run = self._run(task, task_run_id, parameters, wait_for, dependencies, self._gate)
        return LoopFuture(task_run_id, self._keep(run))

    def _keep(self, run: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a coroutine, and keep a reference to it until its end."""
        running = asyncio.get_running_loop().create_task(run)
        self._runs.add(running)
        running.add_done_callback(self._runs.discard)
        return running

    async def _run(
        self,
        task: Task[Any, Any],
        task_run_id: UUID,
        parameters: dict[str, Any],
        wait_for: Iterable[PrefectFuture[Any]] | None,
        dependencies: dict[str, set[RunInput]] | None,
        gate: asyncio.Semaphore | None,
    ) -> State[Any]:
        for upstream in (*parameters.values(), *(wait_for or ())):
            if isinstance(upstream, LoopFuture):
                await upstream
        async with gate or nullcontext():
            for wait in self.waits if gate else ():
                await wait()
            for refusal in self.refusals if gate else ():
                if why := await refusal(parameters):
                    return self._refused(why)
            return await run_here(task, parameters, task_run_id, wait_for, dependencies)

    def _refused(self, why: Exception) -> State[Any]:
        """The state of a run that is not begun; one for all that have the same reason."""
        if self._refusal is None or self._refusal.data is not why:
            self._refusal = Failed(message=str(why), data=why)
        return self._refusal


class BackPressure:
    """Back-pressure: those who add never wait; those who start new work wait for room.

    Args:
        most: Items at the same time above which new work waits.
    """

    def __init__(self, most: int) -> None:
        self._left = most
        self._free = asyncio.Event()
        self._free.set()

    @contextmanager
    def taken(self) -> Generator[None]:
        """Count one more item meanwhile."""
        self._move(-1)
        try:
            yield
        finally:
            self._move(1)

    def _move(self, by: int) -> None:
        self._left += by
        if self._left > 0:
            self._free.set()
        else:
            self._free.clear()

    async def room(self) -> None:
        """Wait until there is room for new work."""
        await self._free.wait()


def under_way(items: int, calls: int) -> int:
    """The number of items to work on at the same time, so that `calls` calls at once are busy.

    It is a little more than `calls`, as some items are written while others ask. Waves have one
    size, because a last wave of a few items would take as long as a full one.

    Args:
        items: Items in all, each a chain of calls.
        calls: Calls that may be made at once.
    """
    waves = max(1, items // (calls * 9 // 8 + 1))
    return max(1, math.ceil(items / waves))


async def _open(gate: asyncio.Semaphore, window: int) -> None:
    """Let runs start one after the other, so that the first ask while the last ones start."""
    for _ in range(window):
        gate.release()
        await asyncio.sleep(0)


async def run_here(
    task: Task[Any, Any],
    parameters: dict[str, Any],
    task_run_id: UUID | None = None,
    wait_for: Iterable[PrefectFuture[Any]] | None = None,
    dependencies: dict[str, set[RunInput]] | None = None,
) -> State[Any]:
    """Run a task on this event loop, and return its final state.

    The server first learns of a task run when it runs. Events of runs that are pending for a
    millisecond would be a third of all events, and of the server's work.
    """
    task_run = await task.create_local_run(
        id=task_run_id,
        parameters=parameters,
        wait_for=wait_for,
        extra_task_inputs=dependencies,
    )
    state = await run_task_async(
        task, task_run=task_run, parameters=parameters, wait_for=wait_for, return_type="state"
    )
    return cast("State[Any]", state)


def ending(state: State[Any]) -> Any:
    """The result or the exception of a run that is over."""
    found: Any = state.data
    if isinstance(found, ResultRecord):
        found = cast("ResultRecord[Any]", found).result
    if state.is_completed() or isinstance(found, BaseException):
        return found
    return RuntimeError(f"the run did not finish: {state.message}")


async def ended(future: PrefectFuture[Any]) -> Any:
    """Wait for a future of this runner; return its result or raise its exception."""
    assert isinstance(future, LoopFuture)
    result = ending(await future)
    if isinstance(result, BaseException):
        raise result
    return result


def forget(future: PrefectFuture[Any]) -> None:
    """Drop the result of a run that is over: in a batch of thousands they add up."""
    assert isinstance(future, LoopFuture)
    future.forget()


def as_is(value: T) -> T:
    """Give a value to a task so that Prefect does not search it for futures."""
    return cast("T", quote(value))
