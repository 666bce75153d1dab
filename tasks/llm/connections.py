"""Connections to an endpoint: aiohttp beneath the OpenAI client's own HTTP interface.

A request takes about a third of the CPU that it takes with the client's default, whose pool looks
at every idle connection each time. The only importer of aiohttp.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager
from functools import lru_cache

import aiohttp
import httpx2
from yarl import URL

CONNECT_S = 15
"""Seconds in which a connection must be made."""

HEADER_BYTES = 65_536
"""Longest line of a response's head."""

_MEANS: list[tuple[type[Exception], type[httpx2.RequestError]]] = [
    (aiohttp.ConnectionTimeoutError, httpx2.ConnectTimeout),
    (aiohttp.ClientConnectorError, httpx2.ConnectError),
    (aiohttp.ClientHttpProxyError, httpx2.ProxyError),
    (aiohttp.InvalidURL, httpx2.UnsupportedProtocol),
    (aiohttp.ServerTimeoutError, httpx2.ReadTimeout),
    (aiohttp.ClientOSError, httpx2.ReadError),
    (aiohttp.ServerDisconnectedError, httpx2.RemoteProtocolError),
    (aiohttp.ClientPayloadError, httpx2.RemoteProtocolError),
    (aiohttp.ClientResponseError, httpx2.RemoteProtocolError),
    (aiohttp.ClientError, httpx2.NetworkError),
    (OSError, httpx2.NetworkError),
]
"""The client's name for each of aiohttp's errors; the first that fits."""

_address = lru_cache(maxsize=16)(URL)


@contextmanager
def _as_the_client_knows_them() -> Generator[None]:
    try:
        yield
    except (aiohttp.ClientError, OSError) as error:
        known = next(known for kind, known in _MEANS if isinstance(error, kind))
        raise known(str(error)) from error


class _Stream(httpx2.AsyncByteStream):
    """A response's body as it arrives."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_the_client_knows_them():
            async for chunk in self._response.content.iter_any():
                yield chunk

    async def aclose(self) -> None:
        """Give the connection back; close it when its body was not read to the end."""
        self._response.close()


class Connections(httpx2.AsyncBaseTransport):
    """Sends requests over connections that are kept open; made by `open_connections`."""

    def __init__(self, session: aiohttp.ClientSession, proxy: str | None) -> None:
        self._session = session
        self._proxy = proxy

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request; the caller reads the body of its response.

        Raises:
            httpx2.RequestError: There was no response.
        """
        with _as_the_client_knows_them():
            response = await self._session.request(
                request.method,
                _address(str(request.url)),
                headers=request.headers.multi_items(),
                data=request.content,
                allow_redirects=False,
                proxy=self._proxy,
            )
        return httpx2.Response(
            response.status,
            headers=[*response.raw_headers],
            stream=_Stream(response),
            request=request,
        )


@asynccontextmanager
async def open_connections(
    base_url: str, connections: int, proxy: str | None
) -> AsyncGenerator[Connections]:
    """Open connections to one endpoint, until the context ends.

    Args:
        base_url: The endpoint.
        connections: Connections that may be open at once.
        proxy: Address of an http(s) proxy; None: none.
    """
    secure = base_url.startswith("https:") or (proxy or "").startswith("https:")
    connector = aiohttp.TCPConnector(
        limit=connections,
        ssl=httpx2.create_ssl_context() if secure else True,
        resolver=aiohttp.ThreadedResolver(),  # the system's own, as for all other addresses
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
        max_line_size=HEADER_BYTES,
        max_field_size=HEADER_BYTES,
        trust_env=False,
    ) as session:
        yield Connections(session, proxy)
