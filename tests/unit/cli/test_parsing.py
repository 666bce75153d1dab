"""Arguments that no command takes are refused in one line, with what was meant."""

from __future__ import annotations

import argparse

import pytest

from prefect_llm_reports.flows.cli.arguments import ENVIRONMENT, parser
from prefect_llm_reports.flows.cli.main import COMMANDS
from prefect_llm_reports.tasks.contract.settings import Settings

SLIPS = {
    "rnu x": "unknown command rnu; did you mean run?; run `llm-reports --help`",
    "docter": "unknown command docter; did you mean doctor?",
    "run x --langauge de": "unknown argument --langauge; did you mean --language?",
    "run x --rounds_max=3": "unknown argument --rounds_max=3; run",
    "run x --max_tokens=3": "unknown argument --max_tokens=3; did you mean --max-output-tokens?",
    "run x --price flx": "unknown --price flx; did you mean flex?; choose from standard, flex",
    "run x --format word": "unknown --format word; choose from pdf, docx",
    "branches x --merge sythesize": "unknown --merge sythesize; did you mean synthesize?",
    "schedule onn nightly": "unknown on|off onn; did you mean on?",
    "run x --concurrency many": "-c/--concurrency is 'many'; give a whole number",
    "run x --audience": "-a/--audience needs a value",
    "run x --json=yes": "--json takes no value, found 'yes'",
    "view --port 99999": "--port is '99999'; give a port from 0 to 65535",
    "serve --pages-port -1": "--pages-port is '-1'; give a port from 0 to 65535",
    "schedule on": "NAME: missing",
    "view a b": "unknown argument b",
    "verify": "DIR: missing",
}


@pytest.mark.parametrize(("line", "wanted"), SLIPS.items())
def test_a_slip_is_refused_in_one_line(
    line: str, wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line on stderr, exit status 2, no page of usage."""
    with pytest.raises(SystemExit) as end:
        parser().parse_args(line.split())
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {wanted}")
    assert said.count("\n") == 1
    assert "--help`" in said


def test_a_slip_cannot_write_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """An argument with escape sequences is shown as text."""
    with pytest.raises(SystemExit):
        parser().parse_args(["\x1b[2Jrun"])
    assert "\x1b" not in capsys.readouterr().err


def commands() -> dict[str, argparse.ArgumentParser]:
    """The parsers of all commands."""
    (actions,) = (a for a in parser()._actions if isinstance(a, argparse._SubParsersAction))
    return actions.choices


def test_every_command_has_its_function() -> None:
    """The parser and the table of functions name the same commands."""
    assert sorted(commands()) == sorted(COMMANDS)


def test_the_help_says_every_default_and_every_setting() -> None:
    """Each option of the commands that ask models has a default in words; settings are named."""
    for name in ("run", "branches"):
        for action in commands()[name]._actions:
            if action.option_strings and action.nargs != 0:
                said = action.help or ""
                known = "default" in said or action.dest in ("topics_file", "queries_file")
                assert known or "may be repeated" in said or action.dest in NO_DEFAULT, said
    for field in Settings.model_fields:
        variable = field.upper() if field.startswith("openai") else f"LLM_REPORTS_{field.upper()}"
        assert variable in ENVIRONMENT


NO_DEFAULT = {"base_url", "endpoint", "options", "topic_column", "guidance_column"}
"""Without them there is nothing, or what the environment names."""
