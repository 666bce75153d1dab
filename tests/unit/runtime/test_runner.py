"""How many items of a mapped task are under way at once."""

from __future__ import annotations

import math

import pytest

from prefect_llm_reports.tasks.runtime.runner import under_way


@pytest.mark.parametrize(("items", "calls", "wanted"), [
    (1, 8, 1), (0, 8, 1), (100, 64, 100), (145, 64, 145), (146, 64, 73), (5000, 100, 114), (5, 1, 3)
])  # fmt: skip
def test_waves_are_even(items: int, calls: int, wanted: int) -> None:
    """Up to about twice the calls all begin at once; more go in waves of one size."""
    assert under_way(items, calls) == wanted


@pytest.mark.parametrize("calls", [1, 4, 64, 100])
def test_calls_are_kept_busy_to_the_last_wave(calls: int) -> None:
    """A wave has enough items for all calls, and the last one hardly fewer than the others."""
    for items in range(1, 30 * calls):
        window = under_way(items, calls)
        waves = math.ceil(items / window)
        assert min(calls, items) <= window <= 2 * (calls + calls // 8 + 1)
        assert items - (waves - 1) * window > window - waves
