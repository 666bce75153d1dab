"""Bounds on time that mean the same on every machine: seconds of a quick one, and more of a slow.

What a fixed piece of work takes right before and after tells how slow this machine is just now.
Other threads do not count, nor does what earlier tests left for the garbage collector to walk.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

PATIENCE_S = 120.0
"""Seconds that anything may take to start, to happen or to end before a test gives it up.

Twice as many as a Prefect server may stand still with SQLite: when it frees the cursor of a failed
statement, its event loop waits for that connection's mutex; another thread holds it while it waits
for a lock on the database, 60 s at most, whose holder waits for the event loop to commit.
"""
WORK = 300_000
WORK_S = 0.018
"""CPU that the piece of work takes on the machine whose seconds the bounds are."""


@contextmanager
def within(seconds: float, cpu: Callable[[], float] = time.thread_time) -> Generator[None]:
    """AssertionError when what is done inside takes more CPU than `seconds` of a quick machine.

    `cpu` is `time.process_time` where other threads do the work.
    """
    before = _work()
    gc.freeze()
    try:
        began = cpu()
        yield
        took = cpu() - began
    finally:
        gc.unfreeze()
    slowness = max(1.0, before / WORK_S, _work() / WORK_S)
    assert took < seconds * slowness, f"{took:.2f} s, {seconds} allowed, times {slowness:.1f}"


def _work() -> float:
    began, total = time.thread_time(), 0
    for number in range(WORK):
        total += number
    assert total
    return time.thread_time() - began
