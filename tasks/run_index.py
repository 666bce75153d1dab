"""The page of all runs under one place: found, read and written."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel, ValidationError

from tasks.run_pages import RunEntry, runs_page
from tasks.schemas import BATCH
from tasks.storage import Place


def publish_index(place: Place, templates: str | None = None) -> None:
    """Write the page of all runs."""
    place.write("index.html", runs_page(run_entries(place), templates).encode())


def run_entries(place: Place) -> list[RunEntry]:
    """All runs under a place, newest first; an unfinished one has no figures."""
    entries: list[RunEntry] = []
    for run_id in reversed(place.names()):
        if "." in run_id:
            continue
        result = _read_result(place, run_id)
        if result is None and not place.names(run_id):
            continue
        items = [] if result is None else result.reports or result.inquiries
        entries.append(
            RunEntry(
                run_id=run_id,
                started=result.started if result else None,
                status=result.status if result else None,
                published=sum(item.status in ("published", "complete") for item in items),
                total=len(items),
                cost_usd=result.cost_usd if result else None,
                state="finished" if result else "unfinished",
            )
        )
    return entries


class _Listed(BaseModel):
    """One report, or one input of branches, as far as the page of all runs tells."""

    status: str


class _Finished(BaseModel):
    """A finished run of either kind, as far as the page of all runs tells."""

    started: datetime
    status: str
    cost_usd: Decimal | None
    reports: list[_Listed] = []
    inquiries: list[_Listed] = []


def _read_result(place: Place, run_id: str) -> _Finished | None:
    body = place.read(f"{run_id}/{BATCH}")
    try:
        return _Finished.model_validate_json(body) if body else None
    except ValidationError:
        return None
