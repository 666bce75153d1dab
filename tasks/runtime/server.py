"""The embedded Prefect server: started here, so that a person sees what is waited for.

Not here: which server a run uses.
"""

from __future__ import annotations

import logging

from prefect_llm_reports.tasks.runtime.environment import PREFECT_DEFAULTS

logger = logging.getLogger(__name__)


def start_embedded_server() -> None:
    """Start the embedded server of this process, unless it runs already.

    Where Prefect has no such function any more, Prefect starts the server itself when it first
    needs it; that takes as long, with nothing shown.
    """
    try:
        # Importing it takes seconds.
        from prefect.server.api.server import SubprocessASGIServer

        server = SubprocessASGIServer()
        start = server.start
    except (ImportError, AttributeError) as error:
        logger.warning("Prefect starts its embedded server later, by itself (%s)", error)
        return
    start(int(PREFECT_DEFAULTS["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"]))
