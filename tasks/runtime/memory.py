"""Memory of a long run: Python's garbage collection, and the results that Prefect keeps."""

from __future__ import annotations

import gc
import logging
from collections.abc import Generator
from functools import cache
from typing import Any

from prefect.context import FlowRunContext

from prefect_llm_reports.tasks.runtime.process_wide import process_wide

THRESHOLDS = (200_000, 20, 20)
"""New objects before Python searches the youngest, and searches before it goes on to older ones."""

logger = logging.getLogger(__name__)


@process_wide
def rarer_collections() -> Generator[None]:
    """Search for garbage more rarely while runs are under way.

    Most objects of a run are freed as soon as nothing refers to them. Python's own thresholds suit
    small programs: with them, a tenth of a batch's CPU goes into searching long-lived objects
    again and again. A program that has frozen objects or sets thresholds meanwhile keeps its own.
    """
    before = gc.get_threshold()
    freezes = not gc.get_freeze_count()
    if freezes:
        gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        if gc.get_threshold() == THRESHOLDS:
            gc.set_threshold(*before)
        if freezes:
            gc.unfreeze()


def forget_results() -> None:
    """Drop the results that Prefect keeps of every task run in order to draw lines in the UI.

    Our tasks take their inputs as futures or unsearched, so Prefect needs none of these results.
    In a large batch they would be most of the memory.
    """
    context = FlowRunContext.get()
    if context is None:
        return
    kept: Any = getattr(context, "run_results", None)
    if kept is not None:
        kept.clear()
    else:
        _warn_once()


@cache
def _warn_once() -> None:
    logger.warning(
        "this version of Prefect keeps task results where they cannot be dropped, so memory grows"
        " with the batch; split batches of thousands of topics"
    )
