"""The embedded server where Prefect has no such function any more."""

from __future__ import annotations

import logging
from logging.handlers import BufferingHandler

import pytest
from prefect.server.api import server as prefects

from prefect_llm_reports.tasks.runtime import server
from prefect_llm_reports.tasks.runtime.server import start_embedded_server


def test_a_command_goes_on_and_prefect_starts_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect does so by itself when it first needs it; the log says that."""
    monkeypatch.delattr(prefects, "SubprocessASGIServer")
    logger, log = logging.getLogger(server.__name__), BufferingHandler(10)
    logger.addHandler(log)
    try:
        start_embedded_server()
    finally:
        logger.removeHandler(log)
    [line] = log.buffer
    assert "Prefect starts its embedded server later" in line.getMessage()
