"""`llm-reports view`: serves the pages of an output, read-only, to this machine's browser.

Not here: making pages.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import webbrowser
from collections.abc import Generator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from prefect_llm_reports.flows.cli.verify import opened
from prefect_llm_reports.tasks.contract.errors import BadInput, StorageError
from prefect_llm_reports.tasks.storage.media_types import media_type
from prefect_llm_reports.tasks.storage.places import LocalPlace, Place, open_place

HOST = "127.0.0.1"
FIRST_PAGES = ("index.html", "report.html")


class Pages:
    """The files that a browser may read, by the path of their address.

    Args:
        place: Where the pages are.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self._root = Path(place.where).resolve() if isinstance(place, LocalPlace) else None

    def first_page(self, folder: str = "") -> str | None:
        """The first page of a folder; None: it has none."""
        names = set(self.place.names(folder))
        return next((page for page in FIRST_PAGES if page in names), None)

    def find(self, path: str) -> tuple[str, bytes] | str | None:
        """A file's name and content; or the address to go to instead; or None: no such page.

        Args:
            path: The path of the address, still percent-encoded.
        """
        parts = unquote(path, errors="replace").removeprefix("/").split("/")
        folder, last = parts[:-1], parts[-1]
        if any(not self._visible(part) for part in (*folder, *([last] if last else []))):
            return None
        name = "/".join((*folder, last))
        if not self._inside(name):
            return None
        if last:
            body = self._read(name)
            if body is not None:
                return name, body
            return f"/{quote(name)}/" if self.first_page(name) else None
        page = self.first_page("/".join(folder))
        if page is None:
            return None
        body = self._read(f"{name}{page}") if page == FIRST_PAGES[0] else None
        return f"/{quote(name)}{page}" if body is None else (f"{name}{page}", body)

    @staticmethod
    def _visible(part: str) -> bool:
        """Whether a part of an address is a name that a browser may read."""
        ordinary = not set(part) & set("\\\0") and len(part.encode(errors="replace")) < 256
        return bool(part) and not part.startswith(".") and ordinary

    def _inside(self, name: str) -> bool:
        """Whether a local path is below the root, without a symbolic link on the way."""
        if self._root is None:
            return True
        try:
            return (self._root / name).resolve() == self._root.joinpath(*name.split("/"))
        except (OSError, ValueError, RuntimeError):
            return False

    def _read(self, name: str) -> bytes | None:
        if self._root is not None and (not self._inside(name) or not (self._root / name).is_file()):
            return None
        return self.place.read(name)


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD; everything else is refused by the base class."""

    pages: Pages
    server_version, sys_version = "llm-reports", ""
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        """Answer with a page."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer with a page's headers."""
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        port = self.connection.getsockname()[1]
        if self.headers.get("Host") not in (f"{HOST}:{port}", f"localhost:{port}"):
            self._send(HTTPStatus.MISDIRECTED_REQUEST, b"Use the address in the terminal.\n")
            return
        try:
            found = self.pages.find(urlsplit(self.path).path)
        except (StorageError, ValueError):
            self._send(HTTPStatus.BAD_GATEWAY, b"The file cannot be read now; try again.\n")
            return
        if found is None:
            self._send(HTTPStatus.NOT_FOUND, b"No such page.\n", with_body=with_body)
        elif isinstance(found, str):
            self._send(HTTPStatus.FOUND, b"", location=found)
        else:
            name, body = found
            self._send(HTTPStatus.OK, body, kind=media_type(name), with_body=with_body)

    def _send(
        self,
        status: HTTPStatus,
        body: bytes,
        *,
        kind: str = "text/plain; charset=utf-8",
        location: str = "",
        with_body: bool = True,
    ) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Location": location,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "X-Frame-Options": "DENY",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Content-Security-Policy": _policy(kind),
            "Cache-Control": "no-cache",
        }
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: the terminal shows the address only."""


def _policy(kind: str) -> str:
    """The policy of a file: pages have their own; other files may load nothing at all."""
    whole = kind.startswith("text/html") or kind == "application/pdf"
    return "frame-ancestors 'none'" if whole else "default-src 'none'; frame-ancestors 'none'"


def view(chosen: argparse.Namespace) -> int:
    """Serve a folder's pages until Ctrl-C, and return the exit status.

    Args:
        chosen: The parsed command line: an output folder, a run, or a result directory; also s3://
            or s3-bucket/NAME.

    Raises:
        BadInput: The folder has no pages, or the port is in use.
    """
    with make_server(chosen.directory, chosen.port) as server:
        address = f"http://{HOST}:{server.server_address[1]}/"
        try:
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGINT, signal.default_int_handler)
            sys.stdout.write(f"{address}\n")
            sys.stdout.flush()
            sys.stderr.write("Press Ctrl-C to end.\n")
            if not chosen.no_browser:
                webbrowser.open(address)
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


def make_server(directory: str, port: int = 0) -> ThreadingHTTPServer:
    """Make a server of a folder's pages; it listens, and does not serve yet.

    Raises:
        BadInput: The folder has no pages, or the port is in use.
    """
    try:
        pages = Pages(opened(directory))
        if pages.first_page() is None:
            raise BadInput(
                f"{directory} has no index.html; give an output folder, a run or a result directory"
            )
    except StorageError as error:
        raise BadInput(str(error)) from None
    return _listening(pages, port)


@contextmanager
def served_beside(output: str, port: int) -> Generator[str]:
    """Serve an output's pages beside what else this process does; runs may still make the folder.

    Args:
        output: The output folder; also s3:// or s3-bucket/NAME.
        port: The port to use if it is free.

    Yields:
        The address, without a slash at its end.

    Raises:
        BadInput: The output is no place for files.
    """
    try:
        pages = Pages(open_place(output))
    except StorageError as error:
        raise BadInput(str(error)) from None
    try:
        server = _listening(pages, port)
    except BadInput:
        server = _listening(pages, 0)
    with server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def _listening(pages: Pages, port: int) -> ThreadingHTTPServer:
    """A server of pages that listens.

    Raises:
        BadInput: The port is in use.
    """
    handler = type("Handler", (_Handler,), {"pages": pages})
    try:
        server = ThreadingHTTPServer((HOST, port), handler)
    except OSError as error:
        raise BadInput(f"port {port}: {error.strerror}; give another --port") from None
    server.daemon_threads = True
    return server
