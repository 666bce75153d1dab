"""The doctor says what is there, and what to do where it is not; it costs nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from prefect_llm_reports.flows.cli.main import main

MODELS = b'{"object": "list", "data": [{"id": "gpt-5-mini"}, {"id": "qwen3"}]}'


class Server(ThreadingHTTPServer):
    """Answers every request with the same status and body, and counts requests by path."""

    status, body = 200, MODELS

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []


class Handler(BaseHTTPRequestHandler):
    """Of that server."""

    def do_GET(self) -> None:
        server: Any = self.server
        server.asked.append(f"GET {self.path}")
        self.send_response(server.status)
        self.send_header("Content-Length", str(len(server.body)))
        self.end_headers()
        self.wfile.write(server.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """An endpoint; store and output are in the test's folder."""
    with Server() as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{made.server_address[1]}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-doctor-0123456789abcdef")
        monkeypatch.setenv("LLM_REPORTS_STORE", str(tmp_path / "store"))
        monkeypatch.chdir(tmp_path)
        yield made
        made.shutdown()


def looked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """The status, and what was found, by name."""
    status = main(["doctor", "--json", *arguments])
    document = json.loads(capsys.readouterr().out)
    assert document["good"] == (status == 0)
    return status, {check["name"]: check for check in document["checks"]}


def test_all_is_well(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 0, a line each; only the list of models was asked for, and the key is not shown."""
    assert main(["doctor", "--model", "gpt-5-mini"]) == 0
    said = capsys.readouterr().out
    for name in ("Python", "Prefect server", "endpoint", "model", "price", "store", "output"):
        assert f"✓ {name}: " in said or f"· {name}: " in said
    assert "doctor-0123" not in said
    assert server.asked == ["GET /v1/models"]


@pytest.mark.parametrize(
    ("status", "body", "name", "state", "wanted"),
    [
        (401, b'{"error": {"message": "sk-doctor-0123456789abcdef?"}}', "endpoint", "bad", "key"),
        (403, b"", "endpoint", "bad", "refuses the key"),
        (503, b"<html>", "endpoint", "bad", "answers 503"),
        (404, b"<html>nothing here", "endpoint", "note", "lists no models"),
        (200, b"<html>welcome", "endpoint", "note", "lists no models"),
        (200, b'{"data": [{"name": 1}]}', "endpoint", "note", "lists no models"),
        (200, b'{"data": [{"id": "gpt-5-mni"}]}', "model", "note", "did you mean gpt-5-mni?"),
        (200, b'{"data": [{"id": "zzz"}]}', "model", "note", "choose one with --model"),
    ],
)
def test_an_endpoint_that_is_not_well(
    status: int,
    body: bytes,
    name: str,
    state: str,
    wanted: str,
    server: Server,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever it answers is one line, and never the key."""
    server.status, server.body = status, body
    code, found = looked(capsys, "--model", "gpt-5-mini")
    assert found[name]["state"] == state
    assert wanted in found[name]["found"]
    assert code == (2 if state == "bad" else 0)
    assert "doctor-0123" not in json.dumps(found)


def test_nobody_at_the_address(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """A port that nobody listens at is one bad line; the others are there."""
    code, found = looked(capsys, "--base-url", "http://127.0.0.1:9/v1")
    assert (code, found["endpoint"]["state"]) == (2, "bad")
    assert "; check the address and that the endpoint is running" in found["endpoint"]["found"]
    assert found["store"]["state"] == "good"


def test_nothing_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line of the endpoint says what to set; the embedded engine needs nothing."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LLM_REPORTS_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    code, found = looked(capsys)
    assert code == 2
    assert "OPENAI_API_KEY" in found["endpoint"]["found"]
    code, found = looked(capsys, "--model", "offline")
    assert code == 0
    assert "price" not in found


def test_places_that_cannot_be_written_to(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Store and output are tried, each by itself."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "store").write_text("x")
    code, found = looked(capsys, "--output", "file/reports")
    assert code == 2
    assert found["store"]["state"] == found["output"]["state"] == "bad"
