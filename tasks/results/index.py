"""The page of all runs under one place.

A place may hold years of nightly runs. A hidden file beside the page keeps the entries of complete
runs, so a batch reads only the runs that may have changed since the last page.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from functools import partial

from pydantic import BaseModel, TypeAdapter, ValidationError

from prefect_llm_reports.tasks.contract.errors import StorageError
from prefect_llm_reports.tasks.contract.records import BATCH
from prefect_llm_reports.tasks.pages.runs import RunEntry, runs_page
from prefect_llm_reports.tasks.storage.places import Place

logger = logging.getLogger(__name__)

COMPLETE_RUNS = ".runs.json"
"""The entries of complete runs. Without this file the next batch reads all runs again."""

READS_AT_ONCE = 16
_RUNS = TypeAdapter(list[RunEntry])


def publish_index(place: Place, changed: str, templates: str | None = None) -> None:
    """Write the page of all runs after one of them has changed."""
    runs = run_entries(place, changed)
    place.write("index.html", runs_page(runs, templates).encode())
    complete = [run for run in runs if run.status == "complete"]
    try:
        place.write(COMPLETE_RUNS, _RUNS.dump_json(complete))
    except StorageError as error:
        logger.warning(
            "entries of complete runs not kept, so the next page takes longer: %s", error
        )


def run_entries(place: Place, changed: str) -> list[RunEntry]:
    """List all runs under a place, newest first; an unfinished run has no figures."""
    known = {run.run_id: run for run in _complete(place) if run.run_id != changed}
    names = [name for name in reversed(place.names()) if "." not in name]
    unknown = [name for name in names if name not in known]
    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        read = dict(zip(unknown, pool.map(partial(_entry, place), unknown), strict=True))
    entries = (known.get(name) or read[name] for name in names)
    return [entry for entry in entries if entry]


class _Listed(BaseModel):
    """One report, or one input of branches: the part that the page of all runs shows."""

    status: str


class _Finished(BaseModel):
    """A finished run of either kind: the part that the page of all runs shows."""

    started: datetime
    status: str
    cost_usd: Decimal | None
    reports: list[_Listed] = []
    inquiries: list[_Listed] = []


def _complete(place: Place) -> list[RunEntry]:
    """Read the entries of the runs that were complete at the last page."""
    try:
        body = place.read(COMPLETE_RUNS)
        return _RUNS.validate_json(body) if body else []
    except (StorageError, ValidationError):
        return []


def _entry(place: Place, run_id: str) -> RunEntry | None:
    """Make a run's entry from its batch.json; None for an empty folder."""
    result = _read_result(place, run_id)
    if result is None and not place.names(run_id):
        return None
    items = [] if result is None else result.reports or result.inquiries
    return RunEntry(
        run_id=run_id,
        started=result.started if result else None,
        status=result.status if result else None,
        published=sum(item.status in ("published", "complete") for item in items),
        total=len(items),
        cost_usd=result.cost_usd if result else None,
        state="finished" if result else "unfinished",
    )


def _read_result(place: Place, run_id: str) -> _Finished | None:
    body = place.read(f"{run_id}/{BATCH}")
    try:
        return _Finished.model_validate_json(body) if body else None
    except ValidationError:
        return None
