"""Log lines are text, whatever others have written into them."""

from __future__ import annotations

import logging
import sys

import pytest

from prefect_llm_reports.tasks.runtime.logs import as_text, decisions_only


def record(message: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord("x", logging.WARNING, "", 1, message, values, None)


def test_signs_that_terminals_obey_are_written_out() -> None:
    """Escape sequences in values become text; line ends and tabs stay."""
    one = record("%s said:\n\t%s", "host", "\x1b]0;own\x07\x9b2J\u202e")
    assert as_text(one)
    assert one.getMessage() == "host said:\n\t\\x1b]0;own\\x07\\x9b2J\\u202e"
    plain = record("%d of %d, Ärger", 1, 2)
    assert as_text(plain)
    assert plain.args == (1, 2)


def test_tracebacks_and_lines_tell_no_secret_of_an_address() -> None:
    """A library's error may name the proxy that it was given, with its password."""
    proxy = "http://user:geheim@proxy.example:3128"
    one = record("no way through %s", proxy)
    try:
        raise OSError(f"{proxy} answers 407 \x1b[2J")
    except OSError:
        one.exc_info = sys.exc_info()
    assert as_text(one)
    told = logging.Formatter().format(one)
    assert "geheim" not in told
    assert "\x1b" not in told
    assert told.count("proxy.example:3128") == 2
    assert "test_logs.py" in told


@pytest.mark.parametrize("name", ["prefect.flow_runs", "prefect.task_runs"])
def test_the_logs_of_runs_are_text(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """While runs are at work, lines of flow and task runs hold no escape sequence."""
    log = logging.getLogger(name)
    log.addHandler(caplog.handler)
    try:
        with decisions_only():
            log.warning("an error: %s", "\x1b[2J")
    finally:
        log.removeHandler(caplog.handler)
    assert "\\x1b[2J" in caplog.text
    assert "\x1b" not in caplog.text
