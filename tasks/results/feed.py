"""The feed of an output: its newest reports as Atom, for feed readers.

Here: feed.xml beside the page of all runs. Not here: which runs there are (`results.index`), the
pages that the feed links to (`pages`).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import quote
from xml.etree import ElementTree

from prefect_llm_reports.tasks.contract.errors import StorageError
from prefect_llm_reports.tasks.pages.report import score_text
from prefect_llm_reports.tasks.pages.runs import ListedReport, RunEntry
from prefect_llm_reports.tasks.storage.places import Place
from prefect_llm_reports.tasks.text.markdown import one_line

FEED = "feed.xml"
NEWEST = 100
"""Reports in a feed; older ones leave it."""

_ATOM = "http://www.w3.org/2005/Atom"
_GENERATOR = "prefect-llm-reports"
_OWN_FEED = re.compile(
    rb"<\?xml version='1\.0' encoding='utf-8'\?>\s*"
    rb'<feed xmlns="http://www\.w3\.org/2005/Atom">\s*<generator>prefect-llm-reports</generator>'
    rb"\s*<id>(urn:uuid:[0-9a-f-]{36})</id>"
)
"""The beginning of each of our feeds."""
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def publish_feed(place: Place, runs: Sequence[RunEntry]) -> bool:
    """Write feed.xml; false where a feed that others wrote has its name, which stays.

    Args:
        place: Where the runs are.
        runs: All runs, in any order.

    Raises:
        StorageError: The feed could not be written.
    """
    try:
        found = place.read(FEED)
    except StorageError:  # a folder, or not ours to read
        return False
    own = _OWN_FEED.match(found) if found is not None else None
    if found is not None and own is None:
        return False
    identity = own[1].decode() if own else _urn(f"{_GENERATOR} {place.where}")
    body = feed_of(runs, identity)
    if body != found:
        place.write(FEED, body)
    return True


def feed_of(runs: Sequence[RunEntry], identity: str) -> bytes:
    """The newest reports of runs as Atom, newest first.

    Args:
        runs: The runs, in any order.
        identity: The id of the feed, the same for all its versions.
    """
    ordered = sorted(runs, key=lambda run: (_ended(run), run.run_id), reverse=True)
    listed = [(run, report) for run in ordered for report in run.reports or ()][:NEWEST]
    updated = max((_ended(run) for run, _ in listed), default=_ended(ordered[0]) if ordered else 0)
    root = ElementTree.Element("feed", {"xmlns": _ATOM})
    _add(root, "generator", _GENERATOR)
    _add(root, "id", identity)
    _add(root, "title", "Reports")
    _add(root, "updated", _moment(updated))
    ElementTree.SubElement(root, "link", {"rel": "self", "href": FEED})
    _add(ElementTree.SubElement(root, "author"), "name", _GENERATOR)
    for run, report in listed:
        root.append(_entry(run, report))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def _entry(run: RunEntry, report: ListedReport) -> ElementTree.Element:
    entry = ElementTree.Element("entry")
    path = f"{quote(run.run_id)}/{quote(report.slug)}/index.html"
    address = f"{run.address.rstrip('/')}/{path}" if run.address else path
    _add(entry, "id", _urn(f"{_GENERATOR} {run.run_id}/{report.slug}"))
    _add(entry, "title", report.title)
    _add(entry, "updated", _moment(_ended(run)))
    ElementTree.SubElement(
        entry, "link", {"rel": "alternate", "type": "text/html", "href": address}
    )
    score = "Not scored" if report.score is None else f"Score {score_text(report.score)} of 10"
    low = ", below the threshold" if report.below else ""
    _add(entry, "summary", f"{score}{low}. {run.name}")
    return entry


def _add(parent: ElementTree.Element, tag: str, text: str) -> None:
    ElementTree.SubElement(parent, tag).text = _NOT_XML.sub("", one_line(text))


def _urn(name: str) -> str:
    """An id that is always the same for a name."""
    return uuid.uuid5(uuid.NAMESPACE_URL, name).urn


def _ended(run: RunEntry) -> float:
    """When a run ended, in seconds since 1970; 0: not known."""
    begun = run.started
    if begun is None:
        return 0
    known = begun if begun.tzinfo else begun.replace(tzinfo=UTC)
    return known.timestamp() + run.duration_s


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%dT%H:%M:%SZ}"
