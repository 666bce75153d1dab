"""Errors without a complete response: certificates, endless bodies, lost connections.

Not here: responses that say an error themselves (`llm.refusals`).
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence

import httpx2

from prefect_llm_reports.tasks.contract.errors import (
    CallError,
    CallRejected,
    CertificateRefused,
    EndpointUnavailable,
)
from prefect_llm_reports.tasks.text.foreign import shown

AWAY = frozenset({None, 502, 503, 504, 520, 521, 522, 523, 525, 526, 530})
"""Statuses by which a gateway says that the server behind it is away; None: no connection."""


class BodyTooLarge(Exception):
    """The decoded body is larger than the cap."""


class NotSent(EndpointUnavailable):
    """No connection was made, so nothing can have been billed."""


def broken_connection(
    error: BaseException, host: str, handled: BaseException | None = None
) -> CallError:
    """The error for a request that got no complete response.

    Args:
        error: The exception that ended the request.
        host: The endpoint's host.
        handled: The exception that was being handled before. Python links it to `error`, though
            it has nothing to do with it.
    """
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link is not handled and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    for link in chain:
        if isinstance(link, BodyTooLarge):
            return CallRejected(f"{host} sent a body without end; {link}")
        if isinstance(link, ssl.SSLCertVerificationError):
            return CertificateRefused(
                f"the TLS certificate of {host} is not trusted ({shown(_verdict(link), 80)});"
                " correct the address or add its authority to SSL_CERT_FILE"
            )
    unconnected = isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout)
    return (NotSent if unconnected else EndpointUnavailable)(
        f"no answer from {host}: {shown(_seen(chain), 120)}"
    )


def _seen(chain: Sequence[BaseException]) -> str:
    """The cause, in our words or the system's; the words of libraries may hold secrets."""
    for link in chain:
        if isinstance(link, httpx2.RequestError) and str(link):
            return str(link)
    for link in reversed(chain):
        if isinstance(link, OSError) and link.strerror:
            return link.strerror
    return type(chain[-1]).__name__


def _verdict(error: ssl.SSLCertVerificationError) -> str:
    return getattr(error, "verify_message", "") or str(error)
