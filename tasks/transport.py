"""The HTTP transport under the OpenAI client: bounded bodies, no redirects, the system's proxies.

Deadlines are not kept here: whoever makes a call bounds it on the wall clock.
"""

from __future__ import annotations

import logging
import urllib.request
import zlib
from urllib.parse import urlsplit

import httpx2

from tasks.faults import BodyTooLarge, shown
from tasks.offline import OfflineTransport
from tasks.schemas import OFFLINE

MAX_BODY_BYTES = 8 * 1024 * 1024
OFFLINE_URL = "http://offline.invalid/v1"
SHORTEST_SECRET = 8
"""Keys shorter than this, as `none` or `test`, are ordinary words and no secret."""

HIDDEN = "[key]"
_WIRE_LOGS = ("connection", "http11", "http2", "proxy", "socks")


class _Body:
    """A body as it comes in, decoded no further than up to the cap."""

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
                f"it was left after {self._max_bytes} bytes; check what answers at the base URL"
            )

    def whole(self) -> bytes:
        if self._unpacker and self._decoded and not self._unpacker.eof:
            raise httpx2.DecodingError("the gzip body breaks off")
        return bytes(self._decoded)


class _Discretion(logging.Filter):
    """Takes keys out of the HTTP library's own lines, which show response headers as they come."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        for key in self.keys:
            if key in said:
                said = said.replace(key, HIDDEN)
                record.msg, record.args = said, ()
        return True


_discretion = _Discretion()


class CappedTransport(httpx2.AsyncBaseTransport):
    """Reads each response to its end inside the transport, up to a cap on the decoded bytes.

    Args:
        inner: The transport that sends.
        key: Taken out of what comes back, should the other side repeat it.
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
            BodyTooLarge: The body goes on past the cap; the connection is closed.
            httpx2.DecodingError: It is not encoded as it says, or as was not asked for.
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
    return proxies.get(parts.scheme) or proxies.get("all")


def open_http(base_url: str, connections: int, key: str = "") -> httpx2.AsyncClient:
    """An HTTP client for one endpoint.

    Args:
        base_url: The endpoint, or `OFFLINE_URL` for the embedded engine.
        connections: Requests that may be under way at once.
        key: What must never be shown, even when the endpoint repeats it.
    """
    if len(key) >= SHORTEST_SECRET:
        _discretion.keys.add(key)
        for name in _WIRE_LOGS:
            logging.getLogger(f"httpcore2.{name}").addFilter(_discretion)
    if base_url == OFFLINE_URL:
        inner: httpx2.AsyncBaseTransport = OfflineTransport()
    else:
        inner = httpx2.AsyncHTTPTransport(
            limits=httpx2.Limits(
                max_connections=connections, max_keepalive_connections=connections
            ),
            proxy=_system_proxy(base_url),
        )
    return httpx2.AsyncClient(
        transport=CappedTransport(inner, key),
        follow_redirects=False,
        timeout=httpx2.Timeout(None, connect=15),
    )


def host_of(base_url: str) -> str:
    """Host and port of an address, as messages name it."""
    return OFFLINE if base_url == OFFLINE_URL else urlsplit(base_url).netloc
