"""Environment that Prefect reads when it is first imported.

Here: our defaults, for the command line, and for other programs to copy. Importing this module
changes nothing. Only the standard library is imported, so that it can come before Prefect.
"""

from __future__ import annotations

import os
import resource
import tempfile
from pathlib import Path

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


LOOPBACK = ("127.0.0.1", "localhost", "::1")
WANTED = 4096
"""Open files that a command of ours asks for, where the machine lets it."""


def ask_for_descriptors() -> None:
    """Raise this process's own limit as far as the machine lets it; for commands."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= WANTED:
        return
    most = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if most > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def set_prefect_defaults() -> None:
    """Set `PREFECT_DEFAULTS` in the environment; keep the variables that are set already."""
    for name, value in PREFECT_DEFAULTS.items():
        os.environ.setdefault(name, value)


def give_a_home() -> str:
    """Set HOME to a private temporary folder where the user has no home; else returns nothing.

    Prefect looks for a home when it is imported, and without one that fails.
    """
    try:
        Path.home()
    except RuntimeError:
        home = Path(tempfile.gettempdir()) / f"llm-reports-home-{os.getuid()}"
        home.mkdir(mode=0o700, exist_ok=True)
        if home.is_symlink() or home.stat().st_uid != os.getuid():
            home = Path(tempfile.mkdtemp(prefix="llm-reports-home-"))
        os.environ["HOME"] = str(home)
        return str(home)
    return ""


def reach_loopback_directly() -> None:
    """Exempt this machine from the proxies that the environment names.

    Prefect's client would otherwise ask a proxy for the embedded server, which cannot reach it.
    """
    for name in ("no_proxy", "NO_PROXY"):
        given = os.environ.get(name) or os.environ.get(name.swapcase()) or ""
        hosts = [host.strip() for host in given.split(",") if host.strip()]
        if "*" not in hosts:
            os.environ[name] = ",".join([*hosts, *(h for h in LOOPBACK if h not in hosts)])
