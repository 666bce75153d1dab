"""The HTTP transport under the OpenAI client: bounded bodies, no redirects, the system's proxies.

Not here: deadlines; the caller limits each request on the wall clock (`llm.line`).
"""

from __future__ import annotations

import urllib.request
import zlib
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import httpx2

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.records import OFFLINE
from prefect_llm_reports.tasks.llm.faults import BodyTooLarge
from prefect_llm_reports.tasks.offline.engine import OfflineTransport
from prefect_llm_reports.tasks.text.foreign import HIDDEN, shown

MAX_BODY_BYTES = 8 * 1024 * 1024
OFFLINE_URL = "http://offline.invalid/v1"
SHORTEST_SECRET = 8
"""Shorter keys, as `none` or `test`, are ordinary words and no secret."""


class _Body:
    """A body as it arrives, decoded up to the cap and no further."""

    def __init__(self, encoding: str, max_bytes: int) -> None:
        named = encoding.strip().lower()
        if named not in ("", "identity", "gzip", "x-gzip"):
            raise httpx2.DecodingError(f"content-encoding {shown(named, 40)} was not asked for")
        self._unpacker = zlib.decompressobj(wbits=31) if named.endswith("gzip") else None
        self._max_bytes = max_bytes
        self._decoded = bytearray()

    def add(self, chunk: bytes) -> None:
        if self._unpacker:
            room = self._max_bytes - len(self._decoded) + 1
            try:
                chunk = self._unpacker.decompress(chunk, room)
            except zlib.error as error:
                raise httpx2.DecodingError(f"not gzip: {error}") from error
        self._decoded += chunk
        if len(self._decoded) > self._max_bytes:
            raise BodyTooLarge(
                f"reading ended after {self._max_bytes} bytes; check what answers at the base URL"
            )

    def whole(self) -> bytes:
        if self._unpacker and self._decoded and not self._unpacker.eof:
            raise httpx2.DecodingError("the gzip body breaks off")
        return bytes(self._decoded)


class CappedTransport(httpx2.AsyncBaseTransport):
    """Reads each response to its end inside the transport, up to a cap on the decoded bytes.

    Args:
        inner: The transport that sends.
        key: Removed from every response, in case the endpoint repeats it.
        max_bytes: Longest decoded body.
    """

    def __init__(
        self, inner: httpx2.AsyncBaseTransport, key: str = "", max_bytes: int = MAX_BODY_BYTES
    ) -> None:
        self._inner = inner
        self._key = key.encode() if len(key) >= SHORTEST_SECRET else None
        self._max_bytes = max_bytes

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request and read its whole answer.

        Raises:
            BodyTooLarge: The body is larger than the cap; the connection is closed.
            httpx2.DecodingError: Its encoding is broken, or one that was not asked for.
        """
        request.headers["accept-encoding"] = "gzip"
        response = await self._inner.handle_async_request(request)
        body = _Body(response.headers.get("content-encoding", ""), self._max_bytes)
        try:
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            async for chunk in response.stream:
                body.add(chunk)
        finally:
            await response.aclose()
        headers = [
            (name, self._without_key(value))
            for name, value in response.headers.raw
            if name.lower() not in (b"content-encoding", b"content-length", b"transfer-encoding")
        ]
        return httpx2.Response(
            response.status_code,
            headers=headers,
            content=self._without_key(body.whole()),
            request=request,
            extensions=response.extensions,
        )

    def _without_key(self, said: bytes) -> bytes:
        return said.replace(self._key, HIDDEN.encode()) if self._key else said

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


def _system_proxy(url: str) -> str | None:
    """The proxy that the environment names for this address."""
    parts = urlsplit(url)
    if urllib.request.proxy_bypass(parts.netloc):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy and urlsplit(proxy).scheme not in ("http", "https"):
        raise BadInput(
            f"proxy of {parts.netloc}: {urlsplit(proxy).scheme or 'its address'} is not supported;"
            " give an http(s) proxy, or name the host in NO_PROXY"
        )
    return proxy


@asynccontextmanager
async def open_http(
    base_url: str, connections: int, key: str = ""
) -> AsyncGenerator[httpx2.AsyncClient]:
    """Open an HTTP client for one endpoint, until the context ends.

    Args:
        base_url: The endpoint, or `OFFLINE_URL` for the embedded engine.
        connections: Requests that may be under way at once.
        key: Removed from every response, in case the endpoint repeats it.

    Raises:
        BadInput: The environment names a proxy of a kind that cannot be used.
    """
    async with AsyncExitStack() as resources:
        if base_url == OFFLINE_URL:
            inner: httpx2.AsyncBaseTransport = OfflineTransport()
        else:
            from prefect_llm_reports.tasks.llm.connections import open_connections

            proxy = _system_proxy(base_url)
            inner = await resources.enter_async_context(
                open_connections(base_url, connections, proxy)
            )
        yield await resources.enter_async_context(
            httpx2.AsyncClient(
                transport=CappedTransport(inner, key), follow_redirects=False, timeout=None
            )
        )


def host_of(base_url: str) -> str:
    """Host and port of an address, as messages name it."""
    return OFFLINE if base_url == OFFLINE_URL else urlsplit(base_url).netloc
