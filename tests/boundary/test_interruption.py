"""One wish to end a run may arrive as two signals; only a second wish ends it at once."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from prefect.utilities import engine
from prefect.utilities.engine import can_ack_control_intent, capture_sigterm

from tasks.errors import Interrupted
from tasks.interruption import Interruption


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
    assert stopped == [f"interrupted by {numbers[0].name}; run the same again to go on"]


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


def test_runs_that_overlap_leave_prefects_handler_as_it_was() -> None:
    """The first to begin may be the first to end."""

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
    assert engine._prefect_sigterm_handler is own  # pyright: ignore[reportPrivateUsage]
    assert signal.getsignal(signal.SIGTERM) is before
