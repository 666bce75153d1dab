"""Groups of events about one flow run's task runs, each group sent by one request.

Here: gathering, sending, and handing over to Prefect's own sender. Not here: which events come
here, see `events`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.events import Event, RelatedResource

PACE_S = 0.25
"""Seconds for which events are gathered."""
MOST = 1000
"""Events in one request."""
LISTENS_S = 10.0
"""Seconds after the server took a group, in which new work waits for it to catch up."""
UNHEARD_S = 30.0
"""Seconds for which a run that is over tries to send its last events, and for which a server may
answer with an error of its own."""
PATIENCE_S = 90.0
"""Seconds for one request; Prefect's server on SQLite may stand still for one minute."""
AWAY = {408, 429, 502, 503, 504}
"""Status codes of a server that is overloaded or away."""
TAKEN = 204
"""Status code of a server that took a group."""

logger = logging.getLogger(__name__)


class NoGroups(Exception):
    """Groups of events cannot be sent here, and the reason is not an error."""


def log_that_prefect_sends(why: BaseException) -> None:
    """Log that Prefect's own sender serves; as a warning where the reason is unexpected."""
    expected = isinstance(why, NoGroups | httpx.HTTPError | asyncio.CancelledError)
    logger.log(
        logging.INFO if expected else logging.WARNING,
        "Prefect's own sender sends the events of task runs, one by one (%s: %s); the end of a"
        " large run takes longer",
        type(why).__name__,
        why,
    )


class GroupSender:
    """Sends the events of one flow run's task runs.

    If anything is not as expected, Prefect's own sender gets the events. Only events that a server
    still refuses long after the run's end are dropped: Prefect's own sender would try each of them
    for seconds, and the process could not end.

    Args:
        client: Client of the server.
        belongs_to: The resources that the flow run and its task runs belong to.
        send_alone: Gives one event to Prefect's own sender.

    Attributes:
        over: Set when no more events will come.
    """

    def __init__(
        self,
        client: PrefectClient,
        belongs_to: Sequence[RelatedResource],
        send_alone: Callable[[Event], None],
    ) -> None:
        self.over = asyncio.Event()
        self._client = client
        self._belongs_to = belongs_to
        self._send_alone = send_alone
        self._thread = threading.get_ident()
        self._gathered: dict[UUID, Event] = {}
        self._group: list[Event] = []
        self._running: dict[str, UUID] = {}
        self._given_up = False
        self._taken = time.monotonic()
        self._room = asyncio.Event()
        self._room.set()

    async def caught_up(self) -> None:
        """Wait while more than a group is unsent and the server takes groups.

        Work that starts faster than the server learns of it ends no sooner: the run is over only
        when all events are sent. Until then the UI is behind, and unsent events take memory.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._taken + LISTENS_S - time.monotonic())):
                await self._room.wait()

    def takes(self, event: Event) -> bool:
        """Gather an event, if it is the state of a task run on this sender's event loop.

        Once a task run is over, the server need not learn that it was running: a short step is
        sent once, with its start and end time.
        """
        if self._given_up or threading.get_ident() != self._thread:
            return False
        run, state = event.resource.id, event.resource.get("prefect.state-type")
        if not state or not run.startswith("prefect.task-run."):
            return False
        known = {resource.id for resource in event.involved_resources}
        event.related += [part for part in self._belongs_to if part.id not in known]
        if unsent := self._gathered.pop(self._running.pop(run, event.id), None):
            event.follows = unsent.follows
        if state == "RUNNING":
            self._running[run] = event.id
        self._gathered[event.id] = event
        if len(self._gathered) >= MOST:
            self._room.clear()
        return True

    def give_up(self, why: BaseException) -> None:
        """Gather no more, and hand all that is gathered to Prefect's own sender."""
        if not self._given_up:
            self._given_up = True
            log_that_prefect_sends(why)
        gathered, self._gathered = [*self._gathered.values()], {}
        self._room.set()
        self._hand_over(gathered)

    async def keep_sending(self) -> None:
        """Send what is gathered, until the run is over and all is sent."""
        try:
            await self._send_groups()
        except BaseException as error:
            group, self._group = self._group, []
            self._hand_over(group)
            self.give_up(error)
            if not isinstance(error, Exception):
                raise

    async def _send_groups(self) -> None:
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
            if not self._group:
                continue
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self._send(self._group)
            except (httpx.TransportError, httpx.HTTPStatusError, TimeoutError, OSError) as error:
                if self._is_odd(error):
                    raise
                if now() - heard >= UNHEARD_S:
                    self._drop(error)
                    return
                await asyncio.sleep(PACE_S)
            else:
                self._group = []
                self._taken = heard = now()

    async def _send(self, group: Sequence[Event]) -> None:
        response = await self._client.request(
            "POST",
            "/events",
            content=f"[{','.join(event.model_dump_json() for event in group)}]",
            headers={"Content-Type": "application/json"},
        )
        if response.status_code != TAKEN:
            raise NoGroups(f"POST /events was answered with {response.status_code}")

    def _is_odd(self, error: Exception) -> bool:
        """Whether Prefect's own sender may do better: the server answers, but takes no group."""
        if not isinstance(error, httpx.HTTPStatusError) or error.response.status_code in AWAY:
            return False
        long = time.monotonic() - self._taken >= UNHEARD_S
        return error.response.status_code < 500 or long

    def _hand_over(self, events: Sequence[Event]) -> None:
        for event in events:
            try:
                self._send_alone(event)
            except Exception:
                logger.warning("the event %s was not sent; the UI lacks it", event, exc_info=True)

    def _drop(self, error: Exception) -> None:
        unsent = len(self._group) + len(self._gathered)
        self._group, self._gathered = [], {}
        logger.warning(
            "the Prefect server took no more events (%s): %d are not sent, and the UI lacks what"
            " they say; reports and answers are complete",
            type(error).__name__,
            unsent,
        )
