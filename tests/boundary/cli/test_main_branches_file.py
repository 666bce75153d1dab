"""Branches files through the real command line: everything wrong is said at once, with status 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.boundary.cli.conftest import Run

COMMANDS = [["branches", "Why?"], ["draw"]]


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
    run: Run, tmp_path: Path, command: list[str], text: str, wanted: list[str]
) -> None:
    """No traceback, whatever the file holds, and one line for each problem."""
    (tmp_path / "b.yaml").write_text(text)
    done = run(*command, "--branches-file", "b.yaml")
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == len(wanted), done.stderr
    for start in wanted:
        assert [line for line in lines if line.startswith(f"error: {start}")], (start, lines)


def test_empty_options_are_no_problem(run: Run, tmp_path: Path) -> None:
    """`options:` with nothing behind it draws the program with its defaults."""
    (tmp_path / "b.yaml").write_text("branches: [{name: lonely}]\noptions:\nmodel:\n")
    done = run("draw", "--branches-file", "b.yaml")
    assert done.returncode == 0, done.stderr
    assert "lonely" in done.stdout


def test_file_and_arguments_are_checked_together(run: Run, tmp_path: Path) -> None:
    """What is wrong with the file, the inputs and the options is one list."""
    (tmp_path / "b.yaml").write_text("branches: [{name: a}]\nmodel: 5\n")
    (tmp_path / "q.csv").write_text("n\n1,2\n")
    done = run(
        "branches", "--branches-file", "b.yaml", "--queries-file", "q.csv",
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
def test_a_saved_endpoint_hides_no_problem(run: Run, arguments: list[str]) -> None:
    """What can be known without looking an endpoint up is said before a server is asked."""
    done = run(*arguments)
    assert done.returncode == 2, done.stderr
    assert "does not answer" not in done.stderr
    assert "quality_threshold is 11" in done.stderr or "option concurrency: " in done.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["Q", "--branches-file", "none.yaml"], "none.yaml: No such file"),
        (["Q", "--branches-file", "bad.yaml"], "branch a: uses b"),
        ([], "no input"),
        (["Q"], "no endpoint"),
    ],
)
def test_bad_input_is_refused_before_a_server_is_started(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    problem: str,
) -> None:
    """Exit 2 and every problem on stderr, without a Prefect server."""
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    (tmp_path / "bad.yaml").write_text("- {name: a, uses: [b]}\n")
    done = run("branches", *arguments)
    assert done.returncode == 2
    assert problem in done.stderr
