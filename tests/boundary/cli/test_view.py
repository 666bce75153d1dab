"""`view` shows the pages of an output to this machine's browser, and nothing else to anybody."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from prefect_llm_reports.flows.cli.main import main
from prefect_llm_reports.flows.cli.view import Pages, make_server
from prefect_llm_reports.tasks.contract.errors import BadInput, StorageError
from prefect_llm_reports.tasks.storage.places import LocalPlace
from tests.harness import ROOT


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """An output folder with a page, a run with a report, and things that are nobody's business."""
    report = tmp_path / "out" / "run" / "a report"
    report.mkdir(parents=True)
    for name, text in {
        "index.html": "all runs",
        "run/index.html": "the run",
        "run/a report/report.html": "the page",
        "run/a report/report.md": "# T",
        "run/a report/report.pdf": "%PDF",
        ".secret": "hidden",
        "run/.a.0a1b2c3d.partial": "half",
        "bare/notes.txt": "text",
    }.items():
        path = tmp_path / "out" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (tmp_path / "outside.html").write_text("outside")
    os.symlink(tmp_path / "outside.html", tmp_path / "out" / "link.html")
    os.symlink(tmp_path, tmp_path / "out" / "up")
    return tmp_path / "out"


@contextmanager
def served(folder: Path) -> Iterator[int]:
    """A server of a folder; gives its port."""
    with make_server(str(folder)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def ask(
    port: int, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), body


def test_pages_are_served_with_their_types_and_safe_headers(output: Path) -> None:
    """Every file has its content type; folders open with their page; headers forbid guessing."""
    with served(output) as port:
        for path, kind, body in (
            ("/", "text/html; charset=utf-8", b"all runs"),
            ("/index.html?x=1", "text/html; charset=utf-8", b"all runs"),
            ("/run/", "text/html; charset=utf-8", b"the run"),
            ("/run/a%20report/report.html", "text/html; charset=utf-8", b"the page"),
            ("/run/a%20report/report.md", "text/markdown; charset=utf-8", b"# T"),
            ("/run/a%20report/report.pdf", "application/pdf", b"%PDF"),
        ):
            status, headers, found = ask(port, path)
            assert (status, headers["Content-Type"], found) == (200, kind, body), path
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        for path, location in (
            ("/run", "/run/"),
            ("/run/a%20report", "/run/a%20report/"),
            ("/run/a%20report/", "/run/a%20report/report.html"),
        ):
            status, headers, _ = ask(port, path)
            assert (status, headers["Location"]) == (302, location)
        status, headers, body = ask(port, "/", "HEAD")
        assert (status, headers["Content-Length"], body) == (200, "8", b"")


@pytest.mark.parametrize(
    "path",
    [
        "/.secret", "/run/.a.0a1b2c3d.partial", "/link.html", "/up/outside.html", "/up/",
        "/../outside.html", "/%2e%2e/outside.html", "/run/..%2f..%2foutside.html",
        "/run/%2e%2e/%2e%2e/outside.html", "/..%5coutside.html", "//etc/passwd",
        "/run//index.html", "/%2fetc/passwd", "/index.html%00.md", "/./index.html", "/bare/",
        "/bare", "/none.html", "/index.html/", "/%ff", "/" + "a" * 5000,
    ],
)  # fmt: skip
def test_nothing_else_is_served(output: Path, path: str) -> None:
    """No traversal, no link out, no hidden file, no listing: all of it is simply not there."""
    with served(output) as port:
        status, _, body = ask(port, path)
    assert status == 404, body
    assert b"outside" not in body
    assert b"notes" not in body


def test_nobody_writes_and_no_other_site_reads(output: Path) -> None:
    """Other methods are refused, and so is a name that another site made point here."""
    with served(output) as port:
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            assert ask(port, "/", method)[0] == 501
        assert ask(port, "/", Host=f"evil.test:{port}")[0] == 421
        assert ask(port, "/", Host=f"localhost:{port}")[0] == 200
        with socket.socket() as outside, pytest.raises(OSError, match="refused"):
            outside.connect(("127.0.0.2", port))


def test_a_place_that_cannot_be_read_is_said(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A storage error is answered as such, and the server goes on."""

    def fails(self: LocalPlace, name: str) -> bytes:
        raise StorageError("secret detail")

    with served(output) as port:
        with monkeypatch.context() as patched:
            patched.setattr(LocalPlace, "read", fails)
            status, _, body = ask(port, "/")
        assert status == 502
        assert b"secret" not in body
        assert ask(port, "/")[0] == 200


class Bucket:
    """A place on the network with some files."""

    where, on_network = "s3://bucket/x", True

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def read(self, name: str) -> bytes | None:
        return self.files.get(name)

    def names(self, folder: str = "", *, hidden: bool = False) -> list[str]:
        at = f"{folder}/" if folder else ""
        return sorted({n[len(at) :].split("/")[0] for n in self.files if n.startswith(at)})


def test_a_bucket_is_shown_like_a_folder() -> None:
    """Objects are found by the same addresses, and hidden ones are not."""
    files = {"index.html": b"all", "run/report.html": b"page", "run/.hidden": b"no"}
    pages = Pages(Bucket(files))  # pyright: ignore[reportArgumentType]
    assert pages.find("/") == ("index.html", b"all")
    assert pages.find("/run/") == "/run/report.html"
    assert pages.find("/run") == "/run/"
    assert pages.find("/run/.hidden") is None
    assert pages.find("/run/../index.html") is None


def test_a_folder_without_pages_and_a_taken_port_are_bad_input(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be shown is said with exit 2, before anything listens."""
    assert main(["view", str(output / "bare"), "--no-browser"]) == 2
    assert "has no index.html" in capsys.readouterr().err
    assert main(["view", str(output / "nowhere"), "--no-browser"]) == 2
    assert "does not exist or is empty" in capsys.readouterr().err
    (output / "topics.txt").write_text("Tides")
    assert main(["view", str(output / "topics.txt"), "--no-browser"]) == 2
    assert "is a file; give a folder" in capsys.readouterr().err
    with served(output) as port, pytest.raises(BadInput, match="another --port"):
        make_server(str(output), port)


def test_the_command_opens_the_browser_and_ends_on_ctrl_c(output: Path, tmp_path: Path) -> None:
    """It prints the address, opens it, answers there, and Ctrl-C ends it with status 0."""
    opened = tmp_path / "opened"
    script = tmp_path / "browser"
    script.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.new && mv {opened}.new {opened}\n')
    script.chmod(0o755)
    with subprocess.Popen(
        [sys.executable, "-m", "prefect_llm_reports.flows.cli", "view", str(output)],
        cwd=ROOT,
        env={**os.environ, "BROWSER": str(script)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        address = process.stdout.readline().strip()
        with urllib.request.urlopen(address, timeout=30) as page:
            assert page.read() == b"all runs"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert opened.read_text() == address
