"""What task runs tell the Prefect server: their events, handed on in groups."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import Context, copy_context
from typing import Any

from prefect.events import Event
from prefect.events.worker import EventsWorker

PACE_S = 0.05
"""Seconds for which events are gathered."""


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
