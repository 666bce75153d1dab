"""Finding the last report on a topic in earlier runs.

A batch lists the run folders once, however many topics it has. An earlier report that cannot be
read is logged; it never fails the new one.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections import Counter
from contextlib import suppress
from typing import Any, cast

from prefect_llm_reports.tasks.contract.errors import StorageError
from prefect_llm_reports.tasks.storage.places import Place
from prefect_llm_reports.tasks.text.changes import Earlier
from prefect_llm_reports.tasks.text.markdown import one_line

logger = logging.getLogger(__name__)

MAX_RUNS = 100
MAX_BYTES = 4_000_000
MAX_HEAD = 10_000
_TIME = len("20260314T060000Z")
_STARTED = re.compile(r'"started": ?"([^"]+)"')


def earlier_slugs(place: Place) -> set[str]:
    """The slugs in the newest runs under a place; empty: there are none, or they cannot be listed.

    Args:
        place: Where the runs are.
    """
    found: set[str] = set()
    try:
        runs = [name for name in place.names() if "." not in name]
        for run_id in sorted(runs, reverse=True)[:MAX_RUNS]:
            found |= {name for name in place.names(run_id) if "." not in name}
    except StorageError as error:
        logger.warning("earlier runs cannot be listed: %s", error)
    return found


class EarlierReports:
    """Finds the newest finished report on each topic from before a run.

    Args:
        place: Where the runs are.
        run_id: The present run; only runs that began before it count.
        slugs: The topics to look for.
    """

    def __init__(self, place: Place, run_id: str, slugs: set[str]) -> None:
        self._place = place
        self._run_id = run_id
        self._slugs = slugs
        self._runs: dict[str, str] | None = None
        self._problem = ""
        self._listing = asyncio.Lock()

    async def find(self, slug: str) -> Earlier | None:
        """Find the last report on a topic; None: there is none. It never raises."""
        async with self._listing:
            if self._runs is None:
                self._runs = await asyncio.to_thread(self._listed)
        run_id = self._runs.get(slug)
        if run_id is None:
            return Earlier("", problem=self._problem) if self._problem else None
        try:
            if self._place.on_network:
                return await asyncio.to_thread(self._read, run_id, slug)
            return self._read(run_id, slug)  # faster than through a thread
        except (StorageError, ValueError, KeyError, TypeError) as error:
            logger.warning(
                "%s: not compared with the report of run %s, which cannot be read: %s",
                slug,
                run_id,
                error,
            )
            return Earlier(run_id, problem="it could not be read")

    def _listed(self) -> dict[str, str]:
        """Find the newest finished run of each topic; each run's folder is listed once."""
        newest: dict[str, str] = {}
        try:
            earlier = [
                name
                for name in self._place.names()
                if "." not in name and name != self._run_id and name[:_TIME] <= self._run_id[:_TIME]
            ]
            for run_id in self._newest_first(earlier)[:MAX_RUNS]:
                try:
                    names = set(self._place.names(run_id))
                except StorageError as error:
                    logger.info("%s is not compared with: %s", run_id, error)
                    continue
                if "batch.json" in names:
                    for slug in names & (self._slugs - newest.keys()):
                        newest[slug] = run_id
                if newest.keys() >= self._slugs:
                    break
        except StorageError as error:
            logger.warning("earlier runs cannot be listed, reports are not compared: %s", error)
            self._problem = "earlier runs could not be listed"
        return newest

    def _newest_first(self, names: list[str]) -> list[str]:
        """Sort runs by their start; batch.json decides among runs of the same second."""
        second = Counter(name[:_TIME] for name in names)

        def began(name: str) -> tuple[str, str, str]:
            alone = second[name[:_TIME]] == 1
            with suppress(StorageError):
                return name[:_TIME], "" if alone else self._started(name), name
            return name[:_TIME], "", name

        return sorted(names, key=began, reverse=True)

    def _started(self, run_id: str) -> str:
        body = self._place.read(f"{run_id}/batch.json")
        found = _STARTED.search(body[:MAX_HEAD].decode(errors="replace")) if body else None
        return found[1] if found else ""

    def _read(self, run_id: str, slug: str) -> Earlier | None:
        about = self._place.read(f"{run_id}/{slug}/manifest.json")
        if about is None:  # never completed
            return None
        manifest = cast("dict[str, Any]", json.loads(about))
        body = self._place.read(f"{run_id}/{slug}/report.md")
        if body is None or len(body) > MAX_BYTES:
            return Earlier(run_id, problem="its report.md is missing or too large")
        score = manifest["score"]
        return Earlier(
            run_id=run_id,
            markdown=body.decode(),
            score=float(score) if isinstance(score, int | float) else None,
            created=one_line(str(manifest["created"])),
        )
