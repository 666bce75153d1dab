"""Whatever a configured Prefect API answers, the command says what it is and what to do."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_SSL_CERT_FILE,
    PREFECT_API_TLS_INSECURE_SKIP_VERIFY,
    PREFECT_API_URL,
    PREFECT_CLIENT_CUSTOM_HEADERS,
    PREFECT_SERVER_EPHEMERAL_ENABLED,
    temporary_settings,
)
from rich.console import Console

from prefect_llm_reports.flows.cli import server
from prefect_llm_reports.flows.cli.server import reach_server
from prefect_llm_reports.tasks.contract.errors import ServerUnreachable
from tests.harness.wire import certified

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers as the test says; as a healthy API otherwise."""

    answer: Answer
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.answer(self)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.do_GET()

    def reply(self, status: int, body: object, kind: str = "application/json") -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


def healthy(handler: Handler) -> None:
    """A Prefect API without CSRF tokens."""
    if handler.path.startswith("/api/csrf-token"):
        handler.reply(422, {"detail": "CSRF protection is disabled."})
    else:
        handler.reply(200, True if handler.path == "/api/health" else [])


def always(status: int, body: object, kind: str = "application/json") -> Answer:
    """The same to everything."""
    return lambda handler: handler.reply(status, body, kind)


def with_password(handler: Handler) -> None:
    """Prefect's own server: health without, all else with the password `admin:right`."""
    right = handler.headers.get("Authorization") == "Basic YWRtaW46cmlnaHQ="
    if right or handler.path == "/api/health":
        healthy(handler)
    else:
        handler.reply(401, {"exception_message": "Unauthorized"})


def with_header(handler: Handler) -> None:
    """A front that lets nobody in without a header of its own."""
    if handler.headers.get("X-Front") == "open":
        healthy(handler)
    else:
        handler.reply(403, "<h1>Sign in</h1>", "text/html")


@contextmanager
def answering(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[str]]]:
    """A web server; gives its address and the paths that were asked."""
    asked: list[str] = []
    made = type("Made", (Handler,), {"answer": staticmethod(answer), "asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), made) as listening:
        if tls:
            listening.socket = tls.wrap_socket(listening.socket, server_side=True)
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            scheme = "https" if tls else "http"
            yield f"{scheme}://127.0.0.1:{listening.server_address[1]}", asked
        finally:
            listening.shutdown()


def reach(url: str | None, more: dict[Any, Any] | None = None) -> None:
    with temporary_settings({PREFECT_API_URL: url, **(more or {})}):
        reach_server(Console(stderr=True))


PAGE = "<html><title>Welcome to nginx</title></html>"


@pytest.mark.parametrize(
    ("answer", "path", "said", "mend"),
    [
        (always(404, {"detail": "Not Found"}), "", "is not a Prefect API", "ends in /api"),
        (always(404, "Not Found", "text/plain"), "/api", "is not a Prefect API", "PREFECT_API_URL"),
        (always(200, PAGE, "text/html"), "/api", "another web server or a proxy's page", "correct"),
        (always(200, {"status": "ok"}), "/api", "is not a Prefect API", "correct PREFECT_API_URL"),
        (always(401, PAGE, "text/html"), "/api", "refuses this user (401)", "AUTH_STRING"),
        (always(403, {}), "/api", "refuses this user (403)", "AUTH_STRING"),
        (with_password, "/api", "refuses this user (401)", "PREFECT_API_AUTH_STRING"),
        (always(407, PAGE, "text/html"), "/api", "proxy wants a user", "NO_PROXY"),
        (always(500, PAGE, "text/html"), "/api", "not healthy: it answers 500", "server's log"),
        (always(503, "starting"), "/api", "not healthy: it answers 503", "try again"),
    ],
)
def test_an_answer_that_is_not_health_is_said_in_a_sentence(
    answer: Answer, path: str, said: str, mend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what to do, and without a secret of the address."""
    monkeypatch.setattr(server, "BUSY_S", 0)
    with answering(answer) as (url, _), pytest.raises(ServerUnreachable) as found:
        reach(url.replace("//", "//user:geheim@") + path)
    [problem] = found.value.problems
    assert said in problem
    assert mend in problem
    assert "geheim" not in problem
    assert "nginx" not in problem


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:4200/api", "ftp://127.0.0.1/api", "http:///api", "http://127.0.0.1:9/api"],
)
def test_an_address_that_nobody_answers_is_said_in_a_sentence(url: str) -> None:
    """Also where it is none."""
    with pytest.raises(
        ServerUnreachable, match=r"Prefect API at|PREFECT_API_URL is not an address"
    ):
        reach(url)


def test_a_server_that_speaks_no_tls_is_said_in_a_sentence() -> None:
    """The mend is about certificates and https."""
    with answering(healthy) as (url, _), pytest.raises(ServerUnreachable, match="SSL_CERT_FILE"):
        reach(url.replace("http:", "https:") + "/api")


@pytest.mark.parametrize(
    ("answer", "settings"),
    [
        (healthy, {}),
        (with_password, {PREFECT_API_AUTH_STRING: "admin:right"}),
        (with_header, {PREFECT_CLIENT_CUSTOM_HEADERS: {"X-Front": "open"}}),
    ],
)
def test_a_server_that_prefect_reaches_is_reached(answer: Answer, settings: dict[Any, Any]) -> None:
    """Its password and headers are sent."""
    with answering(answer) as (url, asked):
        reach(f"{url}/api", settings)
    assert "/api/health" in asked


class Front:
    """A TLS front before the API: its context, its authority's file, and one of another."""

    def __init__(self, folder: Path) -> None:
        self.authority, self.other = folder / "authority.pem", folder / "other.pem"
        self.context = certified(self.authority)
        certified(self.other)
        (folder / "no.pem").write_text("no certificate")
        self.damaged, self.absent = folder / "no.pem", folder / "absent.pem"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Front:
    """Made once for all tests."""
    return Front(tmp_path_factory.mktemp("front"))


PASSWORD = {PREFECT_API_AUTH_STRING: "admin:right"}
HEADER = {PREFECT_CLIENT_CUSTOM_HEADERS: {"X-Front": "open"}}
UNVERIFIED = {PREFECT_API_TLS_INSECURE_SKIP_VERIFY: True}


@pytest.mark.parametrize(
    ("answer", "settings"),
    [(healthy, {}), (with_password, PASSWORD), (with_header, HEADER)],
)
@pytest.mark.parametrize("trusts", ["authority", "everything"])
def test_a_server_behind_tls_that_prefect_reaches_is_reached(
    answer: Answer, settings: dict[Any, Any], trusts: str, front: Front
) -> None:
    """By the file of a private authority, or unverified, with password and headers."""
    trust = {PREFECT_API_SSL_CERT_FILE: str(front.authority)} if trusts == "authority" else {}
    with answering(answer, front.context) as (url, asked):
        reach(f"{url}/api", {**(trust or UNVERIFIED), **settings})
    assert "/api/health" in asked


@pytest.mark.parametrize(
    ("answer", "file", "settings", "said"),
    [
        (healthy, "", {}, "its certificate is not trusted"),
        (healthy, "other", {}, "its certificate is not trusted"),
        (healthy, "damaged", {}, "PREFECT_API_SSL_CERT_FILE"),
        (healthy, "absent", {}, "PREFECT_API_SSL_CERT_FILE"),
        (with_password, "authority", {}, "refuses this user (401)"),
        (with_password, "authority", {PREFECT_API_AUTH_STRING: "admin:geheim"}, "(401)"),
        (with_header, "authority", {}, "refuses this user (403)"),
        (
            with_header,
            "authority",
            {PREFECT_CLIENT_CUSTOM_HEADERS: {"X-Front": "geheim"}},
            "refuses this user (403)",
        ),
        (always(200, PAGE, "text/html"), "authority", {}, "is not a Prefect API"),
    ],
)
def test_what_a_tls_front_refuses_is_said_in_a_sentence(
    answer: Answer, file: str, settings: dict[Any, Any], said: str, front: Front
) -> None:
    """With the setting that mends it, and without any secret."""
    trust = {PREFECT_API_SSL_CERT_FILE: str(getattr(front, file))} if file else {}
    with (
        answering(answer, front.context) as (url, _),
        pytest.raises(ServerUnreachable) as found,
    ):
        reach(f"{url}/api", {**trust, **settings})
    [problem] = found.value.problems
    assert said in problem
    assert "PREFECT_API_" in problem
    assert "geheim" not in problem


@pytest.mark.parametrize("address", ["http", "https"])
def test_a_server_that_speaks_tls_only_by_its_address_is_told_from_one_that_does(
    address: str, front: Front
) -> None:
    """An address that begins with http where the server speaks TLS, or the reverse."""
    tls = front.context if address == "http" else None
    with answering(healthy, tls) as (url, _), pytest.raises(ServerUnreachable) as found:
        reach(f"{address}://{url.partition('://')[2]}/api")
    assert "http" in found.value.problems[0].partition(";")[2]


@pytest.mark.parametrize("silent_at", ["/api/health", "/api/flows/filter", "drip"])
def test_a_server_that_never_answers_is_given_up(
    silent_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that takes connections and keeps silent, and one that sends a byte at a time."""
    over = threading.Event()

    def answer(handler: Handler) -> None:
        if silent_at == "drip":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not over.wait(0.05):
                handler.wfile.write(b"X-More: x\r\n")
        elif handler.path.startswith(silent_at):
            over.wait()
        else:
            healthy(handler)

    monkeypatch.setattr(server, "ANSWERS_S", (0.3, 0.3))
    monkeypatch.setattr(server, "ENOUGH_S", 3.0)
    with answering(answer) as (url, _):
        try:
            with pytest.raises(ServerUnreachable, match=r"does not answer \(no answer in time\)"):
                reach(f"{url}/api")
        finally:
            over.set()


def test_a_server_that_is_silent_at_the_end_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """One slow answer is not enough."""
    over, tries = threading.Event(), list[str]()

    def silent(handler: Handler) -> None:
        tries.append(handler.path)
        over.wait()

    monkeypatch.setattr(server, "AWAY_S", 0.2)
    monkeypatch.setattr(server, "BUSY_S", 0)
    with answering(silent) as (url, _), temporary_settings({PREFECT_API_URL: f"{url}/api"}):
        try:
            assert server.server_is_away()
        finally:
            over.set()
    assert len(tries) == server.AWAY_TRIES


@pytest.mark.parametrize("first", ["slow", "busy", "cut off"])
def test_one_bad_answer_is_no_outage(first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy server answers at the second try."""
    given_up = threading.Event()
    tries: list[str] = []

    def answer(handler: Handler) -> None:
        tries.append(handler.path)
        if len(tries) > 1:
            healthy(handler)
        elif first == "slow":
            given_up.wait()
        elif first == "busy":
            handler.reply(503, "busy")
        else:
            handler.close_connection = True

    monkeypatch.setattr(server, "ANSWERS_S", (0.3, 60.0))
    monkeypatch.setattr(server, "BUSY_S", 0)
    with answering(answer) as (url, _):
        try:
            reach(f"{url}/api")
        finally:
            given_up.set()


def test_the_proxies_of_the_environment_are_not_asked_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Loopback is reached directly."""
    from prefect_llm_reports.tasks.runtime.environment import reach_loopback_directly

    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    monkeypatch.delenv("no_proxy", raising=False)
    reach_loopback_directly()
    with answering(healthy) as (url, _):
        reach(f"{url}/api")


def test_without_an_address_and_with_the_embedded_server_off_it_says_both() -> None:
    """The two ways out are named."""
    off: dict[Any, Any] = {PREFECT_SERVER_EPHEMERAL_ENABLED: False}
    with pytest.raises(ServerUnreachable, match=r"MODE=false.*prefect server start"):
        reach(None, off)
