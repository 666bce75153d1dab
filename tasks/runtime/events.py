"""The sender of task runs' events to the Prefect server: groups, or Prefect's own sender.

Groups are an optimization. When anything is not as expected, Prefect's own sender serves: a symbol
is missing, the server is of another kind, it answers oddly, or there is an error of ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any
from uuid import UUID

from prefect.context import FlowRunContext
from prefect.events import Event

from prefect_llm_reports.tasks.runtime.context import flow_run_here, outside_of_tasks, runner_here
from prefect_llm_reports.tasks.runtime.event_groups import (
    GroupSender,
    NoGroups,
    log_that_prefect_sends,
)
from prefect_llm_reports.tasks.runtime.process_wide import process_wide
from prefect_llm_reports.tasks.runtime.runner import EventLoopTaskRunner

_senders: dict[UUID, GroupSender] = {}
"""By flow run."""


@asynccontextmanager
async def grouped_events() -> AsyncGenerator[None]:
    """Send the events of this flow run's task runs in groups, one request for each.

    Prefect's own sender sends them one by one, in a thread that competes with the tasks for the
    interpreter, and looks up related resources for each. It still sends every other
    event.
    """
    async with AsyncExitStack() as opened:
        try:
            await _begin(opened)
        except Exception as error:  # any error: Prefect's own sender serves
            log_that_prefect_sends(error)
            with suppress(Exception):
                await opened.aclose()
        yield


async def _begin(opened: AsyncExitStack) -> None:
    """Take over the events of this flow run until `opened` is closed.

    Raises:
        Exception: Something is not as expected.
    """
    # Imported here, since a version of Prefect that lacks one of them must not stop a flow.
    from prefect.client.utilities import get_or_create_client
    from prefect.events.clients import PrefectEventsClient
    from prefect.events.related import related_resources_from_run_context
    from prefect.events.worker import EventsWorker

    def send_alone(event: Event) -> None:
        EventsWorker.send(EventsWorker.instance(), event)

    worker = EventsWorker.instance()
    if worker.client_type is not PrefectEventsClient:
        raise NoGroups(f"events go to a {worker.client_type.__name__}")
    client, _ = get_or_create_client()
    await opened.enter_async_context(client)
    with outside_of_tasks():
        belongs_to = await related_resources_from_run_context(client)
    if not belongs_to:
        raise NoGroups("the resources of the flow run are not known")
    sender = GroupSender(client, belongs_to, send_alone)
    opened.push_async_callback(_finish, sender, asyncio.create_task(sender.keep_sending()))
    opened.enter_context(_replaced_sender(worker))
    run, runner = flow_run_here(), runner_here()
    _senders[run.id] = sender
    opened.callback(_senders.pop, run.id)
    if isinstance(runner, EventLoopTaskRunner):
        runner.waits.append(sender.caught_up)


async def _finish(sender: GroupSender, sending: asyncio.Task[None]) -> None:
    sender.over.set()
    await sending


@process_wide
def _replaced_sender(worker: Any) -> Generator[None]:
    """Put `_sort` before Prefect's own sender; keep a sender that others installed since."""
    ours = partial(_sort, worker, worker.send)
    worker.send = ours
    try:
        yield
    finally:
        if worker.send is ours:
            del worker.send


def _sort(worker: Any, prefects: Any, event: Event) -> None:
    """Give an event to the sender of its flow run, else to Prefect's own."""
    sender = None
    try:
        run = FlowRunContext.get()
        sender = _senders.get(run.flow_run.id) if run and run.flow_run else None
        if sender and sender.takes(event):
            return
    except Exception as error:  # an error of ours must cost no event
        if sender:
            sender.give_up(error)
    prefects(event)
