"""A run's place in Prefect and in the output: its flow run, its task runner, its directory."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext

from tasks.publishing import BATCH
from tasks.runner import EventLoopTaskRunner
from tasks.storage import Place


def run_context() -> tuple[FlowRun, EventLoopTaskRunner]:
    """The run that calls this, and the runner of its tasks."""
    context = FlowRunContext.get()
    assert context is not None
    assert context.flow_run is not None
    assert isinstance(context.task_runner, EventLoopTaskRunner)
    return context.flow_run, context.task_runner


def of_a_deployment() -> bool:
    """Whether this run was started from a deployment, and nobody waits for what it returns."""
    return run_context()[0].deployment_id is not None


def new_run_id(flow_run: FlowRun, output: Place) -> str:
    """UTC time and a short id of the flow run; a Retry goes on in the same directory.

    A directory that is finished stays as it is: the next try gets a number.
    """
    started = flow_run.expected_start_time or datetime.now(UTC)
    run_id = base = f"{started:%Y%m%dT%H%M%SZ}-{flow_run.id.hex[-8:]}"
    again = 1
    while output.read(f"{run_id}/{BATCH}") is not None:
        again += 1
        run_id = f"{base}-{again}"
    return run_id
