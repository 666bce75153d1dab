"""Manifests and what surrounds them: versions, ids of runs, what is there, what is swept."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from prefect.client.schemas.objects import FlowRun
from pydantic import BaseModel, ValidationError

from prefect_llm_reports.tasks.contract.errors import StorageError
from prefect_llm_reports.tasks.contract.records import (
    BATCH,
    MANIFEST,
    FileEntry,
)
from prefect_llm_reports.tasks.contract.reports import Manifest
from prefect_llm_reports.tasks.storage.places import Place

logger = logging.getLogger(__name__)

PACKAGES = (
    "prefect-llm-reports",
    "prefect",
    "openai",
    "pydantic",
    "jinja2",
    "markdown-it-py",
    "nh3",
    "typst",
    "python-docx",
)


@cache
def package_versions() -> dict[str, str]:
    """Versions of what makes the files; one that is not installed as a package is left out."""
    found: dict[str, str] = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def known_sum(costs: list[Decimal | None]) -> Decimal | None:
    """The sum; None when any part is unknown."""
    known = [cost for cost in costs if cost is not None]
    return sum(known, Decimal(0)) if len(known) == len(costs) else None


def pretty_json(model: BaseModel) -> bytes:
    """A model as an indented JSON file."""
    return (model.model_dump_json(indent=2) + "\n").encode()


def published_already(place: Place, folder: str) -> tuple[Manifest, list[FileEntry]]:
    """The manifest and the files of a directory that another process has completed.

    Raises:
        StorageError: It is damaged.
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
    """Remove what killed runs left in a folder of runs; failing to is no harm."""
    if place.on_network:
        return
    try:
        swept = place.sweep() + sum(place.sweep(name) for name in place.names())
    except StorageError as error:
        logger.warning("what killed runs left could not be removed: %s", error)
    else:
        if swept:
            logger.info("removed %d things that killed runs had left in %s", swept, place.where)


def new_run_id(run: FlowRun, output: Place) -> str:
    """UTC time and a short id of the flow run; a Retry goes on in the same directory.

    A directory that is finished stays as it is: the next try gets a number.
    """
    started = run.expected_start_time or datetime.now(UTC)
    run_id = base = f"{started:%Y%m%dT%H%M%SZ}-{run.id.hex[-8:]}"
    again = 1
    while output.read(f"{run_id}/{BATCH}") is not None:
        again += 1
        run_id = f"{base}-{again}"
    return run_id
