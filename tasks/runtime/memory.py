"""Memory of a long run: what is kept, and how often it is searched for garbage."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager

from prefect.context import FlowRunContext

THRESHOLDS = (200_000, 20, 20)
"""Objects made until the youngest are searched, and searches until the older ones are."""


@contextmanager
def rarer_collections() -> Generator[None]:
    """Search for garbage more rarely: a run's objects are freed when they are let go of.

    Python's own thresholds suit small programs; at them, a tenth of a batch's CPU goes into looking
    through long-lived objects again and again.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def forget_results() -> None:
    """Let go of what Prefect keeps of every task run's result in order to draw lines in the UI.

    The inputs of tasks here are handed over as futures or as they are, so that nothing is looked
    up there; in a large batch it would be most of the memory.
    """
    context = FlowRunContext.get()
    if context is not None:
        context.run_results.clear()
