"""The examples in the pages work: Python, YAML, templates, and commands and settings of Prefect."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import prefect.settings
import pytest
from prefect import Flow

from prefect_llm_reports.flows import ReportOptions, Topic
from prefect_llm_reports.flows.cli.main import main
from prefect_llm_reports.tasks.calls import prompts
from prefect_llm_reports.tasks.contract.options import Critic
from prefect_llm_reports.tasks.pages.own_templates import check_page_templates
from tests.harness import ROOT
from tests.harness.documents import Page, page, pages

EXAMPLES = [
    pytest.param(block, id=f"{one.name}-{number}")
    for one in pages()
    for number, block in enumerate(one.blocks("python"), start=1)
]
READ_ELSEWHERE = {"PREFECT_SERVER_ENCRYPTION_KEY"}
"""Variables that Prefect reads, but not among its settings."""
HELP = """
import contextlib, io, json, sys
from prefect.cli import app
found = []
for words in json.loads(sys.argv[1]):
    sys.argv = ["prefect", *words, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        app()
    found.append(printed.getvalue())
print(json.dumps(found))
"""


class Anything:
    """A result of which every part can be asked for."""

    def __getattr__(self, name: str) -> Anything:
        return self

    def __getitem__(self, index: int) -> Anything:
        if index:
            raise IndexError
        return self


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_python_example_runs(
    example: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything that is imported exists, and each flow accepts the arguments it is given."""
    called: list[str] = []

    def accept(flow: Flow[..., Any], **given: Any) -> Awaitable[Anything]:
        inspect.signature(flow.fn).bind(**given)
        flow.validate_parameters(given)
        called.append(flow.name)

        async def result() -> Anything:
            return Anything()

        return result()

    monkeypatch.setattr(Flow, "__call__", accept)
    code = compile(example, "example", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    running = eval(code, names := {"__name__": "example"})
    if running is not None:
        asyncio.run(running)
    assert called or "await" not in example
    capsys.readouterr()
    assert len(names) > 2


@pytest.mark.parametrize("name", ["README.md", "flows/README.md"])
def test_a_branches_file_can_be_carried_out(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program check takes the YAML example, and the picture shows each of its branches."""
    [example] = page(name).blocks("yaml")
    file = tmp_path / "views.yaml"
    file.write_text(example)
    assert main(["draw", "--branches-file", str(file)]) == 0
    picture = capsys.readouterr().out
    assert all(f">{branch}<" in picture for branch in ("facts", "pro", "con"))


def test_the_template_example_renders(tmp_path: Path) -> None:
    """The example of a page replaces the packaged one without a problem."""
    [example] = page("tasks/templates/README.md").blocks("jinja")
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages/report.html.j2").write_text(example)
    check_page_templates(ReportOptions(templates=str(tmp_path)))


def test_the_variables_of_prompts_are_those_in_the_table(tmp_path: Path) -> None:
    """A template may use each variable that the table names, and the packaged ones use no other."""
    text = page("tasks/templates/README.md").text.partition("## Prompts")[2]
    rows = dict(re.findall(r"^\| (\w+) \| (.*) \|$", text, re.M))
    said = {name: set(re.findall(r"`(\w+)`", row)) for name, row in rows.items()}
    topic, made = Topic(title="Tides", guidance="For CTOs"), tmp_path / "prompts"
    made.mkdir()
    for name in prompts.PROMPTS:
        packaged = (ROOT / f"tasks/templates/prompts/{name}.j2").read_text()
        known = said["all"] | said[name]
        used = set(re.findall(r'\{\{ (\w+) \}\}|delimited\("\w+", (\w+)\)|\{% if (\w+)', packaged))
        assert {word for words in used for word in words if word} <= known
        every = " ".join(f"{{{{ {variable} }}}}" for variable in sorted(known))
        own = f"{{% block system %}}{every}{{% endblock %}}{{% block user %}}u{{% endblock %}}"
        (made / f"{name}.j2").write_text(own)
    options = ReportOptions(templates=str(tmp_path))
    critic = Critic(name="style", focus="Plain words.")
    assert prompts.writer_prompt(topic, options, "2")[0].content
    assert "Plain words." in prompts.critic_prompt(topic, options, "d", critic)[0].content
    assert prompts.reviser_prompt(topic, options, "d", "{}", "s")[0].content
    assert prompts.summarizer_prompt(topic, options, "r")[0].content


def test_prefect_has_the_commands_that_are_shown() -> None:
    """Each `prefect` command and its options stand in Prefect's own help."""
    shown = [words[1:] for one in pages() for words in one.commands if words[0] == "prefect"]
    split = [_split(words) for words in shown]
    assert split
    commands = sorted({command for command, _ in split})
    done = subprocess.run(
        [sys.executable, "-c", HELP, json.dumps(commands)],
        env={**os.environ, "COLUMNS": "300"},
        capture_output=True,
        check=True,
        text=True,
        timeout=300,
    )
    helps = dict(zip(commands, json.loads(done.stdout), strict=True))
    for command, options in split:
        printed = helps[command]
        assert f"Usage: prefect {' '.join(command)} " in " ".join(printed.split())
        assert [one for one in options if not re.search(rf"{one}(?![\w-])", printed)] == []


def _split(words: list[str]) -> tuple[tuple[str, ...], list[str]]:
    """A command, and its options."""
    options = [word for word in words if word.startswith("-")]
    rest = words[1:] if words[0] == "--no-prompt" else words
    first = next((n for n, word in enumerate(rest) if word.startswith("-")), len(rest))
    names = [word for word in rest[:first] if re.fullmatch(r"[a-z-]+", word)]
    most = {"work-pool": 2, "deployment": 2, "worker": 2, "block": 2, "deploy": 1}
    return tuple(names[: most.get(names[0], 3)]), options


@pytest.mark.parametrize("one", pages(), ids=lambda one: one.name)
def test_settings_of_prefect_exist(one: Page) -> None:
    """Each variable of Prefect's that a page names is one of its settings."""
    named = set(re.findall(r"\bPREFECT_[A-Z_]*[A-Z]\b", one.text)) - READ_ELSEWHERE
    named = {name for name in named if not name.startswith("PREFECT_REDIS_")}
    assert [name for name in sorted(named) if not hasattr(prefect.settings, name)] == []
