"""`--quote` on the command line: no call, no key, no server, no file; text or one JSON document."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from prefect_llm_reports.flows.cli.main import main
from prefect_llm_reports.tasks.storage.s3 import CLIENT_CONFIG
from tests.harness.endpoint import Endpoint
from tests.harness.pace import within

PRICES = '{"fake-large": {"input": 1, "output": 10}}'
COMMANDS = {
    "run": ["run", "Tidal power", "Rust"],
    "branches": ["branches", "Build or buy?", "--merge", "best"],
    "inputs": ["branches", "Build or buy?", "Rent or own?"],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, without a key, and with no Prefect server to reach."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLM_REPORTS_STORE", "store")
    monkeypatch.setenv("LLM_REPORTS_PRICES", PRICES)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_asked_and_nothing_is_written(
    command: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 0 with a quote as text, then as JSON; the endpoint hears of neither."""
    with Endpoint() as endpoint:
        given = [*COMMANDS[command], "--quote", "--base-url", endpoint.base_url]
        given += ["--model", "fake-large"]
        assert main(given) == 0
        shown = capsys.readouterr()
        assert main([*given, "--json"]) == 0
        quote = json.loads(capsys.readouterr().out)
        assert endpoint.requests == []
    assert list(folder.iterdir()) == []
    assert shown.err == ""
    assert shown.out.startswith("Quote: ")
    assert max(map(len, shown.out.splitlines())) <= 80
    items = 1 if command == "branches" else 2
    assert quote["topics"] == {"new": items, "changed": 0, "cached": 0}
    assert quote["calls"]["cached"] == 0
    assert 0 < quote["calls"]["made"] <= quote["calls"]["made_at_most"]
    assert 0 < float(quote["usual_usd"]["standard"]) < float(quote["worst_usd"]["standard"])
    assert quote["usual_usd"].keys() == quote["worst_usd"].keys() == {"standard", "flex", "batch"}
    assert quote["usual_usd"]["flex"] is None
    assert quote["seconds"] > 0


WAYS: dict[str, tuple[list[str], str]] = {
    "no key": ([], "usually 0."),
    "budget": (["--budget", "0.000001"], "leaves 2 topics undone; at worst 2"),
    "one": (["--budget", "0.02"], "leaves 1 topic undone; at worst 2"),
    "flex": (["--price", "flex", "--model", "gpt-5-mini"], "tier      flex"),
    "limits": (["--rpm", "1"], "limited by 1 request a minute"),
    "no price": (["--model", "house"], "The price of house is unknown; give it in the option"),
    "offline": (["--model", "offline"], "Quote: 2 topics, usually 0.00 USD"),
    "by --set": (["--set", "quote=true", "--model", "offline"], "Quote: 2 topics"),
    "split": (["--set", "shards=2"], "Quote: 2 topics"),
}


@pytest.mark.parametrize(("arguments", "said"), WAYS.values(), ids=WAYS)
def test_a_quote_says(
    arguments: list[str], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The quote of two topics names what its options decide."""
    quote = [] if "quote=true" in arguments else ["--quote"]
    assert main([*COMMANDS["run"], *quote, *arguments]) == 0
    assert said in capsys.readouterr().out
    assert list(folder.iterdir()) == []


BAD: dict[str, list[str]] = {
    "no topics": ["run"],
    "threshold": ["run", "Rust", "--quality-threshold", "11"],
    "budget without a price": ["run", "Rust", "--model", "house", "--budget", "1"],
    "no query": ["branches"],
    "no such file": ["branches", "Why?", "--branches-file", "none.yaml"],
}


@pytest.mark.parametrize("arguments", BAD.values(), ids=BAD)
def test_bad_input_ends_a_quote_as_it_ends_a_run(
    arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, and the problem on stderr."""
    assert main([*arguments, "--quote"]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("error: ")
    assert shown.out == ""
    assert list(folder.iterdir()) == []


def test_a_quote_is_one_json_document_of_a_real_process(folder: Path) -> None:
    """Stdout is the document and stderr is empty."""
    arguments = ["run", "Tidal power", "--quote", "--json"]
    done: Any = subprocess.run(
        [sys.executable, "-m", "prefect_llm_reports.flows.cli", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["topics"]["new"] == 1
    assert list(folder.iterdir()) == []


def test_a_place_that_cannot_be_read_ends_a_quote(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An S3 server that is not there: exit 2, before thousands of answers are looked for."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    monkeypatch.setitem(CLIENT_CONFIG, "retries", {"mode": "standard", "max_attempts": 1})
    places = ["--output", "s3://bucket/out", "--set", "store=s3://bucket/answers"]
    assert main([*COMMANDS["run"], "--quote", *places]) == 2
    said = capsys.readouterr().err
    assert "error: s3://bucket/out is not readable: " in said
    assert "error: s3://bucket/answers is not readable: " in said
    assert list(folder.iterdir()) == []


def test_many_topics_are_quoted_quickly(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Thousands of topics take seconds, since only the first question of each is made."""
    topics = folder / "topics.txt"
    topics.write_text("\n".join(f"Topic number {number}" for number in range(3000)))
    with within(8, time.process_time):
        assert main(["run", "--topics-file", "topics.txt", "--quote", "--model", "offline"]) == 0
    assert "3,000 new" in capsys.readouterr().out


@pytest.mark.parametrize("more", [[], ["--json"]], ids=["text", "json"])
def test_a_full_stdout_is_said(
    more: list[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Stdout takes nothing: stderr says so, and no traceback follows."""
    with suppress(OSError), Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stdout", full)
        assert main([*COMMANDS["run"], "--quote", *more]) == 0
        monkeypatch.undo()
    assert capsys.readouterr().err.startswith("stdout cannot take the ")
