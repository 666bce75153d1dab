"""A first morning at a terminal of 80 columns, each command as somebody types it.

Each test is one thing that a person tries; what they see is read off the screen. The run form and
the schedule are in `deployments/test_prefect_yaml`, the pages in `pages`.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from tests.harness import faults
from tests.harness.endpoint import Endpoint
from tests.harness.processes import wait_until
from tests.harness.terminals import COLUMNS, Terminal, in_terminal
from tests.services.pages.site import CHROMIUM, QUIET, opened

pytestmark = pytest.mark.services

GUIDE_LINES = 10
SHORT_WAIT = {"LLM_REPORTS_BACKOFF_S": "0.01"}


class Desk:
    """A person's folder and terminal, with a Prefect server and an endpoint."""

    def __init__(self, folder: Path, api_url: str, endpoint: Endpoint) -> None:
        self.folder, self.endpoint = folder, endpoint
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"},
            **SHORT_WAIT,
            "PREFECT_API_URL": api_url,
            "PREFECT_HOME": str(folder / ".prefect"),
            "LLM_REPORTS_STORE": str(folder / ".store"),
            "OPENAI_BASE_URL": endpoint.base_url,
            "OPENAI_API_KEY": "sk-test-key",
        }

    @contextmanager
    def typing(self, line: str) -> Iterator[Terminal]:
        """Type a command, and look at the terminal while it is at work."""
        program, *arguments = shlex.split(line)
        assert program == "llm-reports"
        with in_terminal(*arguments, environment=self.environment, folder=self.folder) as terminal:
            yield terminal

    def types(self, line: str, *, status: int = 0) -> str:
        """Type a command and wait for its end; what it has written, without colours.

        Args:
            line: The command.
            status: The exit status that it must have.
        """
        with self.typing(line) as terminal:
            assert terminal.ended() == status, terminal.shown
            shown = plain(terminal.shown)
        assert "Traceback" not in shown
        return shown


def plain(shown: str) -> str:
    """What was written to a terminal, without colours and movements."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r", "")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, api_url: str) -> Iterator[Desk]:
    """A folder of one morning, made by `init`."""
    with Endpoint(scores=[4, 6]) as endpoint:
        desk = Desk(tmp_path_factory.mktemp("desk"), api_url, endpoint)
        said = desk.types("llm-reports init .")
        assert said.splitlines()[-1] == "Next: llm-reports doctor"
        yield desk


@pytest.fixture(scope="module")
def first_run(desk: Desk) -> str:
    """What the terminal showed of a first run: one topic refused, one below the threshold."""
    refusal = faults.error(400, "This topic is flagged.")
    desk.endpoint.fail(refusal, topic="Rust", times=None)
    return desk.types('llm-reports run "Tides" "Rust" -n 2 -q 8 -m first', status=3)


def test_the_help_fits_the_terminal_and_names_every_command(desk: Desk) -> None:
    """No line is broken by the terminal; each command has a help of its own."""
    with desk.typing("llm-reports --help") as terminal:
        assert terminal.ended() == 0
        screen = terminal.screen
    assert all(len(line) < COLUMNS for line in screen), screen
    commands = [line.split()[0] for line in screen if line.startswith("    ") and line[4] != " "]
    assert {"run", "branches", "init", "doctor", "automations", "completion"} <= {*commands}
    for command in commands:
        with desk.typing(f"llm-reports {command} --help") as terminal:
            assert terminal.ended() == 0, terminal.shown
            screen = terminal.screen
        assert screen[0].startswith(f"usage: llm-reports {command} "), screen
        assert all(len(line) < COLUMNS for line in screen), screen


def test_a_command_that_is_not_named_gets_the_help(desk: Desk) -> None:
    """The commands with what each does, and the status of bad input."""
    assert "write, refine and publish reports" in desk.types("llm-reports", status=2)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("llm-reports rnu Tides", "did you mean run?"),
        ("llm-reports run Tides --langauge de", "did you mean --language?"),
        ("llm-reports branches Tides --merge bset", "did you mean best?"),
        ("llm-reports run Tides --set lenght_words=300", "did you mean length_words?"),
        ("llm-reports runs shwo", "did you mean show?"),
        ("llm-reports automations --remvoe", "did you mean --remove?"),
        ("llm-reports schedule onn nightly", "did you mean on?"),
        ("llm-reports run topics.yaml", "--topics-file"),
        ("llm-reports run options.yaml", "one of options with --options"),
        ("llm-reports branches branches.yaml", "--branches-file"),
        ("llm-reports run --topics-file topic.yaml", "topic.yaml"),
    ],
)
def test_a_slip_is_told_and_not_paid_for(line: str, wanted: str, desk: Desk) -> None:
    """Status 2, what was meant, and no call."""
    before = desk.endpoint.count()
    said = desk.types(line, status=2)
    assert wanted in said
    assert all(part.startswith("error: ") for part in said.splitlines()), said
    assert desk.endpoint.count() == before


def test_the_guide_leads_through_the_first_commands(desk: Desk) -> None:
    """Ten lines; what they name works as it is written there, without a key."""
    guide = (desk.folder / "README.md").read_text().splitlines()
    assert len(guide) <= GUIDE_LINES
    doctor, offline = (line.split("`")[1] for line in guide if line.startswith(("1.", "2.")))
    del desk.environment["OPENAI_API_KEY"], desk.environment["OPENAI_BASE_URL"]
    try:
        said = desk.types(doctor, status=2)
        assert "✗ endpoint: no endpoint: set OPENAI_API_KEY" in said
        assert said.count("✗") == 1
        said = desk.types(offline)
    finally:
        desk.environment |= {
            "OPENAI_BASE_URL": desk.endpoint.base_url,
            "OPENAI_API_KEY": "sk-test-key",
        }
    assert "3 of 3 reports published" in said
    assert "1 topics" not in said
    assert "✗" not in desk.types(doctor)


def test_topics_are_typed_into_standard_input(desk: Desk) -> None:
    """A dash reads them until Ctrl-D."""
    with desk.typing("llm-reports run - -n 1 -m typed") as terminal:
        terminal.type("Moors\n\x04")
        assert terminal.ended() == 0, terminal.shown
    assert desk.endpoint.count(topic="Moors") == 3
    assert "Moors" in "".join(terminal.screen)


def test_the_first_run_says_what_failed_and_what_is_below_the_threshold(first_run: str) -> None:
    """The topic that was refused, with the endpoint's words; the low score is no success."""
    assert "below the threshold (iterations exhausted), score 6 after 2 critiques" in first_run
    *_, failed, reason, closing, page, again = first_run.splitlines()
    assert failed == "1 topic failed:"
    assert "Rust: draft: " in reason
    assert "This topic is flagged." in reason
    assert closing.startswith("1 of 2 reports published, 1 below the threshold ")
    assert page.endswith("/index.html")
    assert again.startswith("Run the same command again to continue")


def test_progress_shows_done_tokens_cost_and_time_in_one_line(desk: Desk) -> None:
    """While calls are under way; the line is not wider than the terminal."""
    desk.endpoint.fail(faults.held(), step="critique", topic="Wind", times=1)
    with desk.typing('llm-reports run "Wind" "Peat" -n 1 -m shown') as terminal:
        wait_until(lambda: "1 of 2 topics" in terminal.shown, told=lambda: terminal.shown)
        line = next(line for line in terminal.screen if "1 of 2 topics" in line)
        desk.endpoint.release()
        assert terminal.ended() == 0, terminal.shown
    assert "tokens · " in line
    assert " USD · " in line or "cost unknown · " in line
    assert line.split(" · ")[3].endswith("left")
    assert len(line) < COLUMNS
    assert "2 of 2 reports published" in plain(terminal.shown)


def test_an_endpoint_that_is_not_there_is_said_once_for_all_topics(desk: Desk) -> None:
    """What stopped the run stands at its end, not again behind each topic that was not begun."""
    away = "--base-url http://127.0.0.1:9/v1 --patience 0 -m away"
    said = desk.types(f'llm-reports run "Wind" "Peat" "Salt" -c 1 {away}', status=4)
    assert "2 topics without a report\n" in said
    assert said.count("stopped: first contact failed: no answer from 127.0.0.1:9") == 1
    assert "failed:\n" not in said
    assert "0 of 3 reports published" in said


def test_past_runs_are_listed_shown_and_retried(desk: Desk, first_run: str) -> None:
    """Newest first; a run again takes what is paid from the store."""
    assert first_run
    listed = desk.types("llm-reports runs")
    assert listed == desk.types("llm-reports runs list")
    name = next(
        line.split()[0]
        for line, below in pairwise(listed.splitlines())
        if "Tides + 1 more · first" in below
    )
    shown = desk.types(f"llm-reports runs show {name}")
    assert "Tides" in shown
    assert "This topic is flagged." in shown
    before = desk.endpoint.count()
    said = desk.types(f"llm-reports retry {name}", status=3)
    assert "1 of 2 reports published" in said
    assert desk.endpoint.count(topic="Tides") == 5
    assert desk.endpoint.count() > before  # the topic that had failed is asked again
    assert "not a run of" in desk.types("llm-reports retry nothing", status=2)


def test_a_quote_costs_nothing(desk: Desk, first_run: str) -> None:
    """No call; what is paid is cached; figures stand below the heads of their columns."""
    assert first_run
    before = desk.endpoint.count()
    said = desk.types('llm-reports run "Tides" "Salt" -n 2 -q 8 -m first --quote')
    assert desk.endpoint.count() == before
    assert "1 new, 0 changed, 1 wholly cached" in said
    head = next(line for line in said.splitlines() if line.startswith("USD"))
    for row in ("usually", "at worst"):
        line = next(line for line in said.splitlines() if line.startswith(row))
        assert len(line) == len(head)
    assert json.loads(desk.types("llm-reports branches Tides --quote --json"))["items"] == "inputs"


def test_branches_print_their_answer_with_the_judges_reasons(desk: Desk) -> None:
    """The merged answer first, the branches below; the bar ends full."""
    said = desk.types('llm-reports branches "Build or buy?" --branches-file branches.yaml')
    assert "1 of 1 input" in said
    assert "## " in said
    best = desk.types('llm-reports branches "Build or buy?" --merge best')
    assert "chosen" in best
    assert "reason" in best.casefold()


def test_the_shell_completes_commands_and_options(desk: Desk) -> None:
    """In bash, with the script that the command prints."""
    script = subprocess.run(
        [sys.executable, "-m", "prefect_llm_reports.flows.cli", "completion", "bash"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    def completed(line: str) -> set[str]:
        words = line.split(" ")
        program = (
            f"{script}\nCOMP_WORDS=({' '.join(map(shlex.quote, words))})\n"
            f"COMP_CWORD={len(words) - 1}\nCOMP_LINE={shlex.quote(line)}\n"
            "$(complete -p llm-reports | sed 's/.*-F \\([^ ]*\\).*/\\1/')\n"
            'printf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
        return {*done.stdout.split()}

    assert "retry" in completed("llm-reports re")
    assert "--language" in completed("llm-reports run --lang")
    assert {"best", "vote"} <= completed("llm-reports branches --merge ")


def test_the_reports_open_in_the_browser(desk: Desk, first_run: str) -> None:
    """`view` serves the pages; from the list of runs to the report in two clicks."""
    from playwright.sync_api import sync_playwright

    assert first_run
    path = next(found for found in map(shutil.which, CHROMIUM) if found)
    with desk.typing("llm-reports view --no-browser") as terminal:
        terminal.wait_for("Press Ctrl-C")
        address = next(word for word in terminal.shown.split() if word.startswith("http://"))
        with (
            sync_playwright() as playwright,
            playwright.chromium.launch(executable_path=path, args=QUIET) as browser,
            opened(browser, address) as page,
        ):
            page.get_by_role("link", name="Tides + 1 more").first.click()
            page.get_by_role("link", name="Tides", exact=True).first.click()
            page.wait_for_url("**/tides*/**")
            assert "Tides" in page.title()
        terminal.press_ctrl_c()
        assert terminal.ended() == 0
