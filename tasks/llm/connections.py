"""Connections to an endpoint: aiohttp beneath the OpenAI client's own HTTP interface.

A request takes about a third of the CPU that it takes with the client's default, whose pool looks
at every idle connection each time. The only importer of aiohttp.

A server may close a connection that is kept open just when a request is sent on it. Such a request
is sent again, as long as the server cannot have received it: the system says how much of what was
sent has arrived.
"""

from __future__ import annotations

import errno
import socket
import struct
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, cast

import aiohttp
import httpx2
from yarl import URL

CONNECT_S = 15
"""Seconds in which a connection must be made."""

HEADER_BYTES = 65_536
"""Longest line of a response's head."""

SILENT_S = 30
"""Seconds without a sign of life from the other machine after which a connection is given up."""

MOST_STALE = 200
"""Connections that may turn out to be closed, for one request."""

_ACKED = 120
"""The place in Linux's `struct tcp_info` of the bytes that the other side has acknowledged."""

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
        raise known(_in_words(error)) from error


def _in_words(error: Exception) -> str:
    """An error in our words: aiohttp's own may hold the address and the password of a proxy."""
    match error:
        case aiohttp.ClientHttpProxyError():
            if error.status == 407:
                return "the proxy refuses the name or password (407); correct HTTPS_PROXY"
            return f"the proxy refuses the connection ({error.status}); check HTTPS_PROXY"
        case aiohttp.ConnectionTimeoutError():
            return f"no connection within {CONNECT_S} s"
        case aiohttp.ClientProxyConnectionError():
            return f"the proxy is not reached: {_reason(error)}; check HTTPS_PROXY"
        case aiohttp.ClientConnectorDNSError():
            return f"the name of the machine is not found: {_reason(error)}"
        case aiohttp.InvalidURL():
            return "the address is not valid"
        case aiohttp.ServerTimeoutError():
            return "the other side is silent"
        case aiohttp.ServerDisconnectedError():
            return "the connection was closed"
        case aiohttp.ClientPayloadError():
            return "the answer breaks off"
        case aiohttp.ClientResponseError():
            return "what came is not HTTP"
        case OSError():
            return _reason(error)
        case _:
            return type(error).__name__


def _reason(error: OSError) -> str:
    """The system's words for what failed."""
    return error.strerror or type(error).__name__


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
            response = await self._sent(request)
        return httpx2.Response(
            response.status,
            headers=[*response.raw_headers],
            stream=_Stream(response),
            request=request,
        )

    async def _sent(self, request: httpx2.Request) -> aiohttp.ClientResponse:
        """Send a request; once more on another connection, when the server has closed this one."""
        for _ in range(MOST_STALE):
            watch = _Watch()
            token = _watch.set(watch)
            try:
                return await self._session.request(
                    request.method,
                    _address(str(request.url)),
                    headers=request.headers.multi_items(),
                    data=request.content,
                    allow_redirects=False,
                    proxy=self._proxy,
                )
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                if _reset(error) or not watch.unread:
                    raise
            finally:
                _watch.reset(token)
                watch.end()
        raise aiohttp.ServerDisconnectedError


class _Watch:
    """Watches what becomes of the bytes that one request sends on a connection used before."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._acked = 0

    def begin(self, connection: Any) -> bool:
        """Watch this connection, where all that was sent before has arrived; False: it is closed.

        Args:
            connection: The event loop's socket.
        """
        self.end()
        try:
            self._socket = watched = cast("socket.socket", connection.dup())
            self._acked = _acked(watched)
            return watched.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False

    @property
    def unread(self) -> bool:
        """Whether the other side has received nothing of the request, for certain."""
        if self._socket is None:
            return False
        try:
            return 0 < self._acked == _acked(self._socket)
        except OSError:
            return False

    def end(self) -> None:
        """Watch no longer."""
        if self._socket:
            self._socket.close()
            self._socket = None


def _reset(error: BaseException) -> bool:
    """Whether the server ended the connection by a reset, which may follow on what it has read.

    One that has been closed before ends by its close, though a reset may follow.
    """
    links = (error, error.__cause__, error.__context__)
    return any(isinstance(link, OSError) and link.errno == errno.ECONNRESET for link in links)


def _acked(connection: socket.socket) -> int:
    """Bytes that the other side has acknowledged; 0: the system does not say."""
    if not hasattr(socket, "TCP_INFO"):
        return 0
    told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKED + 8)
    return struct.unpack_from("Q", told, _ACKED)[0] if len(told) >= _ACKED + 8 else 0


_watch: ContextVar[_Watch | None] = ContextVar("connection_watch", default=None)


class _Connector(aiohttp.TCPConnector):
    """Hands out connections, but none that the server has closed meanwhile."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)  # pyright: ignore[reportUnknownMemberType]
        self._used: weakref.WeakSet[Any] = weakref.WeakSet()

    async def connect(self, *request: Any, **more: Any) -> Any:
        """Get a connection from those that are kept open, or make one."""
        while True:
            connection = await super().connect(*request, **more)
            transport, protocol = connection.transport, connection.protocol
            plain = transport and transport.get_extra_info("socket")
            watch = _watch.get()
            if plain is None or protocol is None or watch is None:
                return connection
            if protocol not in self._used:
                self._used.add(protocol)
                _give_up_when_silent(plain)
                return connection
            if watch.begin(plain):
                return connection
            connection.close()


def _give_up_when_silent(connection: Any) -> None:
    """Have the system notice that the other machine is gone, and not wait for the deadline."""
    settings = {
        "TCP_KEEPIDLE": SILENT_S // 2,
        "TCP_KEEPINTVL": SILENT_S // 6,
        "TCP_KEEPCNT": 3,
        "TCP_USER_TIMEOUT": SILENT_S * 1000,
    }
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in settings.items():
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


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
    connector = _Connector(
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
