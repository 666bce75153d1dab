"""One wish to end a run may arrive as two signals; only a second wish ends it at once."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from logging.handlers import BufferingHandler
from typing import Any

import pytest
from prefect.utilities import engine
from prefect.utilities.engine import can_ack_control_intent, capture_sigterm

from prefect_llm_reports.tasks.contract.errors import Interrupted
from prefect_llm_reports.tasks.runtime import signals
from prefect_llm_reports.tasks.runtime.signals import Interruption
from tests.harness.pace import PATIENCE_S


async def until(true: Callable[[], Any]) -> None:
    while not true():  # noqa: ASYNC110 - what others do to this process's handlers sets no event
        await asyncio.sleep(0.001)


async def signalled(*numbers: int) -> tuple[list[str], int]:
    """Send this process signals while a run waits; why it stopped, and the first signal."""
    stopped: list[str] = []
    told: list[int] = []

    def stop(why: Interrupted) -> None:
        stopped.append(str(why))

    interruption = Interruption(stop, told.append)
    with interruption.heeded():
        for number in numbers:
            os.kill(os.getpid(), number)
            for _ in range(3):  # turns of the loop, in which it takes the signal in
                await asyncio.sleep(0)
    assert told == [interruption.number]
    return stopped, interruption.number


@pytest.mark.parametrize("numbers", [(signal.SIGINT, signal.SIGTERM), (signal.SIGTERM,)])
def test_ctrl_c_and_the_parents_sigterm_are_one_wish(numbers: tuple[int, ...]) -> None:
    """Ctrl-C reaches a served run twice, from terminal and runner; calls under way still end."""
    stopped, first = asyncio.run(signalled(*numbers))
    assert first == numbers[0]
    assert stopped == [f"interrupted by {numbers[0].name}; run the same again to continue"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_same_signal_again_ends_the_run_at_once(number: int) -> None:
    """A second Ctrl-C is meant."""
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(signalled(number, number))


@pytest.mark.parametrize("flow_has_taken_it", [True, False])
def test_a_cancel_is_acknowledged_where_prefect_would_acknowledge_it(
    flow_has_taken_it: bool,
) -> None:
    """Else Prefect's worker holds the process that it ends for crashed, and starts it again."""

    async def heeding() -> bool:
        with Interruption(lambda why: None, None).heeded():
            return can_ack_control_intent()

    before = signal.getsignal(signal.SIGTERM)
    if flow_has_taken_it:
        with capture_sigterm():
            assert asyncio.run(heeding())
            assert can_ack_control_intent()
    else:
        assert not asyncio.run(heeding())
    assert signal.getsignal(signal.SIGTERM) is before
    assert not can_ack_control_intent()


@pytest.mark.parametrize("first_ends", ["first", "last"])
def test_runs_that_overlap_all_hear_a_signal(first_ends: str) -> None:
    """Two flows of one loop, ending in either order, hear it; the process's handlers stay its own.

    Prefect takes SIGTERM when the first of them begins, and resets it when that one ends.
    """

    async def overlapping() -> None:
        heard: list[int] = []
        one, two = (Interruption(lambda why: None, heard.append) for _ in range(2))
        first, second = ExitStack(), ExitStack()
        for flow, interruption in ((first, one), (second, two)):
            flow.enter_context(capture_sigterm())
            flow.enter_context(interruption.heeded())
        assert can_ack_control_intent()
        ends, stays = (first, two) if first_ends == "first" else (second, one)
        ends.close()
        await until(lambda: signal.getsignal(signal.SIGTERM) is not before)  # taken again
        assert can_ack_control_intent()
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: heard)
        assert heard == [stays.number] == [signal.SIGTERM]
        (second if ends is first else first).close()

    own = engine._prefect_sigterm_handler  # pyright: ignore[reportPrivateUsage]
    before = signal.getsignal(signal.SIGTERM)
    ctrl_c = signal.getsignal(signal.SIGINT)
    asyncio.run(asyncio.wait_for(overlapping(), PATIENCE_S))
    assert engine._prefect_sigterm_handler is own  # pyright: ignore[reportPrivateUsage]
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.getsignal(signal.SIGINT) is ctrl_c
    assert not can_ack_control_intent()


def test_runs_that_overlap_leave_prefects_handler_as_it_was() -> None:
    """The first to begin may be the first to end, also in one flow."""

    async def overlapping() -> None:
        first, second = (Interruption(lambda why: None, None).heeded() for _ in range(2))
        first.__enter__()
        second.__enter__()
        assert can_ack_control_intent()
        first.__exit__(None, None, None)
        second.__exit__(None, None, None)

    own = engine._prefect_sigterm_handler  # pyright: ignore[reportPrivateUsage]
    before = signal.getsignal(signal.SIGTERM)
    with capture_sigterm():
        asyncio.run(overlapping())
        assert can_ack_control_intent()
    assert engine._prefect_sigterm_handler is own  # pyright: ignore[reportPrivateUsage]
    assert signal.getsignal(signal.SIGTERM) is before


def test_both_runs_of_a_loop_hear_one_signal() -> None:
    """Neither takes it from the other."""

    async def side_by_side() -> None:
        heard: list[int] = []
        one, two = (Interruption(lambda why: None, heard.append) for _ in range(2))
        with one.heeded(), two.heeded():
            os.kill(os.getpid(), signal.SIGTERM)
            await until(lambda: len(heard) == 2)

    before = signal.getsignal(signal.SIGTERM)
    asyncio.run(asyncio.wait_for(side_by_side(), PATIENCE_S))
    assert signal.getsignal(signal.SIGTERM) is before


def test_signals_stay_with_others_off_the_main_thread() -> None:
    """A run in another thread's loop hears none, and changes nothing."""

    async def heeding() -> Any:
        with Interruption(lambda why: None, None).heeded():
            return signal.getsignal(signal.SIGTERM)

    with ThreadPoolExecutor() as pool:
        assert pool.submit(asyncio.run, heeding()).result() is signal.getsignal(signal.SIGTERM)


async def heeding_within(stays: Callable[[], Any]) -> Any:
    with Interruption(lambda why: None, None).heeded():
        return stays()


@pytest.mark.parametrize("gone", [signals.HANDLER, signals.CHECK])
def test_prefect_keeps_sigterm_where_its_names_are_gone(
    gone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a cancel is not acknowledged, and the run is started again; the log says so once."""
    ctrl_c = signal.getsignal(signal.SIGINT)

    def handlers() -> tuple[Any, Any]:
        return signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

    with capture_sigterm():
        own = signal.getsignal(signal.SIGTERM)
        with monkeypatch.context() as missing, said() as lines:
            missing.delattr(engine, gone)
            sigterm, sigint = asyncio.run(heeding_within(handlers))
        assert sigterm is own is signal.getsignal(signal.SIGTERM)
        assert sigint is not ctrl_c  # Ctrl-C still lets calls end
        assert lines() == [signals.NOT_TAKEN]
        assert can_ack_control_intent()
    assert signal.getsignal(signal.SIGINT) is ctrl_c


def test_a_run_says_that_prefect_handles_signals_in_a_way_it_does_not_know(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without Prefect's handler under its name nobody can tell what becomes of a cancel."""
    monkeypatch.delattr(engine, signals.HANDLER)
    with said() as lines:
        asyncio.run(heeding_within(lambda: None))
    assert lines() == [signals.NOT_RECOGNIZED]


def test_nothing_is_said_where_signals_are_taken_over() -> None:
    """A run of today's Prefect has no such line."""
    with capture_sigterm(), said() as lines:
        assert asyncio.run(heeding_within(can_ack_control_intent))
    assert lines() == []


@contextmanager
def said() -> Generator[Callable[[], list[str]]]:
    """What the room logs meanwhile."""
    logger = logging.getLogger("prefect_llm_reports.tasks.runtime")
    handler = BufferingHandler(100)
    logger.addHandler(handler)
    try:
        yield lambda: [record.getMessage() for record in handler.buffer]
    finally:
        logger.removeHandler(handler)


@pytest.mark.parametrize("first_ends", ["first", "last"])
def test_an_error_in_one_of_two_runs_leaves_the_other_its_signals(first_ends: str) -> None:
    """In either order; at the end the process has its own handlers."""

    async def overlapping() -> None:
        heard: list[int] = []
        runs = [ExitStack(), ExitStack()]
        for run in runs:
            run.enter_context(Interruption(lambda why: None, heard.append).heeded())
        fails, stays = runs if first_ends == "first" else runs[::-1]
        with pytest.raises(ValueError, match="of this run"), fails:
            raise ValueError("of this run")
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: heard)
        assert heard == [signal.SIGTERM]
        stays.close()

    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    asyncio.run(asyncio.wait_for(overlapping(), PATIENCE_S))
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


@pytest.mark.parametrize("flows", [0, 1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("where", ["process", "loop"])
def test_a_program_that_contains_a_run_gets_the_signal_as_well(
    where: str, number: int, flows: int
) -> None:
    """A web server, for instance, which then decides how the process ends.

    Prefect takes SIGTERM while a flow runs, and remembers the program's handler to itself.
    """
    heard: list[int] = []

    async def contained() -> None:
        stopped: list[str] = []
        loop = asyncio.get_running_loop()
        if where == "loop":
            loop.add_signal_handler(number, heard.append, number)
        interruption = Interruption(lambda why: stopped.append(str(why)), None)
        with ExitStack() as around:
            for _ in range(flows):
                around.enter_context(capture_sigterm())
            around.enter_context(interruption.heeded())
            os.kill(os.getpid(), number)
            await until(lambda: heard and stopped)
            await interruption.end()  # raises nothing: the program decides
        os.kill(os.getpid(), number)
        await until(lambda: len(heard) == 2)
        if where == "loop":
            loop.remove_signal_handler(number)

    before = signal.getsignal(number)
    try:
        if where == "process":
            signal.signal(number, lambda got, _: heard.append(got))
        asyncio.run(asyncio.wait_for(contained(), PATIENCE_S))
    finally:
        signal.signal(number, before)
    assert heard == [number, number]


def test_a_closed_terminal_ends_a_run_and_nohup_keeps_it() -> None:
    """SIGHUP is heeded where it would end the process, and stays ignored where it was."""

    async def signalled_by(handler: Any) -> bool:
        signal.signal(signal.SIGHUP, handler)
        stopped: list[str] = []
        with Interruption(lambda why: stopped.append(str(why)), lambda _: None).heeded():
            os.kill(os.getpid(), signal.SIGHUP)
            for _ in range(3):
                await asyncio.sleep(0)
        return bool(stopped)

    before = signal.getsignal(signal.SIGHUP)
    try:
        assert asyncio.run(signalled_by(signal.SIG_DFL))
        assert not asyncio.run(signalled_by(signal.SIG_IGN))
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("requests", [1, 2])
def test_calls_that_hang_are_given_up_so_that_the_run_can_write(
    requests: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the time of grace, or at the second request, the run is not cancelled at once."""
    monkeypatch.setattr(signals, "GRACE_S", 0 if requests == 1 else 3600)

    async def hanging() -> str:
        halted = asyncio.Event()
        with Interruption(lambda why: None, lambda _: None, halted.set).heeded():
            for _ in range(requests):
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.sleep(0)
            await halted.wait()
            return "written"

    assert asyncio.run(asyncio.wait_for(hanging(), PATIENCE_S)) == "written"
