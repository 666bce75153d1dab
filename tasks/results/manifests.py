"""Manifests: their common fields; and a run's folder: its name, and leftovers in it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from prefect.client.schemas.objects import FlowRun
from pydantic import BaseModel, ValidationError

from prefect_llm_reports.tasks.contract.calls import StepRecord
from prefect_llm_reports.tasks.contract.errors import StorageError
from prefect_llm_reports.tasks.contract.records import BATCH, MANIFEST, FileEntry, Usage
from prefect_llm_reports.tasks.contract.reports import Manifest
from prefect_llm_reports.tasks.results.index import is_run_id
from prefect_llm_reports.tasks.storage.places import Place

logger = logging.getLogger(__name__)

PACKAGES = (
    "prefect-llm-reports",
    "prefect",
    "openai",
    "pydantic",
    "jinja2",
    "markdown-it-py",
    "latex2mathml",
    "nh3",
    "typst",
    "python-docx",
)


@cache
def package_versions() -> dict[str, str]:
    """Versions of the packages that make the files; a package that is not installed is left out."""
    found: dict[str, str] = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def shared_fields(
    steps: Sequence[StepRecord],
    files: Mapping[str, bytes],
    *,
    created: datetime,
    flow_run_id: str | None,
) -> dict[str, Any]:
    """The fields that the manifests of reports and of branches have in common.

    Args:
        steps: The answered calls.
        files: The other files of the result directory.
        created: When the directory is written, UTC.
        flow_run_id: The Prefect flow run.
    """
    known = [step.cost_usd for step in steps if step.cost_usd is not None]
    return {
        "steps": list(steps),
        "usage": sum((step.usage for step in steps if step.usage), Usage()),
        "cost_usd": sum(known, Decimal(0)) if len(known) == len(steps) else None,
        "flow_run_id": flow_run_id,
        "packages": package_versions(),
        "created": created,
        "files": [FileEntry.of(name, body) for name, body in files.items()],
    }


def pretty_json(model: BaseModel) -> bytes:
    """Write a model as an indented JSON file."""
    return (model.model_dump_json(indent=2) + "\n").encode()


def published_already(place: Place, folder: str) -> tuple[Manifest, list[FileEntry]]:
    """Read the manifest of a directory that another process has completed, and its files' entries.

    Raises:
        StorageError: The manifest is damaged.
    """
    body = place.read(f"{folder}/{MANIFEST}") or b""
    try:
        manifest = Manifest.model_validate_json(body)
    except ValidationError:
        raise StorageError(
            f"{place.path(folder)}/{MANIFEST}: damaged; remove the folder and run the same command"
            " again"
        ) from None
    return manifest, [*manifest.files, FileEntry.of(MANIFEST, body)]


def sweep(place: Place) -> None:
    """Remove the leftovers of killed runs from a folder of runs; a failure is only logged."""
    if place.on_network:
        return
    try:
        swept = place.sweep()
        runs = [name for name in place.names() if is_run_id(name)]
    except StorageError as error:
        logger.warning("leftovers of killed runs could not be removed: %s", error)
        return
    for name in runs:
        with suppress(StorageError):  # another user's run
            swept += place.sweep(name)
    if swept:
        logger.info("removed %d leftovers of killed runs from %s", swept, place.where)


def new_run_id(run: FlowRun, output: Place) -> str:
    """Make a run's id of its UTC time and a short id of its flow run.

    A Retry of the flow run goes on in the same directory. A finished directory is never changed:
    the next try gets a number.
    """
    started = run.expected_start_time or datetime.now(UTC)
    run_id = base = f"{started:%Y%m%dT%H%M%SZ}-{run.id.hex[-8:]}"
    again = 1
    while output.read(f"{run_id}/{BATCH}") is not None:
        again += 1
        run_id = f"{base}-{again}"
    return run_id
