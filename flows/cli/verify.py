"""`llm-reports verify`: problems of published files, one line each.

Not here: how files are checked, see `tasks.results.verifying`.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from prefect_llm_reports.flows.cli import statuses
from prefect_llm_reports.tasks.contract.errors import BadInput, StorageError
from prefect_llm_reports.tasks.contract.locations import absolute, saved_bucket
from prefect_llm_reports.tasks.results.verifying import Verification, Verifier
from prefect_llm_reports.tasks.storage.places import Place, open_place
from prefect_llm_reports.tasks.text.figures import counted
from prefect_llm_reports.tasks.text.foreign import printable, printable_json


def verify(chosen: argparse.Namespace) -> int:
    """Check a folder, print the findings, and return the exit status.

    Args:
        chosen: The parsed command line: an output folder, a run, or a result directory; also s3://
            or s3-bucket/NAME.

    Raises:
        BadInput: The folder has nothing to check, or cannot be read.
    """
    try:
        found = Verifier(opened(chosen.directory)).verify()
    except StorageError as error:
        raise BadInput(str(error)) from None
    document = printable_json(found.model_dump_json(indent=2)) + "\n"
    sys.stdout.write(document if chosen.json else _lines(found))
    return statuses.COMPLETE if found.status == "good" else statuses.WRONG


def opened(directory: str) -> Place:
    """Open the place that a command reads.

    Raises:
        BadInput: The folder, bucket or block does not exist.
    """
    if saved_bucket(directory) is not None:
        from rich.console import Console

        from prefect_llm_reports.flows.cli.server import reach_server

        reach_server(Console(stderr=True))
    place = open_place(directory)
    if not place.on_network and not place.names(hidden=True):
        what = "is a file" if Path(absolute(directory)).is_file() else "does not exist or is empty"
        raise BadInput(f"{directory} {what}; give a folder with reports")
    return place


def _lines(found: Verification) -> str:
    lines = [printable(f"{one.kind:<10}  {one.path}: {one.detail}") for one in found.findings]
    looked = (
        f"{counted(found.runs, 'run')}, {counted(found.reports, 'report')},"
        f" {counted(found.files, 'file')}, {found.bytes:,} bytes"
    )
    if found.quotations:
        looked += (
            f", {counted(found.quotations, 'quotation')} looked for again,"
            f" {counted(found.doubtful, 'claim')} recorded as doubtful"
        )
    if found.status == "good":
        lines.append(f"all good: {looked}")
    else:
        kinds = Counter(one.kind for one in found.findings)
        said = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        lines.append(f"problems found: {said}; {looked}")
    return "".join(f"{line}\n" for line in lines)
