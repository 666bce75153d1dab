"""Environment that Prefect reads when it is first imported.

Here: our defaults, for the command line, and for other programs to copy. Importing this module
changes nothing. Only the standard library is imported, so that it can come before Prefect.
"""

from __future__ import annotations

import os

PREFECT_DEFAULTS = {
    # By default Prefect records one event at a time; a batch would wait for that at its end.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    # A cold two-core machine needs more than the 20 s that Prefect allows the embedded server.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    # The run's log in the UI has the lines of our modules, beside those of the tasks.
    "PREFECT_LOGGING_EXTRA_LOGGERS": "prefect_llm_reports",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
}
"""Defaults of environment variables that Prefect reads."""


def set_prefect_defaults() -> None:
    """Set `PREFECT_DEFAULTS` in the environment; keep the variables that are set already."""
    for name, value in PREFECT_DEFAULTS.items():
        os.environ.setdefault(name, value)
