"""What changed since the last run is found cheaply, said plainly, and never fails a report."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from prefect_llm_reports.tasks.contract.errors import StorageError
from prefect_llm_reports.tasks.pages.report import report_markdown
from prefect_llm_reports.tasks.results.earlier import MAX_RUNS, EarlierReports
from prefect_llm_reports.tasks.storage.places import LocalPlace
from prefect_llm_reports.tasks.text.changes import (
    Earlier,
    changes_markdown,
    compared,
    sections,
    summary_of,
)
from tests.unit.pages.test_report import VIEWERS, Seen, assert_safe, reader, refined

OLD = """---
title: x
---

# Tides

Opening words.

## Costs

It costs ten.

## Sites

Three sites.

### Sihwa

Built in 2011.
"""
RUN = "20261122T120000Z-aaaa1111"


def earlier(text: str = OLD) -> Earlier:
    return Earlier("20261121T120000Z-bbbb2222", text, 7.0, "2026-11-21T12:00:00Z")


def test_sections_are_matched_by_heading() -> None:
    """Headings tell added, dropped, rewritten and unchanged sections apart."""
    new = OLD.replace("ten", "twelve").replace("### Sihwa\n\nBuilt in 2011.", "## Grid\n\nWeak.")
    changes = compared(earlier(), new)
    assert [s.title for s in changes.added] == ["Grid"]
    assert [s.title for s in changes.dropped] == ["Sihwa"]
    assert [pair.after.title for pair in changes.rewritten] == ["Costs"]
    assert changes.unchanged == 2
    assert changes.count.model_dump() == {
        "state": "changed",
        "since": "20261121T120000Z-bbbb2222",
        "added": 1,
        "dropped": 1,
        "rewritten": 1,
    }
    assert changes_markdown(changes, "Tides", 8.0) == (
        "# Changes: Tides\n\n"
        "Since run 20261121T120000Z-bbbb2222: 1 section added, 1 dropped, 1 rewritten, 2"
        " unchanged.\n\n"
        "Score: 7 before, 8 now.\n\n"
        "## Added\n\n- Grid (1 words)\n\n"
        "## Dropped\n\n- Sihwa\n\n"
        "## Rewritten\n\n- Costs (3 words before, 3 now)\n"
    )


def test_an_unchanged_report_says_so() -> None:
    """Other line ends, spaces and front matter are no change."""
    new = OLD.replace("title: x", "title: y\nscore: 9").replace("It costs", "It\ncosts")
    changes = compared(earlier(), new)
    assert changes.count.state == "unchanged"
    assert summary_of(changes) == "Nothing has changed since run 20261121T120000Z-bbbb2222."


def test_the_first_report_says_that_there_was_none() -> None:
    """Without an earlier report there is nothing to compare, and that is said."""
    changes = compared(None, OLD)
    assert changes.count.state == "new"
    assert "first report on the topic" in changes_markdown(changes, "Tides", None)


def test_a_new_heading_over_the_same_text_is_a_rewriting() -> None:
    """A renamed section is neither dropped nor added, and its old name is shown."""
    changes = compared(earlier(), OLD.replace("## Costs", "## What it costs"))
    assert changes.count.model_dump(include={"added", "dropped", "rewritten"}) == {
        "added": 0,
        "dropped": 0,
        "rewritten": 1,
    }
    assert 'was "Costs"' in changes_markdown(changes, "Tides", 8.0)


def report(*parts: str) -> str:
    return "# Tides\n\nOpening words.\n\n" + "\n\n".join(parts) + "\n"


def details(parent: str, *names: str) -> str:
    return f"## {parent}\n\n" + "\n\n".join(
        f"### {name}\n\nThe {name} of {parent} are told here in a few words of their own."
        for name in names
    )


A, B, C = (details(name, "Costs", "Details") for name in ("Alpha", "Beta", "Gamma"))


@pytest.mark.parametrize(
    ("old", "new", "added", "dropped", "rewritten", "moved"),
    [
        ("", "", [], [], [], []),
        # One of two swapped sections has moved, and its parts with it.
        ((A, B), (B, A), [], [], [], ["Beta"]),
        ((A, B, C), (C, A, B), [], [], [], ["Gamma"]),
        # A repeated sub-heading pairs with the one under its own parent, however many come before.
        ((B, C), (A, B, C), ["Alpha", "Costs", "Details"], [], [], []),
        (
            (B, C),
            (B.replace("### Costs", "### Details\n\nWholly new words stand here.\n\n### Costs"), C),
            ["Details"], [], [], [],
        ),
        # A part under another parent has moved.
        (
            (A, details("Beta", "Costs"), details("Gamma", "Costs", "Sites")),
            (A, details("Beta", "Costs") + "\n\n" + details("Gamma", "Sites").partition("\n\n")[2],
             details("Gamma", "Costs")),
            [], [], [], ["Sites"],
        ),
        # Another name over the same text or the same parts is a rewriting.
        ((A, B), (A.replace("## Alpha", "## First", 1), B), [], [], ["First"], []),
        # A moved section that was rewritten is one rewritten section.
        (
            (A, B, "## Grid\n\nThe grid is weak in the north and strong in the south."),
            ("## Grid\n\nThe grid is weak in the north and very strong in the south.", A, B),
            [], [], ["Grid"], [],
        ),
        # A new heading above sections does not move them.
        ((A, B), ("## Part one", A.replace("## ", "### "), B.replace("## ", "### ")),
         ["Part one"], [], [], []),
        # A section with another name and a few other words is the same section.
        (
            ("## Grid\n\nThe grid is weak in the north and strong in the south of the country.",),
            ("## Network\n\nThe grid is weak in the north and strong in the south of this land.",),
            [], [], ["Network"], [],
        ),
    ],
)  # fmt: skip
def test_sections_are_paired_by_parent_and_heading_and_then_by_text(
    old: Sequence[str],
    new: Sequence[str],
    added: list[str],
    dropped: list[str],
    rewritten: list[str],
    moved: list[str],
) -> None:
    """Moved sections are listed as moved; no other section is new, gone or rewritten."""
    changes = compared(earlier(report(*old)), report(*new))
    assert [s.title for s in changes.added] == added
    assert [s.title for s in changes.dropped] == dropped
    assert [pair.after.title for pair in changes.rewritten] == rewritten
    assert [pair.after.title for pair in changes.moved] == moved
    assert changes.count.moved == len(moved)
    said = changes_markdown(changes, "Tides", None)
    assert ("## Moved" in said) == bool(moved)
    assert (f"{len(moved)} moved, " in said) == bool(moved)
    assert changes.unchanged == len(sections(report(*new))) - len(added + rewritten + moved)


def test_a_list_of_contents_is_no_change_and_code_is_no_heading() -> None:
    """The contents that long reports get, and `#` inside code, do not count as sections."""
    body = "".join(f"## Part {n}\n\n{'word ' * 260}\n\n" for n in range(6))
    long = report_markdown(refined(f"# T\n\nIn.\n\n{body}"), offline=False)
    assert "**Contents**" in long
    assert [s.title for s in sections(long)] == ["T", *(f"Part {n}" for n in range(6))]
    assert sections(long)[0].text == "In."
    code = (
        "# T\n\n```\n# not a heading\n```\n\n## A `b` *c* [d](http://x.test)\n\nx\n\n## A\n\n## A\n"
    )
    assert [(s.title, s.anchor) for s in sections(code)] == [
        ("T", ""),
        ("A b c d", "a-b-c-d"),
        ("A", "a"),
        ("A", "a-1"),
    ]


@pytest.mark.parametrize(
    "attack",
    ["<script>alert(1)</script>", "[x](javascript:alert(1))", "![x](https://evil.test/p.png)"],
)
def test_hostile_headings_are_harmless_in_changes(attack: str) -> None:
    """Headings are shown as text in changes.md and in the page, whatever they hold."""
    old = report_markdown(refined(f"# T\n\n## {attack} old\n\ntext\n\n## Both\n\na"), offline=False)
    new = refined(f"# T\n\n## {attack} new\n\nother words\n\n## Both\n\nb {attack}")
    said = changes_markdown(
        compared(earlier(old), report_markdown(new, offline=False)), attack, 8.0
    )
    for viewer in VIEWERS:
        assert_safe(Seen(viewer.render(said)))
    assert Seen(reader(new, earlier=old)).dangers == []


# Finding the earlier report


class Counting(LocalPlace):
    """A local place that counts what is asked of it, and may fail."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked: Counter[str] = Counter()
        self.broken = ""

    def names(self, folder: str = "") -> list[str]:
        self.asked["names"] += 1
        if self.broken == "names":
            raise StorageError("listing failed: no route")
        return super().names(folder)

    def read(self, name: str) -> bytes | None:
        self.asked["read"] += 1
        if self.broken == "read":
            raise StorageError("reading failed: no route")
        return super().read(name)


def add_run(output: Path, run_id: str, *slugs: str, finished: bool = True, text: str = OLD) -> None:
    for slug in slugs:
        folder = output / run_id / slug
        folder.mkdir(parents=True)
        (folder / "report.md").write_text(text)
        about = {"score": 7.5, "created": "2026-11-20T00:00:00Z"}
        (folder / "manifest.json").write_text(json.dumps(about))
    if finished:
        (output / run_id / "batch.json").write_text("{}")


def test_the_newest_finished_run_that_has_the_topic_counts(tmp_path: Path) -> None:
    """Unfinished runs, later runs and runs without the topic are passed over."""
    add_run(tmp_path, "20261101T000000Z-1", "tides", "rust")
    add_run(tmp_path, "20261105T000000Z-2", "tides")
    add_run(tmp_path, "20261106T000000Z-3", "tides", finished=False)
    add_run(tmp_path, "20261107T000000Z-4", "other")
    add_run(tmp_path, "20261201T000000Z-5", "tides")
    add_run(tmp_path, RUN, "tides")
    (tmp_path / "index.html").write_text("")
    reports = EarlierReports(LocalPlace(tmp_path), RUN, {"tides", "rust", "new"})
    found = asyncio.run(reports.find("tides"))
    assert found is not None
    assert (found.run_id, found.score, found.markdown) == ("20261105T000000Z-2", 7.5, OLD)
    older = asyncio.run(reports.find("rust"))
    assert older is not None
    assert older.run_id == "20261101T000000Z-1"
    assert asyncio.run(reports.find("new")) is None


def test_of_runs_begun_in_the_same_second_the_later_counts(tmp_path: Path) -> None:
    """Where names do not tell which run began first, batch.json does."""
    for run_id, began in (("-b", "09.5"), ("-a", "09.75"), ("-c", "09.25")):
        add_run(tmp_path, f"20261101T000009Z{run_id}", "tides")
        about = {"run_id": run_id, "started": f"2026-11-01T00:00:{began}Z"}
        (tmp_path / f"20261101T000009Z{run_id}" / "batch.json").write_text(json.dumps(about))
    found = asyncio.run(EarlierReports(LocalPlace(tmp_path), RUN, {"tides"}).find("tides"))
    assert found is not None
    assert found.run_id == "20261101T000009Z-a"


def test_runs_are_listed_once_however_many_topics_there_are(tmp_path: Path) -> None:
    """A hundred topics cost one listing a run, and at most a hundred runs are looked at."""
    slugs = {f"topic-{n}" for n in range(100)}
    for n in range(3):
        add_run(tmp_path, f"2026110{n}T000000Z-1", "topic-1")
    place = Counting(tmp_path)
    reports = EarlierReports(place, RUN, slugs)

    async def find_all() -> None:
        await asyncio.gather(*map(reports.find, slugs))

    asyncio.run(find_all())
    assert place.asked == {"names": 4, "read": 2}

    for n in range(MAX_RUNS + 20):
        (tmp_path / f"20260101T{n:06d}Z-1").mkdir()
    place = Counting(tmp_path)
    asyncio.run(EarlierReports(place, RUN, slugs).find("topic-2"))
    assert place.asked == {"names": MAX_RUNS + 1}


@pytest.mark.parametrize("broken", ["names", "read", "manifest", "bytes", "gone", "large"])
def test_what_cannot_be_read_is_said_and_harms_nothing(tmp_path: Path, broken: str) -> None:
    """Whatever is wrong with the earlier report, the new one says so and goes on."""
    add_run(tmp_path, "20261101T000000Z-1", "tides")
    folder = tmp_path / "20261101T000000Z-1" / "tides"
    if broken == "manifest":
        (folder / "manifest.json").write_text("[1")
    elif broken == "bytes":
        (folder / "report.md").write_bytes(b"\xff\xfe")
    elif broken == "gone":
        (folder / "report.md").unlink()
    elif broken == "large":
        (folder / "report.md").write_text("x" * 4_000_001)
    place = Counting(tmp_path)
    place.broken = broken
    found = asyncio.run(EarlierReports(place, RUN, {"tides"}).find("tides"))
    changes = compared(found, OLD)
    assert changes.count.state == "unknown"
    assert summary_of(changes).startswith("No comparison with ")
    assert "no route" not in changes_markdown(changes, "Tides", 8.0)


def test_an_earlier_directory_without_manifest_is_none(tmp_path: Path) -> None:
    """A directory that was never completed does not count as an earlier report."""
    add_run(tmp_path, "20261101T000000Z-1", "tides")
    (tmp_path / "20261101T000000Z-1" / "tides" / "manifest.json").unlink()
    assert asyncio.run(EarlierReports(LocalPlace(tmp_path), RUN, {"tides"}).find("tides")) is None
