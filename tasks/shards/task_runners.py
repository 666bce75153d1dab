"""Shards on the flow's own task runner: processes of this machine, threads, a Dask cluster."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Generator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack
from typing import Any, cast

from prefect import Task, get_client
from prefect.futures import PrefectFuture
from prefect.settings import get_current_settings
from prefect.task_runners import TaskRunner

from prefect_llm_reports.tasks.contract.errors import ReportsError
from prefect_llm_reports.tasks.runtime.process_wide import process_wide
from prefect_llm_reports.tasks.shards.workers import LOOK_S, End, Try, end_of


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


@process_wide
def api_of_this_process() -> Generator[None]:
    """Let processes that are started meanwhile use this one's embedded server, if it has one."""
    name = "PREFECT_API_URL"
    if get_current_settings().api.url or name in os.environ:
        yield
        return
    with get_client(sync_client=True) as client:
        os.environ[name] = str(client.api_url)
    try:
        yield
    finally:
        os.environ.pop(name, None)


def _is_over(future: Any) -> bool:
    return bool(future.wrapped_future.done())


def _ending(future: PrefectFuture[Any]) -> tuple[End, str]:
    """How a task that is over ended; what nobody foresaw may go better next time."""
    try:
        error = future.result(raise_on_failure=False)
        state = future.state
    except BaseException as lost:
        return "crashed", f"{type(lost).__name__}: {lost}"
    if not state.is_final():
        return "crashed", "the worker was lost"
    end = end_of(state)
    if end == "failed" and not isinstance(error, ReportsError):
        end = "crashed"
    return end, state.message or ""


def offered(runner: TaskRunner[Any]) -> int:
    """How many shards a task runner can run at once, as far as it tells."""
    if hasattr(runner, "adapt_kwargs"):  # Dask: one a worker process
        with api_of_this_process():
            nthreads: dict[str, int] = cast("Any", runner).client.nthreads()
        return max(1, len(nthreads))
    return max(1, int(getattr(runner, "_max_workers", 1)))
