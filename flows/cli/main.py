"""`llm-reports`: parses arguments, checks them, calls a flow, prints.

Not here: the work of a run, which is in the flows. Nothing heavy is imported before the arguments
are parsed. Progress and log go to stderr; with `--json` stdout is one JSON document.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from prefect_llm_reports.flows.cli import statuses
from prefect_llm_reports.flows.cli.arguments import parser
from prefect_llm_reports.flows.cli.interruption import ending, leave
from prefect_llm_reports.flows.cli.streams import as_text, make_lenient
from prefect_llm_reports.tasks.runtime.environment import (
    ask_for_descriptors,
    give_a_home,
    reach_loopback_directly,
    set_prefect_defaults,
)

COMMANDS = {
    "run": "calling.run",
    "branches": "calling.branches",
    "draw": "draw.draw",
    "view": "view.view",
    "verify": "verify.verify",
    "runs": "runs.runs",
    "retry": "retry.retry",
    "init": "init.init",
    "doctor": "doctor.doctor",
    "serve": "serve.serve",
    "deploy": "deploy.deploy",
    "schedule": "deploy.schedule",
    "automations": "deploy.automations",
    "blocks": "deploy.blocks",
    "completion": "completion.completion",
}
"""The function of each command, in a module of this package. It takes the parsed arguments and
returns the exit status."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Args:
        arguments: The arguments of a caller that keeps its own signals and streams; None: those of
            this process.
    """
    if arguments is None:  # this process is the command
        ending.heed()
        make_lenient()
        ask_for_descriptors()
    given = [*(map(as_text, sys.argv[1:]) if arguments is None else arguments)]
    if not given:
        parser().print_help(sys.stderr)
        return statuses.BAD_INPUT
    chosen = parser().parse_args(given)
    ending.calls = chosen.command in ("run", "branches", "retry")
    _collect_rarely()
    warnings.filterwarnings("ignore", message="Failed to create the Prefect home")  # said later
    set_prefect_defaults()
    if home := give_a_home():
        print(  # noqa: T201
            f"warning: this user has no home folder, so paid answers are kept in {home}; set HOME,"
            " or PREFECT_HOME and LLM_REPORTS_STORE",
            file=sys.stderr,
        )
    reach_loopback_directly()
    if chosen.command != "serve":  # a person who serves reads the log
        for handler in ("CONSOLE", "DEBUG"):
            os.environ.setdefault(f"PREFECT_LOGGING_HANDLERS_{handler}_LEVEL", "CRITICAL")
    from prefect_llm_reports.tasks.contract.errors import BadInput, StorageError
    from prefect_llm_reports.tasks.text.foreign import printable

    try:
        status = _command(chosen.command)(chosen)
    except BadInput as bad:
        for problem in bad.problems:
            print(printable(f"error: {problem}"), file=sys.stderr)  # noqa: T201
        return statuses.BAD_INPUT
    except StorageError as error:
        print(printable(f"error: {error}"), file=sys.stderr)  # noqa: T201
        return statuses.STOPPED
    except ValueError as error:
        if problem := _problem_of_settings(error):
            print(f"error: {problem}", file=sys.stderr)  # noqa: T201
            return statuses.BAD_INPUT
        raise
    if ending.abrupt and arguments is None:
        leave(status)
    return status


def _command(name: str) -> Callable[[argparse.Namespace], int]:
    module, _, function = COMMANDS[name].partition(".")
    return getattr(import_module(f"prefect_llm_reports.flows.cli.{module}"), function)


def _problem_of_settings(error: Any) -> str:
    """Say which of Prefect's settings cannot be read; empty: the error is another one."""
    if not str(getattr(error, "title", "")).endswith("Settings") or not hasattr(error, "errors"):
        return ""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    names = ", ".join(dict.fromkeys(".".join(map(str, one["loc"])) for one in found))
    said = next((one["msg"] for one in found), "")
    return (
        f"Prefect's settings cannot be read: {names or 'all of them'} ({said}); correct or unset"
        " the PREFECT_ variable, or the line of the profile (`prefect config view` shows them)"
    )


def _collect_rarely() -> None:
    """Collect garbage rarely during imports, and not at all at the end of the process."""
    gc.set_threshold(50_000, 20, 20)
    atexit.register(gc.freeze)


if __name__ == "__main__":
    sys.exit(main())
