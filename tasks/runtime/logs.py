"""What a run's log says: what was decided and what went wrong, not that each step ended well."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager

_TASK_RUNS = logging.getLogger("prefect.task_runs")


def _worth_saying(record: logging.LogRecord) -> bool:
    """Leave out, but where all details are wanted, what a task run's own state says too."""
    ended_well = record.levelno == logging.INFO and record.getMessage().startswith("Finished in")
    return not ended_well or _TASK_RUNS.isEnabledFor(logging.DEBUG)


@contextmanager
def decisions_only() -> Generator[None]:
    """Keep the lines of task runs that ended well out of the run's log.

    There are eleven of them a report. Each task run shows its state in the UI by itself, and what
    went wrong is said as ever; at the level DEBUG nothing is left out.
    """
    _TASK_RUNS.addFilter(_worth_saying)
    try:
        yield
    finally:
        _TASK_RUNS.removeFilter(_worth_saying)
