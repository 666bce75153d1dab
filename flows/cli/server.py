"""The Prefect server that runs are started and shown on: configured, or embedded."""

from __future__ import annotations

import urllib.error
import urllib.request

from prefect.settings import get_current_settings
from rich.console import Console

from prefect_llm_reports.tasks.contract.errors import ServerUnreachable
from prefect_llm_reports.tasks.runtime.environment import PREFECT_DEFAULTS


def reach_server(console: Console, *, embedded: bool = True) -> None:
    """Make sure that a Prefect API answers before anything else is done.

    Args:
        console: Where to say what is waited for.
        embedded: Without a configured API an embedded server will do.

    Raises:
        ServerUnreachable: The configured API does not answer, or none is configured where an
            embedded server will not do.
    """
    url = get_current_settings().api.url
    if not url and not embedded:
        raise ServerUnreachable(
            "no Prefect server: runs are started and shown there, and PREFECT_API_URL is not set;"
            " start one with `prefect server start`, and say here where it is:"
            " `export PREFECT_API_URL=http://127.0.0.1:4200/api`"
        )
    if not url:
        from prefect.server.api.server import SubprocessASGIServer  # takes seconds to import

        doing = (
            "Starting the embedded Prefect server (the first start on a machine makes its"
            " database and takes up to a minute) …"
        )
        if not console.is_terminal:
            console.print(doing)
        with console.status(doing):
            timeout = PREFECT_DEFAULTS["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"]
            SubprocessASGIServer().start(int(timeout))
        return
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=5):  # noqa: S310
            pass
    except urllib.error.HTTPError as answered:
        answered.close()  # whoever answers, even with 401, is there
    except (OSError, ValueError) as error:
        raise ServerUnreachable(
            f"the Prefect API at {url} does not answer ({getattr(error, 'reason', error)}); start"
            " one with `prefect server start`"
            + (
                ", or unset PREFECT_API_URL (`prefect config unset PREFECT_API_URL`) to use the"
                " embedded server"
                if embedded
                else ", or correct PREFECT_API_URL"
            )
        ) from None
