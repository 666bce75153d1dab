"""The feed of an output is valid Atom, bounded, and leaves the feeds of others alone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from prefect_llm_reports.tasks.pages.runs import ListedReport, RunEntry
from prefect_llm_reports.tasks.results.feed import FEED, NEWEST, feed_of, publish_feed
from prefect_llm_reports.tasks.results.index import publish_index
from prefect_llm_reports.tasks.results.verifying import Verifier
from prefect_llm_reports.tasks.storage.places import LocalPlace
from tests.boundary.results.test_index import LAST, add_run

ATOM = "{http://www.w3.org/2005/Atom}"
DAY = datetime(2026, 11, 22, 12, tzinfo=UTC)
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def run(day: int, *titles: str, address: str = "") -> RunEntry:
    began = DAY + timedelta(days=day)
    reports = tuple(ListedReport(title, f"r{n}", 8.5, n == 1) for n, title in enumerate(titles))
    return RunEntry(
        run_id=f"{began:%Y%m%dT%H%M%SZ}-a1",
        started=began,
        status="complete",
        published=len(titles),
        total=len(titles),
        cost_usd=None,
        state="finished",
        name="Name · m",
        address=address,
        duration_s=61.5,
        reports=reports,
    )


def entries(body: bytes) -> list[dict[str, str]]:
    """The entries of a feed, after what every feed must have is checked."""
    root = ElementTree.fromstring(body)
    assert root.tag == f"{ATOM}feed"
    for tag in ("id", "title", "updated"):
        assert len(root.findall(ATOM + tag)) == 1
    assert root.findtext(f"{ATOM}author/{ATOM}name")
    found = []
    for entry in root.findall(f"{ATOM}entry"):
        about = {tag: entry.findtext(ATOM + tag) or "" for tag in ("id", "title", "updated")}
        assert all(about.values())
        link = entry.find(f"{ATOM}link")
        assert link is not None
        found.append({**about, "href": link.attrib["href"], **_summary(entry)})
    for one in [*found, {"updated": root.findtext(f"{ATOM}updated") or "", "id": "urn:x"}]:
        assert MOMENT.fullmatch(one["updated"])
        assert one["id"].startswith("urn:")
    assert len({one["id"] for one in found}) == len(found)
    return found


def _summary(entry: ElementTree.Element) -> dict[str, str]:
    return {"summary": entry.findtext(f"{ATOM}summary") or ""}


def test_a_feed_lists_reports_newest_first() -> None:
    """Each entry has title, time of its run's end, score, and a link to the reader's page."""
    older, newer = run(0, "Zinc"), run(1, "Tidal power", "Bees", address="https://x.test/r/")
    found = entries(feed_of([older, newer], "urn:uuid:1"))
    assert [one["title"] for one in found] == ["Tidal power", "Bees", "Zinc"]
    assert found[0]["href"] == f"https://x.test/r/{newer.run_id}/r0/index.html"
    assert found[2]["href"] == f"{older.run_id}/r0/index.html"
    assert found[2]["updated"] == "2026-11-22T12:01:01Z"
    assert found[0]["summary"] == "Score 8.5 of 10. Name · m"
    assert found[1]["summary"] == "Score 8.5 of 10, below the threshold. Name · m"


@pytest.mark.parametrize(
    "title",
    [
        "<script>alert(1)</script> & co",
        "]]>",
        "\x00\x0b\ufffe\uffff bell \x07",
        "\ud800 half",
        "emoji \U0001f30a",
        "a\nb\tc",
        "\u202e turned",
    ],
)
def test_any_title_makes_valid_xml(title: str) -> None:
    """What a topic holds is text in the feed, without the signs that XML forbids."""
    (found,) = entries(feed_of([run(0, title)], "urn:uuid:1"))
    assert "script" not in title or found["title"] == title


def test_a_feed_is_bounded() -> None:
    """The newest hundred reports are in it, whether of one run or of many."""
    many = run(0, *[f"Topic {n}" for n in range(250)])
    assert len(entries(feed_of([many], "urn:uuid:1"))) == NEWEST
    days = [run(day, f"Day {day}") for day in range(250)]
    found = entries(feed_of(days, "urn:uuid:1"))
    assert [found[0]["title"], found[-1]["title"], len(found)] == ["Day 249", "Day 150", NEWEST]


def test_a_feed_without_reports_is_valid() -> None:
    """No run, or none that published, is a feed without entries."""
    for runs in ([], [run(0)], [RunEntry("x", None, None, None, None, None, "unfinished")]):
        assert entries(feed_of(runs, "urn:uuid:1")) == []


def test_the_page_of_all_runs_and_its_feed_belong_together(tmp_path: Path) -> None:
    """Both are written after a run; the page links to the feed, and ids stay when it moves."""
    out = tmp_path / "out"
    out.mkdir()
    add_run(out, LAST, "complete", "published")
    at = out / LAST / "batch.json"
    at.write_text(at.read_text().replace('"topic": "x"', '"topic": "Tides", "slug": "t"'))
    publish_index(LocalPlace(out), LAST)
    first = (out / FEED).read_bytes()
    assert [one["title"] for one in entries(first)] == ["Tides"]
    assert 'href="feed.xml"' in (out / "index.html").read_text()
    moved = tmp_path / "moved"
    out.rename(moved)
    publish_index(LocalPlace(moved), "")
    assert (moved / FEED).read_bytes() == first


@pytest.mark.parametrize("theirs", ["", "<rss/>", "<?xml version='1.0'?><feed/>", "\0"])
def test_a_feed_of_others_stays(tmp_path: Path, theirs: str) -> None:
    """A feed.xml that we did not write is neither replaced nor linked to."""
    (tmp_path / FEED).write_text(theirs)
    add_run(tmp_path, LAST, "complete", "published")
    publish_index(LocalPlace(tmp_path), LAST)
    assert (tmp_path / FEED).read_text() == theirs
    assert "feed.xml" not in (tmp_path / "index.html").read_text()


def test_a_folder_in_the_place_of_the_feed_fails_nothing(tmp_path: Path) -> None:
    """Whatever has the feed's name, the page of all runs is written."""
    (tmp_path / FEED).mkdir()
    add_run(tmp_path, LAST, "complete", "published")
    publish_index(LocalPlace(tmp_path), LAST)
    assert "All runs" in (tmp_path / "index.html").read_text()
    assert publish_feed(LocalPlace(tmp_path), []) is False


def test_verification_knows_the_feed(tmp_path: Path) -> None:
    """The feed beside the runs is no finding."""
    add_run(tmp_path, LAST, "complete", "published")
    publish_index(LocalPlace(tmp_path), LAST)
    assert (tmp_path / FEED).exists()
    found = Verifier(LocalPlace(tmp_path)).verify().findings
    assert not [one for one in found if FEED in one.path]
