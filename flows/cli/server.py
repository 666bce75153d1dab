"""The Prefect server that starts and shows runs: the configured one, or the embedded one.

Not here: how the embedded server is started, see `runtime.server`.
"""

from __future__ import annotations

import urllib.error
import urllib.request

from prefect.settings import get_current_settings
from rich.console import Console

from prefect_llm_reports.tasks.contract.errors import ServerUnreachable
from prefect_llm_reports.tasks.runtime.server import start_embedded_server


def reach_server(console: Console, *, embedded: bool = True) -> None:
    """Make sure that a Prefect API answers before anything else is done.

    Args:
        console: Shows what the command waits for.
        embedded: Use an embedded server where no API is configured.

    Raises:
        ServerUnreachable: The configured API does not answer; or no API is configured, and an
            embedded server must not be used.
    """
    url = get_current_settings().api.url
    if not url and not embedded:
        raise ServerUnreachable(
            "PREFECT_API_URL is not set, and this command needs a Prefect server that starts and"
            " shows runs; start one with `prefect server start`, then give its address:"
            " `export PREFECT_API_URL=http://127.0.0.1:4200/api`"
        )
    if not url:
        waiting = (
            "Starting the embedded Prefect server (the first start on a machine makes its"
            " database and takes up to a minute) …"
        )
        if not console.is_terminal:
            console.print(waiting)
        with console.status(waiting):
            start_embedded_server()
        return
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=5):  # noqa: S310
            pass
    except urllib.error.HTTPError as answered:
        answered.close()  # any answer, even 401, shows that a server is there
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
