"""Shards as tasks of the flow's own task runner: threads, processes of this machine, Dask.

Not here: the effect of a try's end on the batch (`following`).
"""

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
    """The workers of the flow's own task runner.

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
        """Submit the task; use another runner like it when the runner's processes are gone."""
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
        """Wait until a try has ended, `LOOK_S` seconds at most."""
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
        """Give up a try."""
        one.end, one.said = "crashed", why

    async def end(self, tries: Sequence[Try]) -> None:
        """Cancel tasks that have not begun; others end by themselves, without their order."""
        for one in tries:
            cancel = getattr(cast("Any", self._futures[one]).wrapped_future, "cancel", None)
            if cancel:
                await asyncio.to_thread(cancel)

    def close(self) -> None:
        """End the runners that replaced broken ones."""
        self._replacements.close()


@process_wide
def api_of_this_process() -> Generator[None]:
    """Let processes started meanwhile use the embedded server of this process, if it has one."""
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
    """How a task that is over ended; an unexpected error counts as a crash, to be tried again."""
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
    """How many shards a task runner can run at once; 1 when it does not say."""
    if hasattr(runner, "adapt_kwargs"):  # Dask: one a worker process
        with api_of_this_process():
            nthreads: dict[str, int] = cast("Any", runner).client.nthreads()
        return max(1, len(nthreads))
    return max(1, int(getattr(runner, "_max_workers", 1)))
