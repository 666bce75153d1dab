"""The HTTP transport under the OpenAI client: bounded bodies, no redirects, the system's proxies.

Not here: deadlines; the caller limits each request on the wall clock (`llm.line`).
"""

from __future__ import annotations

import urllib.request
import zlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import unquote, urlsplit

import httpx2

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.records import OFFLINE
from prefect_llm_reports.tasks.contract.settings import on_this_machine
from prefect_llm_reports.tasks.llm.faults import BodyTooLarge
from prefect_llm_reports.tasks.offline.engine import OfflineTransport
from prefect_llm_reports.tasks.text.foreign import shown
from prefect_llm_reports.tasks.text.masking import Mask

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
        secrets: Hidden in every response, in case the other side repeats them.
        max_bytes: Longest decoded body.
    """

    def __init__(
        self,
        inner: httpx2.AsyncBaseTransport,
        secrets: Sequence[str] = (),
        max_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self._inner = inner
        named = dict.fromkeys(secrets)
        self._masks = [Mask(secret) for secret in named if len(secret) >= SHORTEST_SECRET]
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
            (name, self._without_secrets(value))
            for name, value in response.headers.raw
            if name.lower() not in (b"content-encoding", b"content-length", b"transfer-encoding")
        ]
        return httpx2.Response(
            response.status_code,
            headers=headers,
            content=self._without_secrets(body.whole()),
            request=request,
            extensions=response.extensions,
        )

    def _without_secrets(self, said: bytes) -> bytes:
        for mask in self._masks:
            said = mask.over(said)
        return said

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


def system_proxy(url: str) -> str | None:
    """The proxy that the environment names for this address; this machine is reached without one.

    Args:
        url: The address of an endpoint.

    Raises:
        BadInput: It is of a kind that cannot be used.
    """
    parts = urlsplit(url)
    if on_this_machine(parts.hostname or "") or urllib.request.proxy_bypass(parts.netloc):
        return None
    proxies = urllib.request.getproxies()
    proxy = (proxies.get(parts.scheme) or proxies.get("all") or "").strip()
    if not proxy:
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    try:
        named = urlsplit(proxy)
        usable = named.scheme in ("http", "https") and named.hostname and (named.port or 1)
    except ValueError:
        named, usable = urlsplit("its-address://"), None
    if not usable:
        raise BadInput(
            f"proxy of {parts.netloc}: {shown(named.scheme, 20)}:// is not supported, or the"
            " address is not valid; give an http(s) proxy, or name the host in NO_PROXY"
        )
    return proxy


def _secrets_of(proxy: str | None) -> list[str]:
    """Name and password that a proxy's address holds, as written and as sent."""
    parts = urlsplit(proxy or "")
    name, password = unquote(parts.username or ""), unquote(parts.password or "")
    return [password, parts.password or "", f"{name}:{password}"] if password else []


@asynccontextmanager
async def open_http(
    base_url: str, connections: int, secrets: Sequence[str] = ()
) -> AsyncGenerator[httpx2.AsyncClient]:
    """Open an HTTP client for one endpoint, until the context ends.

    Args:
        base_url: The endpoint, or `OFFLINE_URL` for the embedded engine.
        connections: Requests that may be under way at once.
        secrets: Hidden in every response, in case the endpoint repeats them.

    Raises:
        BadInput: The environment names a proxy of a kind that cannot be used.
    """
    async with AsyncExitStack() as resources:
        more: list[str] = []
        if base_url == OFFLINE_URL:
            inner: httpx2.AsyncBaseTransport = OfflineTransport()
        else:
            from prefect_llm_reports.tasks.llm.connections import open_connections

            proxy = system_proxy(base_url)
            more = _secrets_of(proxy)
            inner = await resources.enter_async_context(
                open_connections(base_url, connections, proxy)
            )
        yield await resources.enter_async_context(
            httpx2.AsyncClient(
                transport=CappedTransport(inner, [*secrets, *more]),
                follow_redirects=False,
                timeout=None,
            )
        )


def host_of(base_url: str) -> str:
    """Host and port of an address, as messages name it."""
    return OFFLINE if base_url == OFFLINE_URL else urlsplit(base_url).netloc
