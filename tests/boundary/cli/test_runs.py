"""Killed runs are closed or removed, and then an output verifies; others stay as they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from prefect_llm_reports.flows.cli.main import main
from prefect_llm_reports.tasks.storage.places import LocalPlace
from tests.boundary.results.test_verifying import RUN, publish, verified
from tests.harness import ROOT

OTHER = "20260315T060000Z-0badcafe"
HOLDER = """
import sys
from pathlib import Path
from prefect_llm_reports.tasks.results.killed import at_work
from prefect_llm_reports.tasks.storage.places import LocalPlace

with at_work(LocalPlace(Path(sys.argv[1])), sys.argv[2]):
    print("at work", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """An output with a finished run, and one that was killed before its end."""
    publish(tmp_path / "out", run_id=RUN)
    run = publish(tmp_path / "out", run_id=OTHER)
    for name in ("batch.json", "SHA256SUMS", "index.html"):
        (run / name).unlink()
    (run / "request.json").write_text("{}")
    staged = run / ".topic-9.0123abcd.partial"
    staged.mkdir()
    (staged / "report.md").write_text("half")
    halves = run / "half-00000000"
    halves.mkdir()
    (halves / "report.md").write_text("half")
    (halves / "link").symlink_to(tmp_path / "precious")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x")
    assert verified(tmp_path / "out").status == "wrong"
    return tmp_path / "out"


def test_a_closed_run_verifies(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its reports are listed and summed, its other topics keep their state, halves are gone."""
    assert main(["runs", "close", OTHER, "--output", str(output)]) == 0
    assert f"{output}/{OTHER}: closed with 3 of 4 reports" in capsys.readouterr().out
    found = verified(output)
    assert (found.status, found.runs, found.reports) == ("good", 2, 6)
    about = json.loads((output / OTHER / "batch.json").read_text())
    assert about["status"] == "stopped"
    assert about["error"]["kind"] == "killed"
    assert sorted(r["status"] for r in about["reports"]) == ["failed", *["published"] * 3]
    assert (output.parent / "precious" / "file").exists()
    assert OTHER in (output / "index.html").read_text()
    assert main(["runs", "close", f"{output}/{OTHER}"]) == 2
    assert "has ended and stays as it is" in capsys.readouterr().err


def test_a_removed_run_is_gone(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing of it is left, links are not followed, and the page of all runs names it no more."""
    assert main(["runs", "remove", f"{output}/{OTHER}/"]) == 0
    assert "removed; the answers that it paid for stay in the store" in capsys.readouterr().out
    assert not (output / OTHER).exists()
    assert (output.parent / "precious" / "file").exists()
    assert OTHER not in (output / "index.html").read_text()
    assert verified(output).status == "good"


def test_a_run_at_work_is_left_alone(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """While its process lives it is refused; when the process is killed it is closed at once."""
    command = [sys.executable, "-c", HOLDER, str(output), OTHER]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "at work\n"
        for action in ("close", "remove"):
            assert main(["runs", action, f"{output}/{OTHER}"]) == 2
            assert "a process is or may be at work on it" in capsys.readouterr().err
        process.kill()
    assert main(["runs", "close", f"{output}/{OTHER}"]) == 0


@pytest.mark.parametrize(
    ("run", "wanted"),
    [
        (RUN, "has ended and stays as it is"),
        ("20260316T060000Z-00000000", "there is no such run"),
        ("node_modules", "is not a run"),
        ("..", "is not a run"),
        (".", "is not a run"),
    ],
)
def test_only_killed_runs_are_touched(
    run: str, wanted: str, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Finished runs and folders of others are refused, whatever is asked for."""
    (output / "node_modules").mkdir()
    before = sorted(path for path in output.rglob("*"))
    for action in ("close", "remove"):
        for named in ([f"{output}/{run}"], [run, "--output", str(output)]):
            assert main(["runs", action, *named, "--force"]) == 2
            assert wanted in capsys.readouterr().err
    assert sorted(path for path in output.rglob("*")) == before


def test_the_lock_is_no_part_of_what_is_published(output: Path) -> None:
    """The file of the locks is hidden, empty, and none of an output's files."""
    assert main(["runs", "close", f"{output}/{OTHER}"]) == 0
    assert os.stat(output / ".at-work").st_size == 0
    assert ".at-work" not in LocalPlace(output).names()


def test_runs_are_listed_and_shown(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Newest first, with date, status and cost; a killed one says what can be done with it."""
    assert main(["runs", str(output)]) == 0
    killed, finished = capsys.readouterr().out.splitlines()
    assert killed.startswith(OTHER)
    assert "not finished" in killed
    assert finished.startswith(RUN)
    assert "3 of 4" in finished
    assert "2026-03-14" in finished
    assert main(["runs", "--json", "--output", str(output)]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [run["run_id"] for run in listed] == [OTHER, RUN]

    assert main(["runs", "show", RUN, "--output", str(output)]) == 0
    shown = capsys.readouterr().out
    for report in json.loads((output / RUN / "batch.json").read_text())["reports"]:
        assert report["topic"] in shown
    assert main(["runs", "show", str(output / RUN), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run_id"] == RUN


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["show"], "name one run"),
        (["show", OTHER], "has not ended"),
        (["show", "20260314T060000Z-5c1e77d1"], "there is no such run"),
        (["show", "nothing"], "is not a run"),
        (["shwo", RUN], "did you mean show?"),
        (["remove", "2026"], "any of 2 runs"),
    ],
)
def test_a_run_that_cannot_be_shown_is_refused(
    words: list[str], wanted: str, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With status 2 and what to do."""
    before = sorted(output.rglob("*"))
    assert main(["runs", *words, "--output", str(output)]) == 2
    assert wanted in capsys.readouterr().err
    assert sorted(output.rglob("*")) == before


def test_a_damaged_result_is_said(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not JSON, or not a result, or with escape sequences in a topic."""
    for body in ("{", "[]", '{"run_id": 1}'):
        (output / RUN / "batch.json").write_text(body)
        assert main(["runs", "show", RUN, "--output", str(output)]) == 2
        assert "damaged" in capsys.readouterr().err
    assert main(["runs", str(output)]) == 0


def test_a_run_without_a_request_cannot_be_retried(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of an older version; a damaged request; one that is not there."""
    assert main(["retry", RUN, "--output", str(output)]) == 2
    assert "keeps no request" in capsys.readouterr().err
    (output / RUN / "request.json").write_text("{")
    assert main(["retry", RUN, "--output", str(output)]) == 2
    assert "damaged" in capsys.readouterr().err
    assert main(["retry", RUN.replace("14T", "13T"), "--output", str(output)]) == 2
    assert "no such run" in capsys.readouterr().err


def test_an_address_from_a_file_gets_no_key(
    output: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who may write to the output may not choose where the key is sent."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-key")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    kept = {
        "topics": [{"title": "Tidal power"}],
        "options": {"endpoint": "https://elsewhere.example/v1", "model": "gpt-5-mini"},
    }
    (output / RUN / "request.json").write_text(json.dumps(kept))
    assert main(["retry", RUN, "--output", str(output)]) == 2
    said = capsys.readouterr().err
    assert "the run asked https://elsewhere.example/v1" in said
    assert "give it with --base-url" in said
