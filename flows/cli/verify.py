"""`llm-reports verify`: problems of published files, one line each.

Not here: how files are checked, see `tasks.results.verifying`.
"""

from __future__ import annotations

import sys
from collections import Counter

from prefect_llm_reports.tasks.contract.errors import BadInput, StorageError
from prefect_llm_reports.tasks.contract.locations import saved_bucket
from prefect_llm_reports.tasks.results.verifying import Verification, Verifier
from prefect_llm_reports.tasks.storage.places import Place, open_place

EXIT_GOOD, EXIT_WRONG = 0, 1


def verify(directory: str, *, as_json: bool = False) -> int:
    """Check a folder, print the findings, and return the exit status.

    Args:
        directory: An output folder, a run, or a result directory; also s3:// or s3-bucket/NAME.
        as_json: Print one JSON document instead of lines.

    Raises:
        BadInput: The folder has nothing to check, or cannot be read.
    """
    try:
        found = Verifier(opened(directory)).verify()
    except StorageError as error:
        raise BadInput(str(error)) from None
    sys.stdout.write(found.model_dump_json(indent=2) + "\n" if as_json else _lines(found))
    return EXIT_GOOD if found.status == "good" else EXIT_WRONG


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
        raise BadInput(f"{directory} does not exist or is empty; give a folder with reports")
    return place


def _lines(found: Verification) -> str:
    lines = [f"{one.kind:<10}  {one.path}: {one.detail}" for one in found.findings]
    looked = (
        f"{_many(found.runs, 'run')}, {_many(found.reports, 'report')},"
        f" {_many(found.files, 'file')}, {found.bytes:,} bytes"
    )
    if found.status == "good":
        lines.append(f"all good: {looked}")
    else:
        kinds = Counter(one.kind for one in found.findings)
        said = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        lines.append(f"something is wrong: {said}; {looked}")
    return "".join(f"{line}\n" for line in lines)


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
