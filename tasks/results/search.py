"""The page that searches all reports of an output, without a server.

Here: search.html beside the page of all runs, and a hidden file with the words of reports, so that
none is read twice. The words stand in the page itself: it is read when somebody opens it, from a
folder, too. Not here: which runs there are (`results.index`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from pydantic import TypeAdapter, ValidationError

from prefect_llm_reports.tasks.contract.errors import StorageError
from prefect_llm_reports.tasks.pages.runs import ListedReport, RunEntry, SearchedReport, search_page
from prefect_llm_reports.tasks.storage.places import Place

SEARCH = "search.html"
SEARCHED = ".search.json"
"""The words of reports. Without this file the next run reads the reports again."""
NEWEST = 1000
"""Reports that can be searched; the words of older ones leave the page."""
READ = 200
"""Reports read after one run; the next run reads more of those that are left."""
WORDS = 1200
"""Characters of headings and summary kept of a report."""
READS_AT_ONCE = 16

_HEADING = re.compile(r"^#{1,4} +(.+?)[ #]*$", re.MULTILINE)
_KEPT = TypeAdapter(dict[str, str])


def publish_search(place: Place, runs: Sequence[RunEntry], index: str) -> bool:
    """Write search.html; false where no report can be found by it.

    Args:
        place: Where the runs are.
        runs: All runs, newest first.
        index: Name of the page of all runs.

    Raises:
        StorageError: The page could not be written.
    """
    listed = [(run, report) for run in runs for report in run.reports or ()][:NEWEST]
    if not listed and place.read(SEARCH) is None:
        return False
    known = _known(place)
    unread = [_path(run, report) for run, report in listed if _path(run, report) not in known]
    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        read = pool.map(partial(_words, place), unread[:READ])
        found = dict(zip(unread, read, strict=False))
    words = {path: text for path, text in (known | found).items() if text is not None}
    shown = [
        SearchedReport(run, report, words.get(_path(run, report), "")) for run, report in listed
    ]
    place.write(SEARCH, search_page(shown, index).encode())
    if found:
        kept = {path: words[path] for one in listed if (path := _path(*one)) in words}
        place.write(SEARCHED, _KEPT.dump_json(kept))
    return True


def _path(run: RunEntry, report: ListedReport) -> str:
    return f"{run.run_id}/{report.slug}"


def _known(place: Place) -> dict[str, str | None]:
    try:
        body = place.read(SEARCHED)
        return {**_KEPT.validate_json(body)} if body else {}
    except (StorageError, ValidationError):
        return {}


def _words(place: Place, path: str) -> str | None:
    """The summary and the headings of a report; None: it could not be read."""
    try:
        summary = (place.read(f"{path}/summary.txt") or b"").decode(errors="replace")
        text = (place.read(f"{path}/report.md") or b"").decode(errors="replace")
    except StorageError:
        return None
    headings = " · ".join(_HEADING.findall(text))
    return " ".join(f"{summary[: WORDS // 2]}\n{headings}".split())[:WORDS]
