"""What a run does where Prefect keeps results elsewhere."""

from __future__ import annotations

import logging
from logging.handlers import BufferingHandler
from types import SimpleNamespace

import pytest
from prefect.context import FlowRunContext

from prefect_llm_reports.tasks.runtime import memory
from prefect_llm_reports.tasks.runtime.memory import forget_results


def test_results_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of them is left where Prefect keeps them."""
    kept = {1: "result"}
    monkeypatch.setattr(FlowRunContext, "get", lambda: SimpleNamespace(run_results=kept))
    forget_results()
    assert kept == {}


def test_a_batch_goes_on_where_results_cannot_be_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log says once that memory grows."""
    monkeypatch.setattr(FlowRunContext, "get", lambda: SimpleNamespace())
    memory._warn_once.cache_clear()
    logger, log = logging.getLogger(memory.__name__), BufferingHandler(10)
    logger.addHandler(log)
    try:
        for _ in range(3):
            forget_results()
    finally:
        logger.removeHandler(log)
        memory._warn_once.cache_clear()
    [line] = log.buffer
    assert "memory grows with the batch" in line.getMessage()
