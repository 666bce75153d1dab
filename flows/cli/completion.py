"""`llm-reports completion`: the script that completes commands and options in a shell.

Not here: how such scripts are made; shtab makes them from the parser.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import shtab

from prefect_llm_reports.flows.cli import statuses
from prefect_llm_reports.flows.cli.arguments import parser
from prefect_llm_reports.flows.cli.parsing import ACTIONS

FILES = {"F", "F.yaml", "FILE.svg"}
FOLDERS = {"DIR"}
"""What arguments are called whose values are files or folders."""


def completion(chosen: argparse.Namespace) -> int:
    """Print the script of a shell, and return the exit status.

    Args:
        chosen: The parsed command line.
    """
    top = parser()
    for action in ACTIONS:
        if action.metavar in FILES | FOLDERS:
            completed: Any = action
            completed.complete = shtab.FILE if action.metavar in FILES else shtab.DIRECTORY
    sys.stdout.write(shtab.complete(top, shell=chosen.shell) + "\n")
    return statuses.COMPLETE
