"""Events of task runs reach the server all, in order, and in groups."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Generator
from typing import Any

import pytest
from prefect.events import Event, emit_event
from prefect.events.clients import AssertingEventsClient
from prefect.events.worker import EventsWorker

from tasks import telling
from tasks.telling import grouped_events
from tests.services.processes import wait_until


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


@pytest.fixture
def takes(
    sent: Sent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Generator[threading.Event]:
    """Once set, the server takes events, twenty a second; a run waits 0.2 s for that."""
    del sent
    taking = threading.Event()
    emit = AssertingEventsClient.emit  # Prefect emits nothing through clients it does not know

    async def slowly(client: AssertingEventsClient, event: Event) -> None:
        await asyncio.to_thread(taking.wait)
        await asyncio.sleep(0.05)
        await emit(client, event)

    monkeypatch.setattr(AssertingEventsClient, "emit", slowly)
    monkeypatch.setattr(telling, "UNHEARD_S", 0.2)
    logger = logging.getLogger(telling.__name__)  # it does not pass its lines on
    logger.addHandler(caplog.handler)
    yield taking
    logger.removeHandler(caplog.handler)
    taking.set()


def told(count: int) -> None:
    """A run that tells so many events."""

    async def run() -> None:
        with grouped_events():
            for n in range(count):
                tell(f"event {n}")

    asyncio.run(run())


def test_a_server_that_takes_no_events_does_not_keep_the_process(
    sent: Sent, takes: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    """What an ended run has still to tell is dropped; what comes later is told."""
    told(5)
    wait_until(lambda: "took no more events" in caplog.text)
    takes.set()
    tell("after")
    assert sent == [*(f"event {n}" for n in range(5)), "after"]
    *before, last = reached()
    assert last == "after"
    assert before in ([], ["event 0"])  # the first may have been under way
    assert f"took no more events: {5 - len(before)} are not told" in caplog.text


def test_a_slow_server_is_told_everything(
    sent: Sent, takes: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    """As long as it takes events, none is dropped."""
    takes.set()
    told(20)
    assert reached() == sent == [f"event {n}" for n in range(20)]
    assert "not told" not in caplog.text
