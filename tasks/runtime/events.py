"""What task runs tell the Prefect server: their events, in groups, while it listens."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import islice
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.utilities import get_or_create_client
from prefect.context import FlowRunContext
from prefect.events import Event, RelatedResource
from prefect.events.clients import PrefectEventsClient
from prefect.events.related import related_resources_from_run_context
from prefect.events.worker import EventsWorker

from prefect_llm_reports.tasks.runtime.context import flow_run_here, outside_of_tasks, runner_here
from prefect_llm_reports.tasks.runtime.runner import EventLoopTaskRunner

PACE_S = 0.25
"""Seconds for which events are gathered."""
MOST = 1000
"""Events in one request."""
LISTENS_S = 10.0
"""Seconds since the last group was taken, in which a busy server is waited for."""
UNHEARD_S = 30.0
"""Seconds in which the server takes a group, or what an ended run has still to tell is dropped."""
PATIENCE_S = 90.0
"""Seconds for one request; Prefect's server on SQLite may stand still for one minute."""

logger = logging.getLogger(__name__)

_tellers: dict[UUID, _Teller] = {}
"""By flow run."""


@asynccontextmanager
async def grouped_events() -> AsyncGenerator[None]:
    """Tell the server of this flow run's task runs by one request for a group of events.

    Prefect's own sender takes them one by one, in a thread that competes with the tasks for the
    interpreter; for each it finds out anew what the flow run belongs to. It still tells whatever
    is no state of a task run on this event loop, and all where groups are not taken.
    """
    run = flow_run_here()
    worker: Any = EventsWorker.instance()
    async with get_or_create_client()[0] as client:
        belongs_to = await _what_this_run_belongs_to(client)
        if not belongs_to or not issubclass(worker.client_type, PrefectEventsClient):
            yield
            return
        teller = _Teller(client, belongs_to)
        _tellers[run.id] = teller
        runner = runner_here()
        if isinstance(runner, EventLoopTaskRunner):
            runner.waits.append(teller.caught_up)
        worker.send = partial(_sort, worker)
        telling = asyncio.create_task(teller.keep_telling())
        try:
            yield
        finally:
            del _tellers[run.id]
            if not _tellers:
                del worker.send
            teller.over.set()
            await telling


async def _what_this_run_belongs_to(client: PrefectClient) -> list[RelatedResource]:
    """What each event of this flow run names beside its own resource; empty: not to be found."""
    try:
        with outside_of_tasks():
            return await related_resources_from_run_context(client)
    except httpx.HTTPError as error:
        logger.debug("events are told one by one: %s", error)
        return []


def _sort(worker: EventsWorker, event: Event) -> None:
    """Give an event to the teller of its flow run, or to Prefect's own sender."""
    run = FlowRunContext.get()
    teller = _tellers.get(run.flow_run.id) if run and run.flow_run else None
    if teller is None or not teller.takes(event):
        EventsWorker.send(worker, event)


class _Teller:
    """Tells the server of the task runs of one flow run.

    Args:
        client: Of the server.
        belongs_to: What the flow run belongs to, and so its task runs do.

    Attributes:
        over: Set when there will be no more to tell.
    """

    def __init__(self, client: PrefectClient, belongs_to: Sequence[RelatedResource]) -> None:
        self.over = asyncio.Event()
        self._client = client
        self._belongs_to = belongs_to
        self._thread = threading.get_ident()
        self._gathered: dict[UUID, Event] = {}
        self._group: list[Event] = []
        self._running: dict[str, UUID] = {}
        self._refused = False
        self._taken = time.monotonic()
        self._room = asyncio.Event()
        self._room.set()

    async def caught_up(self) -> None:
        """Wait while there is more than a group to tell, and groups are taken.

        What begins faster than the server can hear of it ends no sooner: all must be told before
        the run is over, and until then the UI is behind and what is untold takes memory.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._taken + LISTENS_S - time.monotonic())):
                await self._room.wait()

    def takes(self, event: Event) -> bool:
        """Gather an event, if it is the state of a task run on this teller's event loop.

        That a task run is running need not be told any more once it has gone on: of a step that
        began and ended while events were gathered the server hears once, with both times.
        """
        run, state = event.resource.id, event.resource.get("prefect.state-type")
        of_a_task = state and run.startswith("prefect.task-run.")
        if not of_a_task or self._refused or threading.get_ident() != self._thread:
            return False
        known = {resource.id for resource in event.involved_resources}
        event.related += [part for part in self._belongs_to if part.id not in known]
        if untold := self._gathered.pop(self._running.pop(run, event.id), None):
            event.follows = untold.follows
        if state == "RUNNING":
            self._running[run] = event.id
        self._gathered[event.id] = event
        if len(self._gathered) >= MOST:
            self._room.clear()
        return True

    async def keep_telling(self) -> None:
        """Tell what is gathered, until the run is over and all is told, or nobody listens."""
        now, heard = time.monotonic, time.monotonic()
        while self._group or self._gathered or not self.over.is_set():
            if len(self._gathered) < MOST:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.over.wait(), PACE_S)
            if not self.over.is_set():
                heard = now()
            for known in [*islice(self._gathered, MOST - len(self._group))]:
                self._group.append(self._gathered.pop(known))
            if len(self._gathered) < MOST:
                self._room.set()
            try:
                if self._group:
                    async with asyncio.timeout(PATIENCE_S):
                        await self._tell(self._group)
                    self._group = []
                    self._taken = heard = now()
            except Exception as error:  # whatever it is, it never harms the run
                if now() - heard >= UNHEARD_S:
                    self._drop(error)
                    return
                await asyncio.sleep(PACE_S)

    async def _tell(self, group: Sequence[Event]) -> None:
        """Tell a group of events; where groups are not taken, Prefect's sender tells them."""
        try:
            await self._client.request(
                "POST",
                "/events",
                content=f"[{','.join(event.model_dump_json() for event in group)}]",
                headers={"Content-Type": "application/json"},
            )
        except httpx.HTTPStatusError as error:
            if error.response.status_code >= 500 or error.response.status_code in {408, 429}:
                raise
            logger.debug("events are told one by one: %s", error)
            self._refused = True
            for event in group:
                EventsWorker.send(EventsWorker.instance(), event)

    def _drop(self, error: Exception) -> None:
        logger.warning(
            "the Prefect server took no more events (%s): %d are not told, and the UI lacks what"
            " they say; reports and answers are whole",
            type(error).__name__,
            len(self._group) + len(self._gathered),
        )
