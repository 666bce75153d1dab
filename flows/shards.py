"""The flow for one part of a batch of reports, and the task that runs it on a task runner.

Here: carrying out one part. Not here: splitting a batch, see `tasks.shards`.
"""

import asyncio
from typing import Annotated, Any, cast

from prefect import flow, task, unmapped
from pydantic import Field

from prefect_llm_reports.tasks.calls.policies import LOCAL_STEP
from prefect_llm_reports.tasks.contract.reports import BatchResult
from prefect_llm_reports.tasks.contract.requests import BatchRequest
from prefect_llm_reports.tasks.contract.settings import Settings
from prefect_llm_reports.tasks.llm.blocks import saved_endpoints
from prefect_llm_reports.tasks.reports.checking import check_batch
from prefect_llm_reports.tasks.reports.refining import refine_report
from prefect_llm_reports.tasks.runtime.context import outside_of_tasks
from prefect_llm_reports.tasks.runtime.events import grouped_events
from prefect_llm_reports.tasks.runtime.runner import EventLoopTaskRunner, as_is
from prefect_llm_reports.tasks.runtime.states import report_state
from prefect_llm_reports.tasks.shards.run import ShardRun, read_order


@flow(
    name="report-shard",
    flow_run_name="shard {shard} of {run_id}",
    persist_result=False,
    retries=0,
    task_runner=cast(Any, EventLoopTaskRunner()),
)
async def report_shard(
    output: str, run_id: str, shard: Annotated[int, Field(ge=1, le=1001)]
) -> BatchResult:
    """Do one part of a batch; `report-batch` starts this by itself when it is split.

    The batch writes its orders to the run's directory. Keys come from this worker's environment, or
    from the saved endpoint that the batch names.

    Args:
        output: Where the batch's result directories go, reachable from this worker.
        run_id: Name of the batch's run directory.
        shard: Number of the part, from 1.

    Returns:
        The results of the part's topics.

    Raises:
        BadInput: The part has no order, or this worker cannot carry it out; no call was made.
    """
    settings = Settings()
    order = await asyncio.to_thread(read_order, output, run_id, shard)
    request = BatchRequest(
        topics=order.topics,
        max_iterations=order.plan.max_iterations,
        quality_threshold=order.plan.quality_threshold,
        model=order.plan.model,
        output=output,
        endpoint=order.endpoint,
        options=order.plan.options,
    )
    saved = await saved_endpoints(request.saved_endpoints)
    batch = await asyncio.to_thread(check_batch, request, settings, saved)
    async with grouped_events(), ShardRun.opened(batch, settings, order, run_id) as run:
        await run.finish_all(refine_report.map(batch.topics, unmapped(as_is(batch.plan))))
    ending: Any = report_state(await run.close(), deployed=False)
    return ending


@task(name="report-shard", task_run_name="shard {shard}", **LOCAL_STEP)
async def run_shard(output: str, run_id: str, shard: int) -> None:
    """Do one part of a batch in the process that this task runs in."""
    with outside_of_tasks():
        await report_shard(output, run_id, shard)
