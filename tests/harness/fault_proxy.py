"""A small HTTP proxy in front of an S3 server that turns away, or holds, chosen requests."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

_ERROR = """<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>{code}</Code><Message>{code}</Message><RequestId>1</RequestId></Error>"""
_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "expect", "content-length"}


@dataclass(frozen=True)
class Seen:
    """A request that arrived: its method, its path, and how many of this method came before.

    Attributes:
        conditional: It has a condition.
    """

    method: str
    path: str
    number: int
    conditional: bool = False


Fault = tuple[int, str] | threading.Event | None
"""A status and S3's name of the error; or what to wait for before the request goes on."""


class FaultProxy:
    """Passes requests on, but for those that `fault` has an answer to; a context manager.

    Args:
        target: Address of the S3 server.

    Attributes:
        ignored: Headers that do not reach the server, in small letters.
    """

    def __init__(self, target: str) -> None:
        self.target = urlsplit(target).netloc
        self.fault: Callable[[Seen], Fault] = lambda seen: None
        self.seen: list[Seen] = []
        self.ignored: set[str] = set()
        self._guard = threading.Lock()
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def arrived(self, method: str, path: str, conditional: bool = False) -> Fault:
        """Note a request, and say what is to become of it."""
        with self._guard:
            number = sum(seen.method == method for seen in self.seen) + 1
            self.seen.append(Seen(method, path, number, conditional))
            return self.fault(self.seen[-1])


class _Handler(BaseHTTPRequestHandler):
    proxy: FaultProxy
    protocol_version = "HTTP/1.1"

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        conditional = bool(self.headers.get("If-None-Match") or self.headers.get("If-Match"))
        fault = self.proxy.arrived(self.command, self.path, conditional)
        if isinstance(fault, tuple):
            status, code = fault
            self._send(status, [("Content-Type", "application/xml")], _ERROR.format(code=code))
            return
        if fault is not None:
            fault.wait(120)
        dropped = {*_BY_HOP, *self.proxy.ignored} - {"host"}
        headers = {k: v for k, v in self.headers.items() if k.lower() not in dropped}
        connection = http.client.HTTPConnection(self.proxy.target, timeout=60)
        try:
            connection.request(self.command, self.path, body=body, headers=headers)
            answer = connection.getresponse()
            kept = [(k, v) for k, v in answer.getheaders() if k.lower() not in _BY_HOP]
            size = answer.getheader("Content-Length") if self.command == "HEAD" else None
            self._send(answer.status, kept, answer.read(), size)
        except OSError:
            self.close_connection = True
        finally:
            connection.close()

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _pass_on  # noqa: N815

    def _send(
        self, status: int, headers: list[tuple[str, str]], body: Any, size: str | None = None
    ) -> None:
        body = body.encode() if isinstance(body, str) else body
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", size or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
