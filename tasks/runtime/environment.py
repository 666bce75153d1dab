"""Environment that Prefect reads when it is first imported; stdlib only, so that it comes first."""

from __future__ import annotations

import os

PREFECT_DEFAULTS = {
    # One event at a time is Prefect's default; a batch would wait for the recorder at its end.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    # A cold two-core machine needs more than the 20 s that Prefect allows the embedded server.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    # The module loggers' lines belong into the run's log in the UI, beside the tasks' own.
    "PREFECT_LOGGING_EXTRA_LOGGERS": "prefect_llm_reports",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
}
"""Environment set before Prefect is imported, where the user has not set it."""


def set_prefect_defaults() -> None:
    """Put `PREFECT_DEFAULTS` into the environment; what is already set stays."""
    for name, value in PREFECT_DEFAULTS.items():
        os.environ.setdefault(name, value)
