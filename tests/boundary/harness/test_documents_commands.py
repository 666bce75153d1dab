"""The commands and settings that the pages show are those that there are."""

from __future__ import annotations

import re
from importlib.util import find_spec

import pytest

from prefect_llm_reports.flows.cli.arguments import parser
from prefect_llm_reports.tasks.contract.settings import Settings
from prefect_llm_reports.tasks.runtime.environment import PREFECT_DEFAULTS
from tests.harness import ROOT
from tests.harness.documents import Page, page, pages

OURS = re.compile(r"\b(?:LLM_REPORTS|LLM_ENDPOINT|REPORTS_BUCKET)(?:_[A-Z]+)*\b(?!_)")
TESTING = {"LLM_REPORTS_TAG"}
"""Of compose.yaml, where it is explained."""


def shown(program: str) -> list[tuple[str, list[str]]]:
    """The commands of a program in all pages, with the page of each."""
    return [
        (one.name, words[1:])
        for one in pages()
        for words in one.commands
        if words[0].removeprefix(".venv/bin/") == program
    ]


def test_commands_of_llm_reports_are_understood(capsys: pytest.CaptureFixture[str]) -> None:
    """Every `llm-reports` command in a page can be given as it stands there."""
    commands = shown("llm-reports")
    assert {words[0] for _, words in commands} >= {"run", "branches", "draw", "serve"}
    for name, words in commands:
        try:
            parser().parse_args(words)
        except SystemExit:
            pytest.fail(f"{name}: llm-reports {' '.join(words)}: {capsys.readouterr().err}")


def test_options_named_in_sentences_exist() -> None:
    """An option in a sentence about `llm-reports` is one that the command line has."""
    known = set(re.findall(r"--[a-z][a-z-]+", "\n".join(page("flows/README.md").code)))
    said = [code for code in page("README.md").code if re.fullmatch(r"--[a-z-]+( .*)?", code)]
    assert said
    assert [code for code in said if code.split()[0] not in known | {"--help"}] == []


def test_programs_and_files_in_commands_exist() -> None:
    """Python files, modules and other files that a command names are in the project."""
    commands = shown("python")
    assert commands
    for name, words in commands:
        if words[0] == "-m":
            assert find_spec(words[1]), f"{name}: {words}"
        else:
            assert (ROOT / words[0]).is_file(), f"{name}: {words}"
            flags = [word for word in words if word.startswith("--")]
            assert all(flag in (ROOT / words[0]).read_text() for flag in flags)
    files = [
        (one.name, word)
        for one in pages()
        for words in one.commands
        for word in words
        if re.match(r"(deployments|tests|flows|tasks)/", word) and "secrets.env" not in word
    ]
    assert [(name, word) for name, word in files if not (ROOT / word).exists()] == []


def test_every_setting_of_ours_is_explained() -> None:
    """deployments/README.md names each variable that the code reads, and no other."""
    sources = [
        path
        for folder in ("flows", "tasks", "deployments")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".yaml", ".env")
    ]
    read = {f"LLM_REPORTS_{name.upper()}" for name in Settings.model_fields}
    read -= {"LLM_REPORTS_OPENAI_API_KEY", "LLM_REPORTS_OPENAI_BASE_URL"}
    read |= {name for path in sources for name in OURS.findall(path.read_text())}
    said = set(OURS.findall(page("deployments/README.md").text))
    assert said == read - TESTING - {"LLM_REPORTS"}
    elsewhere = {name for one in pages() for name in OURS.findall(one.text)}
    assert elsewhere <= said


def test_the_environment_of_an_embedding_program_is_told_in_full() -> None:
    """The table in flows/README.md has each default of Prefect's settings with its value."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| `([^`]+)` \| \S", page("flows/README.md").text, re.M)
    assert dict(rows) == PREFECT_DEFAULTS


@pytest.mark.parametrize("one", pages(), ids=lambda one: one.name)
def test_prompts_are_dollar_signs_and_languages_are_known(one: Page) -> None:
    """A `console` block has only commands; other blocks have a language that a test checks."""
    for block in one.blocks("console"):
        assert all(line.startswith("$ ") for line in block.splitlines())
    kinds = set(re.findall(r"^```(\w+)$", one.text, re.M))
    assert kinds <= {"sh", "console", "python", "yaml", "jinja"}
