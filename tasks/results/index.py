"""The page of all runs under one place.

A place may hold years of nightly runs. A hidden file beside the page keeps the entries of complete
runs, so a batch reads only the runs that may have changed since the last page.
"""

from __future__ import annotations

import logging
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from prefect_llm_reports.tasks.contract.errors import StorageError
from prefect_llm_reports.tasks.contract.records import BATCH
from prefect_llm_reports.tasks.pages.runs import (
    TITLE_CHARS,
    ListedReport,
    RunEntry,
    runs_page,
    topics_found,
)
from prefect_llm_reports.tasks.results.feed import FEED, NEWEST, publish_feed
from prefect_llm_reports.tasks.results.search import NEWEST as SEARCHED_REPORTS
from prefect_llm_reports.tasks.results.search import SEARCH, publish_search
from prefect_llm_reports.tasks.storage.places import Place
from prefect_llm_reports.tasks.text.figures import is_below, run_name

logger = logging.getLogger(__name__)

COMPLETE_RUNS = ".runs.json"
"""The entries of complete runs. Without this file the next batch reads all runs again."""

INDEX, OTHER_INDEX = "index.html", "runs.html"
"""The page of all runs; and its name where somebody else's page has the first one."""

NO_JEKYLL = ".nojekyll"
"""Has GitHub Pages serve the files as they are; it would make other pages of report.md."""
READS_AT_ONCE = 16
_RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9A-Za-z-]+\Z")
_OWN_PAGE = re.compile(
    rb"\s*<!doctype html>\s*<html[^>]*>\s*<head>\s*<meta charset=\"utf-8\">\s*"
    rb"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src"
    rb" 'sha256-",
    re.I,
)
"""The beginning of each of our pages, with any template."""
_RUNS = TypeAdapter(list[RunEntry])


def is_run_id(name: str) -> bool:
    """Whether a folder has the name of a run; other folders may be anybody's.

    Args:
        name: The folder's name.
    """
    return bool(_RUN_ID.match(name))


def index_name(place: Place) -> str | None:
    """The name of the page of all runs; None: others' pages have both names.

    Args:
        place: Where the runs are.
    """
    return next((name for name in (INDEX, OTHER_INDEX) if _is_free(place, name)), None)


def _is_free(place: Place, name: str) -> bool:
    """Whether there is no such file, or one that we wrote."""
    try:
        body = place.read(name)
    except StorageError:
        return False
    return body is None or bool(_OWN_PAGE.match(body))


def foreign_index(place: Place) -> list[str]:
    """A warning about somebody else's page in the place of the page of all runs.

    Args:
        place: Where the runs are.
    """
    name = index_name(place)
    if name == INDEX:
        return []
    there = f"{place.path(INDEX)} is not a page of ours and stays as it is"
    if name is None:
        return [f"{there}, and so does {OTHER_INDEX}; no page of all runs is written"]
    return [f"{there}; the page of all runs is {name}"]


def publish_index(place: Place, changed: str, templates: str | None = None) -> None:
    """Write the page of all runs after one of them has changed; a failure is only logged.

    The runs themselves are whole without this page, and the next run writes it again.

    Args:
        place: Where the runs are.
        changed: The run that has changed.
        templates: Folder of the user's own page templates.
    """
    try:
        runs = run_entries(place, changed)
        if name := index_name(place):
            feed = FEED if publish_feed(place, runs) else ""
            search = SEARCH if _is_free(place, SEARCH) and publish_search(place, runs, name) else ""
            page = runs_page(runs, templates, feed=feed, search=search)
            place.write(name, page.encode())
        if name == INDEX and NO_JEKYLL not in place.names(hidden=True):
            place.write(NO_JEKYLL, b"")
    except StorageError as error:
        logger.warning("the page of all runs could not be written: %s", error)
        return
    complete = [run for run in _within_search(runs) if run.status == "complete"]
    try:
        place.write(COMPLETE_RUNS, _RUNS.dump_json(complete))
    except StorageError as error:
        logger.warning(
            "entries of complete runs not kept, so the next page takes longer: %s", error
        )


def run_entries(place: Place, changed: str) -> list[RunEntry]:
    """List all runs under a place, newest first; an unfinished run has no figures.

    Folders that are not runs, or cannot be read, are left out.

    Args:
        place: Where the runs are.
        changed: The run that has changed since the last page.
    """
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
    stop_reason: str | None = None
    topic: str = ""
    query: str = ""
    slug: str = ""
    score: float | None = None


class _Finished(BaseModel):
    """A finished run of either kind: the part that the page of all runs shows."""

    started: datetime
    duration_s: float = 0
    status: str
    cost_usd: Decimal | None
    reports: list[_Listed] = []
    inquiries: list[_Listed] = []
    options: dict[str, Any] = {}


def _complete(place: Place) -> list[RunEntry]:
    """Read the entries of the runs that were complete at the last page."""
    try:
        body = place.read(COMPLETE_RUNS)
        kept = _RUNS.validate_json(body) if body else []
    except (StorageError, ValidationError):
        return []
    return [run for run in kept if run.topics is not None and run.reports is not None]


def _entry(place: Place, run_id: str) -> RunEntry | None:
    """Make a run's entry from its batch.json; None for a folder that is not a run."""
    try:
        result = _read_result(place, run_id)
        if result is None and not (is_run_id(run_id) and place.names(run_id)):
            return None
    except StorageError as error:
        logger.info("%s is left out of the page of all runs: %s", run_id, error)
        return None
    items = [] if result is None else result.reports or result.inquiries
    titles = [item.topic or item.query for item in items]
    return RunEntry(
        run_id=run_id,
        started=result.started if result else None,
        status=result.status if result else None,
        published=sum(item.status in ("published", "complete") for item in items),
        total=len(items),
        cost_usd=result.cost_usd if result else None,
        state="finished" if result else "unfinished",
        name=run_name(titles, str(result.options.get("model", ""))) if result else "",
        topics=topics_found(titles) if result else None,
        duration_s=result.duration_s if result else 0,
        address=str(result.options.get("pages_url") or "") if result else "",
        reports=_published(result.reports) if result else None,
        below=sum(is_below(item.status, item.stop_reason) for item in items),
    )


def _within_search(runs: list[RunEntry]) -> list[RunEntry]:
    """The runs, newest first; those beyond the search keep no more reports than a feed lists."""
    kept, left = list[RunEntry](), SEARCHED_REPORTS
    for run in runs:
        kept.append(run if left > 0 else replace(run, reports=(run.reports or ())[:NEWEST]))
        left -= len(run.reports or ())
    return kept


def _published(reports: list[_Listed]) -> tuple[ListedReport, ...]:
    """The first published reports of a run, as many as can be searched."""
    return tuple(
        ListedReport(
            " ".join(item.topic.split())[:TITLE_CHARS],
            item.slug,
            item.score,
            is_below(item.status, item.stop_reason),
        )
        for item in reports
        if item.status == "published" and item.slug
    )[:SEARCHED_REPORTS]


def _read_result(place: Place, run_id: str) -> _Finished | None:
    body = place.read(f"{run_id}/{BATCH}")
    try:
        return _Finished.model_validate_json(body) if body else None
    except ValidationError:
        return None
