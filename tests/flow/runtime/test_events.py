"""The states of task runs reach the server all, in order, and in groups."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Generator
from typing import Any

import httpx
import pytest
from prefect import flow, task
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import State, TaskRun
from prefect.events import Event, emit_event, related
from prefect.events.worker import EventsWorker
from prefect.exceptions import ObjectNotFound

from prefect_llm_reports.tasks.runtime import event_groups
from prefect_llm_reports.tasks.runtime.events import grouped_events
from prefect_llm_reports.tasks.runtime.runner import EventLoopTaskRunner, ended, run_here
from tests.harness.processes import wait_until

RUN, DONE = "prefect.task-run.Running", "prefect.task-run.Completed"


@task
async def step(number: int) -> int:
    """A task that says which it is."""
    return number


@task
async def long_step(server: Server) -> None:
    """A task that lasts until the server has heard of it."""
    await asyncio.to_thread(wait_until, lambda: server.told)


@task(retries=1, retry_delay_seconds=0.01)
async def second_time_step(failed: list[int]) -> None:
    """A task that fails at first."""
    if not failed:
        failed.append(1)
        raise ValueError("once")


@task
async def loud_step() -> None:
    """A task with an event of its own."""
    emit_event("said", resource={"prefect.resource.id": "test"})


class Server:
    """The events that the Prefect server gets, and its answers.

    Attributes:
        groups: The events of each request.
        alone: The events of Prefect's own sender.
        answers: Called before a request is passed on; may raise.
    """

    def __init__(self) -> None:
        self.groups: list[list[dict[str, Any]]] = []
        self.alone: list[Event] = []
        self.answers: Callable[[], None] = lambda: None

    @property
    def told(self) -> list[dict[str, Any]]:
        """All events in groups."""
        return [event for group in self.groups for event in group]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """The Prefect server, watched."""
    watched = Server()
    request, send = PrefectClient.request, EventsWorker.send

    async def seen(self: PrefectClient, method: Any, path: Any, **rest: Any) -> httpx.Response:
        if path == "/events":
            watched.answers()
            watched.groups.append(json.loads(rest["content"]))
        return await request(self, method, path, **rest)

    def seen_alone(self: EventsWorker, event: Event) -> None:
        if event.event in (RUN, DONE, "said"):
            watched.alone.append(event)
        send(self, event)

    monkeypatch.setattr(PrefectClient, "request", seen)
    monkeypatch.setattr(EventsWorker, "send", seen_alone)
    monkeypatch.setattr(event_groups, "PACE_S", 600)  # full groups, and at the end
    return watched


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Generator[pytest.LogCaptureFixture]:
    """The log of the module, which does not pass its lines on."""
    logger = logging.getLogger(event_groups.__name__)
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


async def steps(count: int) -> list[State[Any]]:
    return await asyncio.gather(*(run_here(step, {"number": n}) for n in range(count)))


@flow
async def stepping(count: int) -> list[State[Any]]:
    """A flow whose task runs' events are sent in groups; their final states."""
    async with grouped_events():
        return await steps(count)


def refused(status: int) -> Callable[[], None]:
    """An answer of the server."""

    def answer() -> None:
        request = httpx.Request("POST", "http://test/events")
        raise httpx.HTTPStatusError(
            "no", request=request, response=httpx.Response(status, request=request)
        )

    return answer


def test_states_arrive_in_groups_and_in_order(server: Server) -> None:
    """Many states make few requests; the server knows all of each quick task run."""
    states = asyncio.run(stepping(30))
    assert len(server.groups) <= 3
    assert not server.alone
    ids = [state.state_details.task_run_id for state in states]
    assert [e["resource"]["prefect.resource.id"] for e in server.told] == [
        f"prefect.task-run.{known}" for known in ids
    ]
    assert {event["event"] for event in server.told} == {DONE}
    assert {event["follows"] for event in server.told} == {None}
    wait_until(lambda: asyncio.run(known(ids)), every=0.2)
    for run, state in zip(asyncio.run(known(ids)), states, strict=True):
        assert run.state_name == "Completed"
        assert run.start_time
        assert run.end_time == state.timestamp


async def known(ids: list[Any]) -> list[TaskRun]:
    """What the server knows of task runs; nothing before it knows all."""
    async with get_client() as client:
        try:
            return [await client.read_task_run(run_id) for run_id in ids]
        except ObjectNotFound:
            return []


def test_what_lasts_is_told_when_it_begins(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task run whose start was reported ends with an event that follows the first."""
    monkeypatch.setattr(event_groups, "PACE_S", 0.05)

    @flow
    async def lasting() -> None:
        async with grouped_events():
            await run_here(long_step, {"server": server})

    asyncio.run(lasting())
    began, ended = server.told
    assert [began["event"], ended["event"]] == [RUN, DONE]
    assert ended["follows"] == began["id"]


def test_a_failed_try_is_told_however_short(server: Server) -> None:
    """Only that something runs is left out once it has gone on."""

    @flow
    async def trying() -> None:
        async with grouped_events():
            await run_here(second_time_step, {"failed": []})

    asyncio.run(trying())
    failed, done = server.told
    assert [failed["event"], done["event"]] == ["prefect.task-run.AwaitingRetry", DONE]
    assert done["follows"] == failed["id"]


def test_an_event_names_what_prefects_own_sender_names(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both senders name the same resources in the same order."""
    handled: list[Event] = []
    handle = EventsWorker.attach_related_resources_from_context

    async def noted(self: EventsWorker, event: Event) -> None:
        await handle(self, event)
        handled.append(event)

    monkeypatch.setattr(EventsWorker, "attach_related_resources_from_context", noted)

    @flow
    async def one(*, grouped: bool) -> None:
        if grouped:
            async with grouped_events():
                await steps(1)
        else:
            await steps(1)

    asyncio.run(one(grouped=False))
    wait_until(lambda: [e.event for e in handled if e.event in (RUN, DONE)] == [RUN, DONE])
    own = [e for e in handled if e.event in (RUN, DONE)]
    asyncio.run(one(grouped=True))
    assert [e["event"] for e in server.told] == [DONE]
    for event, other in zip(server.told, own[1:], strict=True):
        roles = [part["prefect.resource.role"] for part in event["related"]]
        assert roles == [part["prefect.resource.role"] for part in other.related]
        assert roles == ["flow-run", "flow"]
        assert event["resource"].keys() == other.resource.root.keys()


def test_everything_else_goes_to_prefects_own_sender(server: Server) -> None:
    """An event of another kind, of another thread, or after the run's grouping has ended."""

    @flow
    async def mixed() -> None:
        async with grouped_events():
            await run_here(loud_step, {})
            about = {"prefect.resource.id": "prefect.task-run.test"}
            await asyncio.to_thread(emit_event, "said", about)
        await steps(1)

    asyncio.run(mixed())
    assert [event["event"] for event in server.told] == [DONE]
    assert [event.event for event in server.alone] == ["said", "said", RUN, DONE]
    assert "send" not in vars(EventsWorker.instance())


def test_two_runs_in_a_process_tell_each_their_own(server: Server) -> None:
    """Runs that overlap on one event loop do not mix, and may end in any order."""

    @flow
    async def named(out: asyncio.Event, *, first: bool) -> None:
        async with grouped_events():
            await steps(1)
            if not first:
                await out.wait()
                await steps(1)
        out.set()

    async def both() -> None:
        out = asyncio.Event()
        validated = named.with_options(validate_parameters=False)
        await asyncio.gather(validated(out, first=True), validated(out, first=False))

    asyncio.run(both())
    runs: dict[str, int] = {}
    for event in server.told:
        (run,) = (
            part["prefect.resource.id"]
            for part in event["related"]
            if part["prefect.resource.role"] == "flow-run"
        )
        runs[run] = runs.get(run, 0) + 1
    assert sorted(runs.values()) == [1, 2]
    assert not server.alone
    assert "send" not in vars(EventsWorker.instance())


def test_what_fails_inside_is_told_and_leaves_nothing_behind(server: Server) -> None:
    """An error ends the grouping, and the gathered events are sent."""

    @flow
    async def failing() -> None:
        async with grouped_events():
            await steps(1)
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        asyncio.run(failing())
    assert [event["event"] for event in server.told] == [DONE]
    assert "send" not in vars(EventsWorker.instance())


def test_a_group_that_was_not_taken_is_told_again(
    server: Server, monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture
) -> None:
    """A server that is away for a while misses nothing."""
    answers = [refused(503), refused(500)]

    def in_turn() -> None:
        if answers:
            answers.pop()()

    server.answers = in_turn

    @flow
    async def ending() -> None:
        async with grouped_events():
            await steps(3)
            monkeypatch.setattr(event_groups, "PACE_S", 0.05)

    asyncio.run(ending())
    assert not answers
    assert len(server.told) == 3
    assert "not sent" not in said.text


@pytest.mark.parametrize("listens_s", [60.0, 0.0])
def test_topics_begin_as_fast_as_a_listening_server_hears_of_them(
    server: Server, monkeypatch: pytest.MonkeyPatch, listens_s: float
) -> None:
    """A server that is behind is waited for, one that has taken nothing for long is not."""
    monkeypatch.setattr(event_groups, "PACE_S", 0.05)
    monkeypatch.setattr(event_groups, "MOST", 2)
    monkeypatch.setattr(event_groups, "LISTENS_S", listens_s)
    begun: list[int] = []
    begun_when_refused: list[int] = []

    @task
    async def topic(number: int) -> None:
        begun.append(number)

    def behind() -> None:
        enough = len(begun_when_refused) == 5 if listens_s else len(begun) == 12
        if not enough:
            begun_when_refused.append(len(begun))
            refused(503)()

    server.answers = behind

    @flow(task_runner=EventLoopTaskRunner(window=1))
    async def mapping() -> None:
        async with grouped_events():
            for future in topic.map(range(12)):
                await ended(future)

    asyncio.run(mapping())
    assert begun == [*range(12)]
    assert len(server.told) == 12
    if listens_s:  # those of a group that is refused, and those gathered meanwhile
        assert max(begun_when_refused) <= 4


def test_a_server_that_takes_no_groups_is_told_by_prefects_own_sender(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost where there is no such request."""
    monkeypatch.setattr(event_groups, "PACE_S", 0.05)
    server.answers = refused(404)

    def done() -> int:
        return sum(event.event == DONE for event in server.alone)

    @flow
    async def alone() -> None:
        async with grouped_events():
            await steps(2)
            await asyncio.to_thread(wait_until, lambda: done() == 2)
            await steps(1)
            assert [event.event for event in server.alone[-2:]] == [RUN, DONE]

    asyncio.run(alone())
    assert done() == 3


def test_a_run_whose_belongings_are_not_found_is_told_by_prefects_own_sender(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run goes on; the sender finds them out later."""

    async def away(client: PrefectClient) -> None:
        raise httpx.ReadTimeout("busy")

    monkeypatch.setattr(related, "related_resources_from_run_context", away)

    asyncio.run(stepping(1))
    assert not server.groups
    assert [event.event for event in server.alone] == [RUN, DONE]


def test_a_server_that_is_gone_does_not_keep_the_run(
    server: Server, monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture
) -> None:
    """What an ended run has still to tell is dropped, with a warning."""
    monkeypatch.setattr(event_groups, "UNHEARD_S", 0.2)

    def gone() -> None:
        raise httpx.ConnectError("refused")

    server.answers = gone

    @flow
    async def ending() -> None:
        async with grouped_events():
            await steps(2)
            monkeypatch.setattr(event_groups, "PACE_S", 0.05)

    asyncio.run(ending())
    assert not server.told
    assert "took no more events (ConnectError): 2 are not sent" in said.text
