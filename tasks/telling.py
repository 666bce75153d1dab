"""What task runs tell the Prefect server: their events, in groups, while it listens."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import Context, copy_context
from typing import Any

from prefect.events import Event
from prefect.events.worker import EventsWorker

PACE_S = 0.05
"""Seconds for which events are gathered."""
UNHEARD_S = 30.0
"""Seconds in which the server takes an event each, or the rest of an ended run's are dropped."""


@contextmanager
def grouped_events() -> Generator[None]:
    """Hand the events of task runs on this event loop to Prefect's sender in groups.

    One by one, each wakes two threads of the sender, which then compete with the tasks for the
    interpreter; that is a tenth of a batch's CPU.
    """
    worker: Any = EventsWorker.instance()
    if "send" in vars(worker):  # another run in this process does so already
        yield
        return
    loop, here = asyncio.get_running_loop(), threading.get_ident()
    gathered: list[tuple[Context, Event]] = []

    def hand_on() -> None:
        events = gathered.copy()
        gathered.clear()
        for context, event in events:  # the sender reads from the context whose event it is
            context.run(EventsWorker.send, EventsWorker.instance(), event)

    def gather(event: Event) -> None:
        if threading.get_ident() != here:
            EventsWorker.send(worker, event)
            return
        gathered.append((copy_context(), event))
        if len(gathered) == 1:
            loop.call_later(PACE_S, hand_on)

    worker.send = gather
    try:
        yield
    finally:
        del worker.send
        hand_on()
        threading.Thread(target=_drop_unheard, args=(worker,), daemon=True).start()


def _drop_unheard(worker: Any) -> None:
    """Drop what an ended run has still to tell once the server takes hardly any of it.

    Prefect's sender tries each event for 7 s when the server is gone, and the process does not
    end before the last: hours, for a large batch.
    """
    waiting = worker._queue
    with waiting.mutex:
        events = list(waiting.queue)
    left, last = len(events), events[-1] if events else None
    while last:
        time.sleep(UNHEARD_S)
        with waiting.mutex:
            before, left = left, _up_to(last, waiting.queue)
            if not left:
                return
            if before - left >= UNHEARD_S:
                continue
            dropped = [waiting.queue.popleft() for _ in range(left)]
        for event in dropped:
            worker._on_item_dropped(event)
            waiting.task_done()
        logging.getLogger(__name__).warning(
            "the Prefect server took no more events: %d are not told, and the UI lacks what"
            " they say; reports and answers are whole",
            len(dropped),
        )
        return


def _up_to(last: Event, events: Iterable[Event]) -> int:
    """How many events there are up to this one; 0: it is not among them."""
    return next((n for n, event in enumerate(events, 1) if event is last), 0)
