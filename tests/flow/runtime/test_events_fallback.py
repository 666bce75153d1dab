"""Where groups of events are not as expected, Prefect's own sender serves; the UI lacks nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator
from logging.handlers import BufferingHandler
from typing import Any

import httpx
import pytest
from prefect import flow, task
from prefect.client import utilities
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import State, TaskRun
from prefect.events import clients, related, worker
from prefect.events.worker import EventsWorker
from prefect.exceptions import ObjectNotFound

from prefect_llm_reports.tasks.runtime import event_groups
from prefect_llm_reports.tasks.runtime.event_groups import GroupSender
from prefect_llm_reports.tasks.runtime.events import grouped_events
from prefect_llm_reports.tasks.runtime.runner import run_here
from tests.harness.processes import wait_until

Break = Callable[[pytest.MonkeyPatch], None]


def gone(module: Any, name: str) -> Break:
    """A symbol that this version of Prefect does not have."""
    return lambda patch: patch.delattr(module, name)


def raising(name: str, error: type[Exception] = ZeroDivisionError) -> Break:
    """An error of ours, or of something we did not foresee."""

    def fails(*args: Any, **rest: Any) -> Any:
        raise error("not foreseen")

    return lambda patch: patch.setattr(GroupSender, name, fails)


def failing_at_the_third(patch: pytest.MonkeyPatch) -> None:
    """An error of ours when some events are gathered already."""
    takes, taken = GroupSender.takes, []

    def fails(self: GroupSender, event: Any) -> bool:
        taken.append(event)
        if len(taken) == 3:
            raise ZeroDivisionError("not foreseen")
        return takes(self, event)

    patch.setattr(GroupSender, "takes", fails)


def another_client(patch: pytest.MonkeyPatch) -> None:
    """Events go elsewhere than to a server of this kind, to Prefect Cloud for instance."""
    worker = EventsWorker.instance()
    patch.setattr(worker, "client_type", clients.AssertingPassthroughEventsClient)


def without_resources(patch: pytest.MonkeyPatch) -> None:
    """What the flow run belongs to is not found."""

    async def nothing(client: PrefectClient) -> list[Any]:
        return []

    patch.setattr(related, "related_resources_from_run_context", nothing)


def answered(status: int, error: bool = True) -> Break:
    """The server answers a group with this."""

    def breaks(patch: pytest.MonkeyPatch) -> None:
        request = PrefectClient.request
        patch.setattr(event_groups, "UNHEARD_S", 0.1)

        async def odd(self: PrefectClient, method: Any, path: Any, **rest: Any) -> httpx.Response:
            if path != "/events":
                return await request(self, method, path, **rest)
            asked = httpx.Request("POST", "http://test/events")
            response = httpx.Response(status, html="<h1>Sign in</h1>", request=asked)
            if error:
                raise httpx.HTTPStatusError("odd", request=asked, response=response)
            return response

        patch.setattr(PrefectClient, "request", odd)

    return breaks


BREAKS: dict[str, Break] = {
    "no get_or_create_client": gone(utilities, "get_or_create_client"),
    "no related_resources_from_run_context": gone(related, "related_resources_from_run_context"),
    "no EventsWorker": gone(worker, "EventsWorker"),
    "no PrefectEventsClient": gone(clients, "PrefectEventsClient"),
    "another client": another_client,
    "no resources": without_resources,
    "200 from a login page": answered(200, error=False),
    "302": answered(302),
    "404": answered(404),
    "500 for long": answered(500),
    "error at the beginning": raising("__init__"),
    "error at an event": raising("takes"),
    "error at a later event": failing_at_the_third,
    "error while sending": raising("_send"),
    "unknown error while sending": raising("_send", RuntimeError),
    "error in the sending task": raising("_send_groups"),
}


@task
async def step(number: int) -> int:
    """A task that says which it is."""
    return number


@flow
async def stepping(count: int) -> list[State[Any]]:
    """A flow of task runs; their final states."""
    async with grouped_events():
        return await asyncio.gather(*(run_here(step, {"number": n}) for n in range(count)))


async def known(ids: list[Any]) -> list[TaskRun]:
    """What the server knows of task runs that are over; nothing before it knows all."""
    async with get_client() as client:
        try:
            runs = [await client.read_task_run(run_id) for run_id in ids]
        except ObjectNotFound:
            return []
        return runs if all(run.state and run.state.is_final() for run in runs) else []


@pytest.mark.parametrize("what", BREAKS)
def test_the_ui_has_every_task_run(
    what: str, monkeypatch: pytest.MonkeyPatch, log: BufferingHandler
) -> None:
    """The run itself is unharmed, and each task run is there with its state and its times."""
    sent: list[Any] = []
    send = EventsWorker.send

    def noted(self: EventsWorker, event: Any) -> None:
        sent.append(event)
        send(self, event)

    with monkeypatch.context() as patch:
        patch.setattr(EventsWorker, "send", noted)
        BREAKS[what](patch)
        states = asyncio.run(stepping(3))
    assert [state.name for state in states] == ["Completed"] * 3
    ids = [state.state_details.task_run_id for state in states]
    over = [event.resource.id for event in sent if event.event == "prefect.task-run.Completed"]
    assert sorted(over) == sorted(f"prefect.task-run.{run_id}" for run_id in ids)
    wait_until(lambda: asyncio.run(known(ids)), every=0.2)
    for run, state in zip(asyncio.run(known(ids)), states, strict=True):
        assert run.state_name == "Completed"
        assert run.start_time
        assert run.end_time == state.timestamp
    assert "send" not in vars(EventsWorker.instance())
    [said] = [r for r in log.buffer if "Prefect's own sender" in r.getMessage()]
    foreseen = what[0].isdigit() or what in ("another client", "no resources")
    assert said.levelno == (logging.INFO if foreseen else logging.WARNING)


@pytest.fixture
def log() -> Generator[BufferingHandler]:
    """What the module logs; its lines are not passed on."""
    logger, handler = logging.getLogger(event_groups.__name__), BufferingHandler(100)
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_a_sender_that_others_replaced_meanwhile_stays_theirs() -> None:
    """Only our own replacement is taken back."""
    theirs: list[Any] = []

    @flow
    async def replacing() -> None:
        async with grouped_events():
            EventsWorker.instance().send = theirs.append  # type: ignore[method-assign]

    asyncio.run(replacing())
    sender = EventsWorker.instance()
    assert vars(sender)["send"] == theirs.append
    del sender.send
