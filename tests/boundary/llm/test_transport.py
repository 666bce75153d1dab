"""Proxies that the environment names: used, refused or passed by, and their passwords nowhere."""

from __future__ import annotations

import asyncio
import base64
import http.server
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from pydantic import SecretStr

from prefect_llm_reports.tasks.contract.errors import BadInput, CallError
from prefect_llm_reports.tasks.contract.settings import Settings
from prefect_llm_reports.tasks.inputs.requests import endpoint_for
from prefect_llm_reports.tasks.llm.client import Client
from prefect_llm_reports.tasks.llm.endpoint import Endpoint
from prefect_llm_reports.tasks.llm.replies import read_reply
from prefect_llm_reports.tasks.llm.transport import system_proxy
from tests.harness.endpoint import Endpoint as FakeEndpoint

PASSWORD = "hunter2-and-more"
BASIC = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
NAMES = [f"{kind}_proxy" for kind in ("http", "https", "all", "no")]


class _Refusing(http.server.BaseHTTPRequestHandler):
    """A proxy that wants another password, and repeats what it was given."""

    def do_CONNECT(self) -> None:
        given = self.headers.get("Proxy-Authorization", "")
        body = f"wrong: {given} {self.path} {PASSWORD}".encode()
        self.send_response(407, f"{PASSWORD} is wrong")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_CONNECT  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def proxy() -> Iterator[str]:
    """Address of a proxy that refuses, with credentials."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://me:{PASSWORD}@127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def asked(url: str) -> str:
    """What a call says that fails at an address."""

    async def main() -> str:
        async with AsyncExitStack() as resources:
            client = await Client.opened(Endpoint(url, SecretStr("sk-1234567890")), 2, resources)
            with pytest.raises(CallError) as failed:
                read_reply(await client.send({"model": "m"}), "h", "m")
            return repr(failed.value) + str(failed.value) + str(failed.value.__cause__)

    return asyncio.run(main())


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxys_password_is_not_in_its_refusal(
    scheme: str, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 407 is said in our words, without the address, the password or its encodings."""
    monkeypatch.setenv(f"{scheme}_proxy", proxy)
    said = asked(f"{scheme}://llm.example.com/v1")
    assert "407" in said
    assert PASSWORD not in said
    assert BASIC not in said


@pytest.mark.parametrize("proxy_at", ["127.0.0.1:9", f"http://me:{PASSWORD}@127.0.0.1:9"])
def test_a_proxy_that_is_away_is_named_as_the_cause(
    proxy_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy may be given without its scheme; that it is away is said, without its password."""
    monkeypatch.setenv("HTTPS_PROXY", proxy_at)
    said = asked("https://llm.example.com/v1")
    assert "the proxy is not reached" in said
    assert PASSWORD not in said


@pytest.mark.parametrize(
    "address",
    [
        f"socks5://me:{PASSWORD}@h:1",
        "socks5h://h:1080",
        "socks4://h",
        "ftp://h",
        "http://h:x",
        "//",
    ],
)
@pytest.mark.parametrize("name", ["https_proxy", "ALL_PROXY"])
def test_a_proxy_of_another_kind_is_refused_before_any_call(
    name: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check of a request says what to do; it does not repeat the address."""
    monkeypatch.setenv(name, address)
    endpoint = Endpoint("https://llm.example.com/v1", SecretStr("sk-1234567890"))
    with pytest.raises(BadInput) as bad:
        endpoint_for("m", endpoint, Settings())
    (problem,) = bad.value.problems
    assert "proxy of llm.example.com: " in problem
    assert "give an http(s) proxy, or name the host in NO_PROXY" in problem
    assert PASSWORD not in problem


@pytest.mark.parametrize(
    ("url", "used"),
    [
        ("http://127.0.0.1:8000/v1", False),
        ("http://127.0.0.2:8000/v1", False),
        ("http://localhost:8000/v1", False),
        ("http://[::1]:8000/v1", False),
        ("http://127.0.0.1.evil.example/v1", True),
        ("http://10.0.0.1/v1", True),
    ],
)
def test_this_machine_is_reached_without_a_proxy(
    url: str, used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy cannot reach this machine's own addresses; other names are not this machine."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    assert bool(system_proxy(url)) is used


def test_calls_to_this_machine_pass_a_socks_proxy_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that we cannot use is no reason against an endpoint on this machine."""
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")

    async def main(url: str) -> int:
        async with AsyncExitStack() as resources:
            client = await Client.opened(Endpoint(url, SecretStr("sk-1234567890")), 2, resources)
            return (await client.send({"model": "m", "messages": []})).status

    with FakeEndpoint() as endpoint:
        assert asyncio.run(main(endpoint.base_url)) == 200
