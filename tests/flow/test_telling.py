"""Events of task runs reach the server all, in order, and in groups."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

import pytest
from prefect.events import Event, emit_event
from prefect.events.clients import AssertingEventsClient
from prefect.events.worker import EventsWorker

from tasks.telling import grouped_events


class Sent(list[str]):
    """Names of the events that were handed to the sender so far."""

    def __init__(self) -> None:
        super().__init__()
        self.some = asyncio.Event()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Generator[Sent]:
    """Names of the events that were handed to the sender so far."""
    EventsWorker.set_client_override(AssertingEventsClient)
    found = Sent()
    send = EventsWorker.send

    def noted(worker: EventsWorker, event: Event) -> None:
        found.append(event.event)
        found.some.set()
        send(worker, event)

    monkeypatch.setattr(EventsWorker, "send", noted)
    yield found
    EventsWorker.set_client_override(None)


def tell(name: str) -> None:
    emit_event(name, resource={"prefect.resource.id": "test"})


def reached() -> list[str]:
    """Names of the events that the client was given."""
    EventsWorker.instance().wait_until_empty()
    client = AssertingEventsClient.last
    assert client is not None
    return [event.event for event in client.pop_events()]


def test_events_arrive_in_groups_and_in_order(sent: Sent) -> None:
    """What is told at once is handed on at once a little later, the rest at the end."""

    async def run() -> None:
        with grouped_events():
            for n in range(20):
                tell(f"event {n}")
            assert sent == []
            await sent.some.wait()
            assert len(sent) == 20
            tell("last")
        assert sent[-1] == "last"
        tell("after")
        assert sent[-1] == "after"

    asyncio.run(run())
    names = [f"event {n}" for n in range(20)] + ["last", "after"]
    assert sent == names
    assert reached() == names


def test_events_of_other_threads_and_runs_are_told_too(sent: Sent) -> None:
    """A thread's event goes at once; a second run in the process may end after the first."""

    async def run(name: str, first_out: asyncio.Event, *, first: bool) -> None:
        with grouped_events():
            await asyncio.to_thread(tell, f"{name} thread")
            tell(f"{name} loop")
            if not first:
                await first_out.wait()
                tell(f"{name} alone")
        first_out.set()

    async def both() -> None:
        out = asyncio.Event()
        await asyncio.gather(run("a", out, first=True), run("b", out, first=False))

    asyncio.run(both())
    assert sorted(sent) == ["a loop", "a thread", "b alone", "b loop", "b thread"]
    assert sorted(reached()) == sorted(sent)


def test_what_fails_inside_leaves_nothing_behind(sent: Sent) -> None:
    """An error ends the grouping, and what was gathered is told."""

    async def run() -> Any:
        with grouped_events():
            tell("before")
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        asyncio.run(run())
    assert sent == ["before"]
    assert "send" not in vars(EventsWorker.instance())
    assert reached() == ["before"]
