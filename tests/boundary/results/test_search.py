"""All reports of an output can be searched from a file, and each is read once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prefect_llm_reports.tasks.results import search
from prefect_llm_reports.tasks.results.index import publish_index
from prefect_llm_reports.tasks.results.search import SEARCH, SEARCHED
from tests.boundary.results.test_index import LAST, Recording, add_run
from tests.unit.pages.test_report import Seen


def add_reports(output: Path, run_id: str, *topics: str) -> None:
    """A complete run with a published report on each topic."""
    add_run(output, run_id, "complete")
    reports = [{"status": "published", "topic": t, "slug": f"s{n}"} for n, t in enumerate(topics)]
    at = output / run_id / "batch.json"
    at.write_text(json.dumps({**json.loads(at.read_text()), "reports": reports}))
    for n, topic in enumerate(topics):
        folder = output / run_id / f"s{n}"
        folder.mkdir()
        (folder / "summary.txt").write_text(f"Summary of {topic}.\n\nIt costs <b>much</b>.\n")
        (folder / "report.md").write_text(
            f"---\na: b\n---\n\n# {topic}\n\n## Costs of it\n\nText.\n"
        )


def found_by(output: Path) -> dict[str, str]:
    """The words by which each report is found, by its link."""
    seen = Seen((output / SEARCH).read_text())
    assert not seen.dangers
    words = [
        about["data-words"] for tag, about in seen.tags if "data-words" in about and tag == "td"
    ]
    links = [link["href"] for link in seen.named("a") if link["href"].startswith("2026")]
    return dict(zip(links, words, strict=True))


def test_reports_are_found_by_headings_and_summary(tmp_path: Path) -> None:
    """The page holds title, headings and summary of each report, newest first, as text."""
    add_reports(tmp_path, "20261101T000000Z-1", "Zinc")
    add_reports(tmp_path, LAST, "Tidal power", "Bees")
    publish_index(Recording(tmp_path), LAST)
    found = found_by(tmp_path)
    assert list(found) == [
        f"{LAST}/s0/index.html",
        f"{LAST}/s1/index.html",
        "20261101T000000Z-1/s0/index.html",
    ]
    words = found[f"{LAST}/s0/index.html"]
    assert words == "Summary of Tidal power. It costs <b>much</b>. Tidal power · Costs of it"
    assert f'href="{SEARCH}"' in (tmp_path / "index.html").read_text()


def test_a_report_is_read_once(tmp_path: Path) -> None:
    """The next run reads its own reports only; without the kept words the page is the same."""
    add_reports(tmp_path, "20261101T000000Z-1", "Zinc")
    place = Recording(tmp_path)
    publish_index(place, "20261101T000000Z-1")
    add_reports(tmp_path, LAST, "Bees")
    place.read_runs.clear()
    publish_index(place, LAST)
    assert place.read_runs == {LAST}
    page = (tmp_path / SEARCH).read_bytes()
    for damaged in ("", "{", "[]", '{"a": 1}'):
        (tmp_path / SEARCHED).write_text(damaged)
        publish_index(place, LAST)
        assert (tmp_path / SEARCH).read_bytes() == page


def test_the_page_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds the newest reports; after one run a limited number of them is read."""
    monkeypatch.setattr(search, "NEWEST", 3)
    monkeypatch.setattr(search, "READ", 2)
    add_reports(tmp_path, LAST, *[f"Topic {n} {'x' * 3000}" for n in range(5)])
    place = Recording(tmp_path)
    publish_index(place, LAST)
    assert [bool(words) for words in found_by(tmp_path).values()] == [True, True, False]
    publish_index(place, LAST)
    found = found_by(tmp_path)
    assert all(0 < len(words) <= search.WORDS for words in found.values())
    assert len(json.loads((tmp_path / SEARCHED).read_text())) == 3


def test_a_page_of_others_stays(tmp_path: Path) -> None:
    """A search.html that we did not write is neither replaced nor linked to."""
    (tmp_path / SEARCH).write_text("<p>Ours")
    add_reports(tmp_path, LAST, "Bees")
    publish_index(Recording(tmp_path), LAST)
    assert (tmp_path / SEARCH).read_text() == "<p>Ours"
    assert SEARCH not in (tmp_path / "index.html").read_text()
