"""What a run's log says: decisions and problems, not that each step ended well."""

from __future__ import annotations

import logging
from collections.abc import Generator

from prefect import get_run_logger
from prefect.exceptions import MissingContextError

from prefect_llm_reports.tasks.runtime.process_wide import process_wide

Log = logging.Logger | logging.LoggerAdapter[logging.Logger]

logger = logging.getLogger(__name__)

_TASK_RUNS = logging.getLogger("prefect.task_runs")


def log_of_this_run() -> Log:
    """The log of the run that calls this; outside of a run, this module's own logger."""
    try:
        return get_run_logger()
    except MissingContextError:
        return logger


@process_wide
def decisions_only() -> Generator[None]:
    """Keep "Finished in state Completed" out of the run's log.

    A report has eleven such lines, and each task run shows its state in the UI anyway. Failures
    are logged as before; at the level DEBUG every line is logged.
    """
    _TASK_RUNS.addFilter(_worth_a_line)
    try:
        yield
    finally:
        _TASK_RUNS.removeFilter(_worth_a_line)


def _worth_a_line(record: logging.LogRecord) -> bool:
    ended_well = record.levelno == logging.INFO and record.getMessage().startswith("Finished in")
    return not ended_well or _TASK_RUNS.isEnabledFor(logging.DEBUG)
