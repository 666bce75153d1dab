"""Addresses of other kinds than S3's end every command before any call, and make no folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefect_llm_reports.flows.cli.main import main

COMMANDS = {
    "output": ["run", "Rust", "--model", "offline", "--output", "{}"],
    "topics": ["run", "--model", "offline", "--topics-file", "{}/t.csv"],
    "answers": ["branches", "One?", "--model", "offline", "--output", "{}"],
    "queries": ["branches", "--model", "offline", "--queries-file", "{}/q.csv"],
    "branches": ["branches", "One?", "--model", "offline", "--branches-file", "{}/b.yaml"],
    "drawing": ["draw", "--output", "{}/x.svg"],
    "verify": ["verify", "{}"],
    "view": ["view", "{}", "--no-browser"],
    "store": ["run", "Rust", "--model", "offline", "--output", "o"],
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("address", ["gs://bucket", "S3://bucket", "s3:/bucket", "file:///x"])
def test_every_command_refuses_other_addresses(
    command: str,
    address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit status 2, one sentence that says what to write, and no folder called `gs:`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLM_REPORTS_STORE", address if command == "store" else "store")
    assert main([part.format(address) for part in COMMANDS[command]]) == 2
    said = capsys.readouterr().err
    assert said.count("error: ") == 1
    assert "is an address of a kind that is not supported; " in said
    assert not {path.name for path in tmp_path.iterdir()} - {"store", "o", "reports", "answers"}


def test_refusals_are_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a person or a file wrote is repeated without signs that a terminal obeys."""
    bad = "\x1b]0;own\x07\x9b2J\u202e"
    (tmp_path / "b.yaml").write_text(f'- {{name: "x{ascii(bad)[1:-1]}", instructions: hi}}\n')
    for arguments in (
        ["run", "--topics-file", f"{bad}.txt", "--model", "offline"],
        ["run", bad, "--model", "offline"],
        ["verify", f"{tmp_path}/{bad}"],
        ["view", f"{tmp_path}/{bad}"],
        ["branches", "One?", "--branches-file", f"{tmp_path}/b.yaml", "--model", "offline"],
    ):
        assert main(arguments) == 2
        said = capsys.readouterr()
        assert said.err
        assert not [sign for sign in said.err + said.out if not sign.isprintable() and sign != "\n"]
