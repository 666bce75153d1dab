"""A server on loopback that notifications are posted to, and that keeps them."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID


class Receiver(ThreadingHTTPServer):
    """Records what is posted to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Recording)
        self.bodies: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}/hook"

    def told(self, what: str, run_id: UUID) -> list[str]:
        """The texts about one run."""
        return [
            body["text"]
            for body in self.bodies
            if (body["what"], body["flow_run_id"]) == (what, str(run_id))
        ]


class _Recording(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Type"] == "application/json"
        self.server.bodies.append(json.loads(body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass
