"""Bookkeeping takes a fiftieth of a run's time at most."""

from __future__ import annotations

import time

import pytest

from prefect_llm_reports.tasks.reports.throttle import Throttle


class Clock:
    """A monotonic clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of this test."""
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


@pytest.mark.parametrize(
    ("limits", "took", "due_after"),
    [
        ({}, 0.125, 6.25),
        ({"least_s": 1.0}, 0.0, 1.0),
        ({"least_s": 1.0}, 0.125, 6.25),
        ({"most_s": 3.0}, 0.125, 3.0),
        ({"most_s": 3.0}, 9.0, 9.0),
    ],
)
def test_work_is_due_by_how_long_it_took(
    clock: Clock, limits: dict[str, float], took: float, due_after: float
) -> None:
    """Slow work rests longer, within the limits; it is never due while it is being done."""
    throttle = Throttle(**limits)
    assert throttle.due
    began = clock.now
    with throttle.measured():
        clock.now += took
        assert not throttle.due
    clock.now = max(clock.now, began + due_after - 0.01)
    assert throttle.due == (took >= due_after)
    clock.now = began + due_after
    assert throttle.due


def test_work_that_failed_is_due_at_once(clock: Clock) -> None:
    """A failure is no reason to rest."""
    throttle = Throttle()

    def fail() -> None:
        with throttle.measured():
            clock.now += 9
            raise OSError("away")

    with pytest.raises(OSError, match="away"):
        fail()
    assert throttle.due
