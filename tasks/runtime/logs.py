"""A run's log: decisions and problems, without a line for each step that succeeds.

In text from others, such as an endpoint's errors and the tracebacks of libraries, characters that a
terminal obeys are escaped, and the secrets of addresses are hidden.
"""

from __future__ import annotations

import asyncio
import logging
import re
import traceback
from collections.abc import Generator
from typing import Any

from prefect import get_run_logger
from prefect.exceptions import MissingContextError

from prefect_llm_reports.tasks.contract.errors import ReportsError
from prefect_llm_reports.tasks.runtime.process_wide import process_wide
from prefect_llm_reports.tasks.text.foreign import printable, without_secrets

Log = logging.Logger | logging.LoggerAdapter[logging.Logger]

logger = logging.getLogger(__name__)

_OF_AN_ERROR = re.compile(
    r"(?:Task run failed with exception: "
    r"|Finished in state \w+\([\"']Task run encountered an exception "
    r"|Failed to write result: Failed to serialize object of type [\"'])(\w+)"
)
_TASK_RUNS = logging.getLogger("prefect.task_runs")
_FLOW_RUNS = logging.getLogger("prefect.flow_runs")


def log_of_this_run() -> Log:
    """The log of the run that calls this; outside of a run, this module's own logger."""
    try:
        return get_run_logger()
    except MissingContextError:
        return logger


@process_wide
def decisions_only() -> Generator[None]:
    """Keep what each task run's state in the UI shows out of the run's log.

    That is "Finished in state Completed", of which a report has eleven, and Prefect's lines and
    tracebacks for errors of ours, of which a topic that fails has up to five. Unexpected errors
    are logged as before; at the level DEBUG every line is logged.
    """
    _TASK_RUNS.addFilter(_worth_a_line)
    _FLOW_RUNS.addFilter(as_text)
    try:
        yield
    finally:
        _TASK_RUNS.removeFilter(_worth_a_line)
        _FLOW_RUNS.removeFilter(as_text)


def as_text(record: logging.LogRecord) -> bool:
    """Escape a record's unprintable characters, which a terminal would obey; hide secrets.

    Args:
        record: The record; it is changed, and always logged.
    """
    said = record.getMessage()
    if (clean := _clean(said)) != said:
        record.msg, record.args = clean, ()
    if record.exc_info and not record.exc_text:
        told = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        record.exc_text = _clean(told)
    return True


def _clean(text: str) -> str:
    return printable(without_secrets(text), keep="\n\t")


def _worth_a_line(record: logging.LogRecord) -> bool:
    if _TASK_RUNS.isEnabledFor(logging.DEBUG):
        return as_text(record)
    said = record.getMessage()
    ended_well = record.levelno == logging.INFO and said.startswith("Finished in")
    return not ended_well and not _is_said_elsewhere(said, record.exc_info) and as_text(record)


def _is_said_elsewhere(said: str, raised: Any) -> bool:
    """Whether a line is Prefect's account of an error of ours, or of a run that is cancelled.

    What became of a topic is a line of the run's own; the task run's state has the error.
    """
    if raised and isinstance(raised[1], ReportsError | asyncio.CancelledError):
        return True
    found = _OF_AN_ERROR.match(said)
    ours = _names(ReportsError) | {"CancelledError", "TerminationSignal"}
    return bool(found) and found[1] in ours


def _names(kind: type[Exception]) -> set[str]:
    """The names of a class of errors and of all below it."""
    return {kind.__name__}.union(*(_names(one) for one in kind.__subclasses__()))
