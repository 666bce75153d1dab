"""Options on the command line: what each flag, file and `--set` becomes, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from prefect_llm_reports.flows.cli.arguments import parser
from prefect_llm_reports.flows.cli.options import FLAGS, options_of
from prefect_llm_reports.tasks.contract.branches import BranchOptions
from prefect_llm_reports.tasks.contract.call_options import CallOptions
from prefect_llm_reports.tasks.contract.options import ReportOptions
from prefect_llm_reports.tasks.inputs.requests import checked_options
from tests.boundary.cli.conftest import Run

GIVEN: dict[str, tuple[list[str], str, Any]] = {
    "rpm": (["--rpm", "60"], "requests_per_minute", 60),
    "tpm": (["--tpm", "90000"], "tokens_per_minute", 90_000),
    "price": (["--price", "flex"], "price", "flex"),
    "patience": (["--patience", "0"], "patience_s", 0.0),
    "deadline": (["--deadline", "7.5"], "deadline_s", 7.5),
    "output": (["--max-output-tokens", "4096"], "max_output_tokens", 4096),
    "temperature": (["--temperature", "0"], "temperature", 0.0),
    "effort": (["--reasoning-effort", "low"], "reasoning_effort", "low"),
    "refresh": (["--refresh"], "refresh", True),
    "set": (["--set", "store_days=3"], "store_days", 3.0),
    "set extra": (
        ["--set", "extra_body.top_k=3", "--set", "extra_body.stop=END"],
        "extra_body",
        {"top_k": 3, "stop": "END"},
    ),
    "set an object": (['--set=extra_body={"top_k": [3]}'], "extra_body", {"top_k": [3]}),
}
OF_REPORTS: dict[str, tuple[list[str], str, Any]] = {
    "language": (["--language", "Norwegian"], "language", "Norwegian"),
    "audience": (["--audience", "CTOs"], "audience", "CTOs"),
    "words": (["--words", "500"], "length_words", 500),
    "style": (["--style", "No adverbs."], "house_style", "No adverbs."),
    "format": (["--format", "pdf", "--format", "docx"], "formats", ("pdf", "docx")),
    "set a word": (["--set", "language=no"], "language", "no"),
}


def given(command: str, *arguments: str) -> dict[str, Any]:
    """The options of a command line without problems."""
    problems: list[str] = []
    found = options_of(parser().parse_args([command, "x", *arguments]), problems)
    assert problems == []
    return found


@pytest.mark.parametrize(("arguments", "option", "value"), GIVEN.values(), ids=GIVEN)
def test_each_flag_sets_its_option_in_both_commands(
    arguments: list[str], option: str, value: Any
) -> None:
    """And no other option."""
    for command, kind in (("run", ReportOptions), ("branches", BranchOptions)):
        options: CallOptions = kind.model_validate(given(command, *arguments))
        assert getattr(options, option) == value
        assert options.model_fields_set - {"deadline_s"} <= {option, "price", "deadline_s"}


@pytest.mark.parametrize(("arguments", "option", "value"), OF_REPORTS.values(), ids=OF_REPORTS)
def test_reports_have_flags_of_their_own(arguments: list[str], option: str, value: Any) -> None:
    """Language, audience, length, style and formats."""
    options = ReportOptions.model_validate(given("run", *arguments))
    assert getattr(options, option) == value


def test_every_flag_sets_an_option_that_there_is() -> None:
    """The table of flags and the options agree."""
    assert set(FLAGS.values()) <= ReportOptions.model_fields.keys()
    flags = vars(parser().parse_args(["run", "x"]))
    assert FLAGS.keys() <= flags.keys()


@pytest.mark.parametrize("ending", ["yaml", "json"])
def test_flags_replace_what_an_options_file_says(tmp_path: Path, ending: str) -> None:
    """The file holds what is always wanted; the command line holds what is wanted now."""
    file = tmp_path / f"o.{ending}"
    file.write_text(json.dumps({"temperature": 1, "extra_body": {"seed": 1}, "plateau": 2}))
    found = given("run", "--options", str(file), "--set", "plateau=3", "--temperature", "0.5")
    assert found == {"temperature": "0.5", "extra_body": {"seed": 1}, "plateau": "3"}


REFUSED: dict[str, tuple[list[str], list[str]]] = {
    "out of bounds": (["--rpm", "0"], ["option requests_per_minute: "]),
    "no number": (["--temperature", "warm"], ["option temperature: "]),
    "too hot": (["--temperature", "3"], ["option temperature: "]),
    "too few tokens": (["--max-output-tokens", "3"], ["option max_output_tokens: "]),
    "impatient": (["--patience", "-1"], ["option patience_s: "]),
    "set without a value": (["--set", "plateau"], ["--set plateau: wanted KEY=VALUE"]),
    "set twice": (["--set", "plateau=1", "--set", "plateau=2"], ["--set plateau: given twice"]),
    "set and a part of it": (
        ["--set", "extra_body={}", "--set", "extra_body.a=1", "--set", "extra_body.a=1"],
        ["--set extra_body.a: given twice"],
    ),
    "set and a flag": (
        ["--set", "temperature=1", "--temperature", "0"],
        ["option temperature: given by --set and by a flag"],
    ),
    "an unknown option": (["--set", "colour=red"], ["option colour: unknown name"]),
    "headers": (
        ["--set", "extra_headers.api-key=sk-very-secret"],
        ["option extra_headers: is not an option"],
    ),
    "contradictions": (
        ["--set", "extra_body.model=m", "--reasoning-effort", "low"],
        ["option extra_body: names 'model'"],
    ),
    "no file": (["--options", "none.yaml"], ["options file none.yaml: No such file"]),
    "a list": (["--options", "list.yaml"], ["list.yaml: wanted an object of options"]),
    "no yaml": (["--options", "bad.yaml"], ["bad.yaml line 2"]),
    "all at once": (
        ["--options", "bad.yaml", "--tpm", "no", "--set", "x"],
        ["bad.yaml line 2", "--set x: wanted", "option tokens_per_minute: "],
    ),
}


@pytest.mark.parametrize(("arguments", "wanted"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], wanted: list[str]
) -> None:
    """One line for each problem, no secret in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.yaml").write_text("- plateau\n")
    (tmp_path / "bad.yaml").write_text("{plateau: 2\n")
    lines: list[str] = []
    options = options_of(parser().parse_args(["run", "C++", *arguments]), lines)
    checked_options(ReportOptions, options, lines)
    assert len(lines) == len(wanted), lines
    for start in wanted:
        assert [line for line in lines if line.startswith(start)], (start, lines)
    assert "sk-very-secret" not in str(lines)


@pytest.mark.parametrize("command", ["run", "branches"])
def test_problems_give_status_2_before_any_call(run: Run, command: str) -> None:
    """All at once, those of topics too."""
    done = run(command, "", "--options", "none.yaml", "--tpm", "no", "--set", "x")
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 4, done.stderr
    for start in ("options file none.yaml: No such file", "--set x: ", "option tokens_per_minute"):
        assert f"error: {start}" in done.stderr


def test_an_effort_that_no_endpoint_knows_is_refused(run: Run) -> None:
    """With the efforts that there are."""
    done = run("run", "C++", "--reasoning-effort", "hihg")
    assert done.returncode == 2
    assert "xhigh" in done.stderr


@pytest.mark.parametrize("command", ["run", "branches"])
def test_help_is_light_and_tells_defaults_and_environment(command: str, tmp_path: Path) -> None:
    """Nothing heavy is imported for it; each flag says its default or what it does."""
    program = (
        "import sys\n"
        "from prefect_llm_reports.flows.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "finally:\n    heavy = {'prefect', 'pydantic', 'openai', 'rich', 'yaml', 'httpx2'}\n"
        "    print(sorted(heavy & sys.modules.keys()), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, command, "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == "[]"
    for told in ("OPENAI_API_KEY", "LLM_REPORTS_STORE", "--rpm", "default: 16000", "default: 60"):
        assert told in done.stdout
