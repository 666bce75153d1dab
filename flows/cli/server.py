"""The Prefect server that starts and shows runs: the configured one, or the embedded one.

A configured server is asked through Prefect's own client, with its password, certificates and
headers: a server that the `prefect` command reaches is reached here, too. Not here: how the
embedded server is started, see `runtime.server`.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Generator, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any
from urllib.parse import urlsplit

import httpx
from prefect.client.orchestration import get_client
from prefect.context import SettingsContext, get_settings_context
from prefect.settings import get_current_settings
from rich.console import Console

from prefect_llm_reports.tasks.contract.errors import ServerUnreachable
from prefect_llm_reports.tasks.runtime.server import start_embedded_server

CONNECT_S = 5.0
"""Seconds in which a server must take a connection."""
ANSWERS_S = (12.0, 10.0)
"""Seconds that an answer may take, at the first and at the second try: a busy server is slow."""
ENOUGH_S = 30.0
"""Seconds for all answers together, also where a server sends them a byte at a time."""
BUSY_S = 1.0
"""Seconds before a server that says that it is busy or starting is asked again."""
AWAY_TRIES = 3
"""Requests in a row that nobody takes or answers, before a server counts as gone."""
AWAY_S = 30.0
"""Seconds that each of them may take: at the end of a large batch a server is busy."""
START = "start one with `prefect server start`"


def reach_server(console: Console, *, embedded: bool = True) -> None:
    """Make sure that a Prefect API answers before anything else is done.

    Args:
        console: Shows that the command waits for a server.
        embedded: Use an embedded server where no API is configured.

    Raises:
        ServerUnreachable: The configured API does not answer as one; or no API is configured, and
            an embedded server must not be used or cannot start.
    """
    settings = get_current_settings()
    if settings.api.url:
        _ask(settings.api.url, embedded=embedded)
        return
    if not embedded:
        raise ServerUnreachable(
            "PREFECT_API_URL is not set, and this command needs a Prefect server that starts and"
            f" shows runs; {START}, then give its address:"
            " `export PREFECT_API_URL=http://127.0.0.1:4200/api`"
        )
    if not settings.server.ephemeral.enabled:
        raise ServerUnreachable(
            "PREFECT_API_URL is not set, and the embedded server is switched off"
            " (PREFECT_SERVER_ALLOW_EPHEMERAL_MODE=false); switch it on, or"
            f" {START} and give its address: `export PREFECT_API_URL=http://127.0.0.1:4200/api`"
        )
    waiting = (
        "Starting the embedded Prefect server (the first start on a machine makes its database and"
        " takes up to a minute) …"
    )
    if not console.is_terminal:
        console.print(waiting)
    with console.status(waiting):
        start_embedded_server()


def server_is_away() -> bool:
    """Whether nothing takes connections, or answers, any more where the Prefect API was."""
    for _ in range(AWAY_TRIES):
        try:
            with _without_retries():
                timeout = httpx.Timeout(AWAY_S, connect=CONNECT_S)
                settings: dict[str, Any] = {"timeout": timeout}
                with get_client(httpx_settings=settings, sync_client=True) as client:
                    client.request("GET", "/health")
            return False
        except (httpx.ConnectError, httpx.TimeoutException):
            time.sleep(BUSY_S)
        except Exception:  # it is there, or this cannot tell
            return False
    return True


def _ask(url: str, *, embedded: bool) -> None:
    """Ask a configured API for its health, and for something that needs its password."""
    mend = (
        f"{START}, or unset PREFECT_API_URL (`prefect config unset PREFECT_API_URL`) to use the"
        " embedded server"
        if embedded
        else f"{START}, or correct PREFECT_API_URL"
    )
    at = f"the Prefect API at {_without_secrets(url)}"
    try:
        with _without_retries():
            _ask_in_time()
    except httpx.HTTPStatusError as error:
        raise ServerUnreachable(_refused(at, error.response)) from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        raise ServerUnreachable(
            f"PREFECT_API_URL is not an address ({_without_secrets(url)}); give one like"
            " http://127.0.0.1:4200/api"
        ) from None
    except httpx.ProxyError:
        raise ServerUnreachable(
            f"{at} cannot be reached through the proxy that HTTP_PROXY or HTTPS_PROXY names;"
            " correct it, or add the server's host to NO_PROXY"
        ) from None
    except httpx.HTTPError as error:
        why = _why(error)
        if _has_cause(error, ssl.SSLError):
            mend = (
                "set PREFECT_API_SSL_CERT_FILE to the file of the authority that signed its"
                " certificate, and check that the address begins with http:// or https:// as the"
                " server does"
            )
        elif isinstance(error, (httpx.RemoteProtocolError, httpx.ReadError)):
            mend = (
                "check that PREFECT_API_URL begins with http:// or https:// as the server does, and"
                " look at the server's log"
            )
        raise ServerUnreachable(f"{at} does not answer ({why}); {mend}") from None
    except ImportError:
        raise ServerUnreachable(
            "the environment names a SOCKS proxy, which Prefect's client cannot use without the"
            " package socksio; run `pip install 'httpx[socks]'`, or unset ALL_PROXY"
        ) from None
    except (OSError, ValueError) as error:
        raise ServerUnreachable(
            f"{at} cannot be asked ({type(error).__name__}); check PREFECT_API_URL,"
            " PREFECT_API_SSL_CERT_FILE and the proxies of this environment"
        ) from None


@contextmanager
def _without_retries() -> Generator[None]:
    """Let Prefect's client send each request once. `temporary_settings` takes 80 ms."""
    present = get_settings_context()
    client = present.settings.client.model_copy(update={"max_retries": 0})
    settings = present.settings.model_copy(update={"client": client})
    with SettingsContext(profile=present.profile, settings=settings):
        yield


def _ask_in_time() -> None:
    """Ask in a thread, which is left behind where the server does not come to an end.

    Raises:
        ReadTimeout: All the time is over.
    """
    settings, done = copy_context(), Future[None]()

    def ask() -> None:
        try:
            done.set_result(settings.run(_ask_patiently))
        except BaseException as error:  # the caller raises it
            done.set_exception(error)

    threading.Thread(target=ask, name="asks the Prefect API", daemon=True).start()
    try:
        done.result(ENOUGH_S)
    except TimeoutError:
        if done.done():
            raise
        raise httpx.ReadTimeout("the answer does not end") from None


def _ask_patiently() -> None:
    """Ask twice if need be: one slow answer, or a server that starts, does not mean an outage."""
    for last, patience in _tries():
        timeout = httpx.Timeout(patience, connect=CONNECT_S)
        settings: dict[str, Any] = {"timeout": timeout}
        try:
            with get_client(httpx_settings=settings, sync_client=True) as client:
                healthy = client.request("GET", "/health")
                _check(healthy, expected=bool)
                _check(client.request("POST", "/flows/filter", json={"limit": 1}), expected=list)
            return
        except (httpx.ReadTimeout, httpx.RemoteProtocolError, httpx.ReadError):
            if last:
                raise
        except httpx.HTTPStatusError as error:
            if last or error.response.status_code not in (408, 429, 502, 503, 504):
                raise
            time.sleep(BUSY_S)


def _tries() -> Iterator[tuple[bool, float]]:
    for number, patience in enumerate(ANSWERS_S, start=1):
        yield number == len(ANSWERS_S), patience


def _check(response: httpx.Response, expected: type) -> None:
    """Check that an answer is a Prefect API's.

    Raises:
        HTTPStatusError: It is not.
    """
    try:
        if isinstance(response.json(), expected):
            return
    except ValueError:
        pass
    raise httpx.HTTPStatusError("no API", request=response.request, response=response)


def _refused(at: str, response: httpx.Response) -> str:
    """Explain an answer that does not come from a healthy API."""
    status = response.status_code
    if status in (401, 403):
        return (
            f"{at} refuses this user ({status}); set PREFECT_API_AUTH_STRING to the server's"
            " user:password, or PREFECT_API_KEY for Prefect Cloud"
        )
    if status == 407:
        return (
            "the proxy wants a user and a password (407); put them into HTTP_PROXY or HTTPS_PROXY,"
            f" or add the host to NO_PROXY, to reach {at}"
        )
    path = urlsplit(str(response.request.url)).path
    if status in (404, 405) or status < 400:
        hint = "" if "/api/" in path else ", which usually ends in /api"
        return (
            f"{at} is not a Prefect API: another web server or a proxy's page answers ({status});"
            f" correct PREFECT_API_URL{hint}"
        )
    return f"{at} is not healthy: it answers {status}; look at the server's log, then try again"


def _why(error: httpx.HTTPError) -> str:
    if _has_cause(error, ssl.SSLCertVerificationError):
        return "its certificate is not trusted"
    if _has_cause(error, ssl.SSLError):
        return "it does not speak TLS as expected"
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.ConnectError):
        return "no connection"
    return "the answer is cut off or no HTTP"


def _has_cause(error: BaseException | None, kind: type[BaseException]) -> bool:
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__ or error.__context__
    return False


def _without_secrets(url: str) -> str:
    """An address without user, password and query."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "an address that cannot be read"
    return f"{parts.scheme}://{host}{parts.path}" if host else url.rpartition("@")[2].split("?")[0]
