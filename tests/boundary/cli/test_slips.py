"""Arguments that are meant to be files or flags are refused before anything is asked."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from prefect_llm_reports.flows.cli.slips import texts_given
from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.inputs.queries import read_queries
from prefect_llm_reports.tasks.inputs.topics import read_topics

SLIPS = {
    "there.txt": "a file that exists",
    "there": "a file that exists",
    "folder": "a folder that exists",
    "./folder/": "a folder that exists",
    "options.yaml": "with --topics-file, one of options with --options",
    "paper.pdf": "a source of the reports with --source",
    "topics.yml": "reads like the name of a file",
    "Topics.CSV": "reads like the name of a file",
    "data/topics.xlsx": "reads like the name of a file",
    "s3://bucket/topics.yaml": "reads like an address of a file",
    "file:///tmp/topics.txt": "reads like an address of a file",
    "\u2014budget 2": "for the option type --budget",
    "\u2013model": "for the option type --model",
}
TOPICS = [
    *("Tidal power", "C++", "ASP.NET", "Node.js", "What is a .csv file?", "A/B testing", "-5 °C"),
    *("\u2014", "\u2013 5 degrees", "x" * 5000, "a\0b", "README.md in open source projects"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with a file, one without an ending, and a folder."""
    for name in ("there.txt", "there", "options.yaml", "paper.pdf"):
        (tmp_path / name).write_text("Tidal power\n")
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("word", "wanted"), SLIPS.items())
def test_a_slip_is_refused_with_the_flag_that_was_meant(word: str, wanted: str) -> None:
    """The sentence says what the argument is, and names the flag."""
    with pytest.raises(BadInput) as bad:
        texts_given(["Tidal power", word], "topics", read_topics)
    (problem,) = bad.value.problems
    assert wanted in problem
    assert "--" in problem


def test_slips_come_together_and_name_the_commands_own_flag() -> None:
    """All of them at once; a question's flag is --queries-file."""
    with pytest.raises(BadInput) as bad:
        texts_given(["options.yaml", "q.csv"], "queries", read_queries)
    assert "one of branches with --branches-file" in bad.value.problems[0]
    assert len(bad.value.problems) == 2
    assert all("--queries-file" in p and p.startswith("query ") for p in bad.value.problems)


def test_a_thousand_files_of_a_glob_are_one_message() -> None:
    """The first twenty are listed, the rest counted."""
    with pytest.raises(BadInput) as bad:
        texts_given(["there"] * 1000, "topics", read_topics)
    assert len(bad.value.problems) == 21
    assert bad.value.problems[-1] == "and 980 more"


@pytest.mark.parametrize("word", TOPICS)
def test_what_may_be_a_topic_is_one(word: str) -> None:
    """Dots, slashes, dashes and any length are nothing to refuse here."""
    assert texts_given([word], "topics", read_topics) == [word]


class Stdin(io.TextIOWrapper):
    """Standard input with these bytes."""

    def __init__(self, body: bytes) -> None:
        super().__init__(io.BytesIO(body))


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """One text a line, in the place of the dash, by the rules of .txt files."""
    monkeypatch.setattr(sys, "stdin", Stdin("# mine\n Café \r\n\nC++\n".encode()))
    assert texts_given(["First", "-", "Last"], "topics", read_topics) == [
        *("First", "Café", "C++", "Last")
    ]


@pytest.mark.parametrize(
    ("body", "words", "wanted"),
    [
        (b" \n", ["-"], "holds no topics"),
        (b"caf\xe9\n", ["-"], "stdin.txt line 1: byte 4"),
        (b"title,guidance\nA,b\n", ["-"], "reads like the header of a table"),
        (b"A\n", ["-", "-"], "named twice"),
    ],
)
def test_standard_input_that_cannot_be_read_is_refused(
    body: bytes, words: list[str], wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the line, before any call."""
    monkeypatch.setattr(sys, "stdin", Stdin(body))
    with pytest.raises(BadInput, match=wanted):
        texts_given(words, "topics", read_topics)


def test_closed_standard_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service has none."""
    nothing: Any = None
    monkeypatch.setattr(sys, "stdin", nothing)
    with pytest.raises(BadInput, match="standard input is closed"):
        texts_given(["-"], "queries", read_queries)
