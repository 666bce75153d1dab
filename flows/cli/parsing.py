"""A parser of arguments that says what a person may have meant.

Not here: the commands and their arguments (`arguments`, `tool_arguments`).
"""

from __future__ import annotations

import argparse
import re
from typing import Any, NoReturn

from prefect_llm_reports.tasks.text.foreign import printable
from prefect_llm_reports.tasks.text.spelling import did_you_mean

_CHOICE = re.compile(r"argument (?P<name>.+?): invalid choice: (?P<seen>.+) \(choose from (.+)\)")
_UNKNOWN = "unrecognized arguments: "
_PROBLEMS = {
    r"the following arguments are required: (.+)": r"\1: missing",
    r"argument (\S+): expected (?:one|at least one) argument": r"\1 needs a value",
    r"argument (\S+): ignored explicit argument (.+)": r"\1 takes no value, found \2",
    r"argument (\S+): (.+; give a port.*)": r"\1 is \2",
    r"argument (\S+): invalid int value: (.+)": r"\1 is \2; give a whole number",
    r"argument (\S+): invalid float value: (.+)": r"\1 is \2; give a number",
}
"""What argparse says, and how it reads here."""
ACTIONS: list[argparse.Action] = []
"""The arguments of all commands: argparse forgets which command an unknown one stood behind."""


class Parser(argparse.ArgumentParser):
    """Refuses arguments in one line, with what the person may have meant and where help is."""

    def add_argument(self, *names: Any, **about: Any) -> argparse.Action:
        """Add an argument, as argparse does."""
        ACTIONS.append(super().add_argument(*names, **about))
        return ACTIONS[-1]

    def error(self, message: str) -> NoReturn:
        """Print the error and end with status 2."""
        self.exit(2, printable(f"error: {_said(message)}; run `{self.prog} --help`") + "\n")


def port(text: str) -> int:
    """The number of a port; 0: any free one.

    Args:
        text: The argument.

    Raises:
        ArgumentTypeError: It is none.
    """
    if text.isascii() and text.isdigit() and int(text) < 1 << 16:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r}; give a port from 0 to 65535")


def _options() -> set[str]:
    return {one for action in ACTIONS for one in action.option_strings if one.startswith("--")}


def _said(message: str) -> str:
    if message.startswith(_UNKNOWN):
        unknown = message.removeprefix(_UNKNOWN).split()
        option = next((word for word in unknown if word.startswith("-")), unknown[0])
        name = option.partition("=")[0]
        return f"unknown argument {option}{did_you_mean(name, _options())}"
    if found := _CHOICE.fullmatch(message):
        choices = [choice.strip().strip("'") for choice in found[3].split(",")]
        seen = found["seen"].strip("'\"")
        what = "command" if found["name"] == "COMMAND" else found["name"]
        near = did_you_mean(seen, choices)
        known = "" if near and what == "command" else f"; choose from {', '.join(choices)}"
        return f"unknown {what} {seen}{near}{known}"
    for theirs, ours in _PROBLEMS.items():
        if re.fullmatch(theirs, message):
            return re.sub(theirs, ours, message)
    return message
