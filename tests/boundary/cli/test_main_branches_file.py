"""Branches files through the real command line: everything wrong is said at once, with status 2."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = [["branches", "Why?"], ["draw"]]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line in a folder, with no Prefect server to reach and no key."""
    return subprocess.run(
        [sys.executable, "-m", "prefect_llm_reports.flows.cli", *arguments],
        cwd=folder,
        env={
            **os.environ,
            "PREFECT_API_URL": "http://127.0.0.1:9/api",
            "LLM_REPORTS_STORE": str(folder / "store"),
            "OPENAI_API_KEY": "sk-nobody",
        },
        capture_output=True,
        text=True,
        timeout=120,
    )


BAD = [
    ("branches: [{name: a}]\nmodel: 5\n", ["b.yaml: model: "]),
    ("branches: [{name: a}]\nmodle: m\n", ["b.yaml: modle: unknown name"]),
    ("branches: 5\n", ["b.yaml: wanted a list of branches"]),
    ("branches: [{name: a}]\noptions: 5\n", ["b.yaml: options: "]),
    ("- &a [*a]\n", ["b.yaml line 1: the alias *a does not stand for"]),
    (
        "model: 5\nmerge: bst\nowner: me\noptions: {concurrency: lots}\n"
        "branches:\n- {name: a, temperature: 9}\n- {name: b c}\n- 7\n"
        "- {name: d, uses: [zz, a.answer]}\n- {name: D}\n",
        [
            "b.yaml: model: ",
            "b.yaml: merge: ",
            "b.yaml: owner: ",
            "b.yaml: options.concurrency: ",
            "branch a: temperature: ",
            "branch b c: name: ",
            "branches[3]: wanted an object",
            "branch d: uses zz, but there is no branch zz",
            "branch d: 2 branches have this name",
        ],
    ),
]


@pytest.mark.parametrize("command", COMMANDS, ids=["branches", "draw"])
@pytest.mark.parametrize(("text", "wanted"), BAD, ids=[text for text, _ in BAD])
def test_a_bad_file_gives_status_2_and_all_its_problems(
    tmp_path: Path, command: list[str], text: str, wanted: list[str]
) -> None:
    """No traceback, whatever the file holds, and one line for each problem."""
    (tmp_path / "b.yaml").write_text(text)
    done = run(tmp_path, *command, "--branches-file", "b.yaml")
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == len(wanted), done.stderr
    for start in wanted:
        assert [line for line in lines if line.startswith(f"error: {start}")], (start, lines)


def test_empty_options_are_no_problem(tmp_path: Path) -> None:
    """`options:` with nothing behind it draws the program with its defaults."""
    (tmp_path / "b.yaml").write_text("branches: [{name: lonely}]\noptions:\nmodel:\n")
    done = run(tmp_path, "draw", "--branches-file", "b.yaml")
    assert done.returncode == 0, done.stderr
    assert "lonely" in done.stdout


def test_file_and_arguments_are_checked_together(tmp_path: Path) -> None:
    """What is wrong with the file, the inputs and the options is one list."""
    (tmp_path / "b.yaml").write_text("branches: [{name: a}]\nmodel: 5\n")
    (tmp_path / "q.csv").write_text("n\n1,2\n")
    done = run(
        tmp_path, "branches", "--branches-file", "b.yaml", "--queries-file", "q.csv",
        "--budget", "lots",
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 3
    for problem in ("b.yaml: model: ", "q.csv row 2: 2 cells", "option budget_usd: "):
        assert f"error: {problem}" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "C++", "--endpoint", "saved", "--quality-threshold", "11"],
        ["branches", "", "--endpoint", "saved", "--concurrency", "0"],
    ],
)
def test_a_saved_endpoint_hides_no_problem(tmp_path: Path, arguments: list[str]) -> None:
    """What can be known without looking an endpoint up is said before a server is asked."""
    done = run(tmp_path, *arguments)
    assert done.returncode == 2, done.stderr
    assert "does not answer" not in done.stderr
    assert "quality_threshold is 11" in done.stderr or "option concurrency: " in done.stderr
