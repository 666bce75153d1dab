"""Checks from outside that no answer was lost or bought twice: by the endpoint's log and the files.

The endpoint logs each question it was asked and each answer that it has sent whole. A record in
the store names the request that it answers. A call is *in flight* from when the endpoint was asked
until its record is whole in the store: first *unanswered*, then *unkept*. Whatever is in flight
when a process dies may be asked again, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPORT_FILES = {"report.md", "report.html", "summary.txt", "history.json", "manifest.json"}
REPORT_FILES |= {"index.html", "changes.md"}


def lines(log: Path) -> list[dict[str, Any]]:
    """The events in the endpoint's log; a line that is being written is left out."""
    text = log.read_text() if log.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def asked(log: Path) -> list[str]:
    """The questions that arrived at the endpoint, by key and in order."""
    return [e["key"] for e in lines(log) if e["event"] == "asked" and e["step"] != "models"]


def answered(log: Path) -> list[str]:
    """The questions that the endpoint has answered whole, by key and in order."""
    return [e["key"] for e in lines(log) if e["event"] == "answered" and e["step"] != "models"]


class Tail:
    """Counts what is added to the endpoint's log from now on, cheaply enough to look often."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._at = log.stat().st_size if log.exists() else 0
        self._asked = self._answered = 0

    def _look(self) -> None:
        if self._log.exists():
            with self._log.open("rb") as file:
                file.seek(self._at)
                added = file.read()
            added = added[: added.rfind(b"\n") + 1]
            self._at += len(added)
            self._asked += added.count(b'"event": "asked"')
            self._answered += added.count(b'"event": "answered"')

    @property
    def asked(self) -> int:
        """Questions that have arrived."""
        self._look()
        return self._asked

    @property
    def answered(self) -> int:
        """Answers that were sent whole."""
        self._look()
        return self._answered


def records(store: Path) -> Iterator[Path]:
    """The whole records of a store."""
    return (path for path in store.glob("??/*.json") if not path.name.startswith("."))


def kept_requests(store: Path) -> set[str]:
    """Ids of the requests whose answers are in the store."""
    found = (json.loads(json.loads(p.read_bytes())["result"])["answer"] for p in records(store))
    return {answer["request_id"] for answer in found}


def request_id(key: str) -> str:
    """The id that the endpoint gives its answer to a question."""
    return f"req_{key[:24]}"


def check_files(output: Path) -> int:
    """Check every result directory and every finished run; returns the number of directories."""
    count = 0
    for manifest in output.glob("*/[!.]*/manifest.json"):
        directory = manifest.parent
        entries = json.loads(manifest.read_bytes())["files"]
        names = {"manifest.json", *(entry["name"] for entry in entries)}
        assert {p.name for p in directory.iterdir()} == names >= REPORT_FILES, directory
        for entry in entries:
            body = (directory / entry["name"]).read_bytes()
            found = (len(body), hashlib.sha256(body).hexdigest())
            assert found == (entry["size"], entry["sha256"]), directory / entry["name"]
        count += 1
    for batch in output.glob("*/batch.json"):
        for report in json.loads(batch.read_bytes())["reports"]:
            if report["status"] == "published":
                assert Path(report["directory"], "manifest.json").exists(), batch
    for directory in output.glob("*/[!.]*/"):
        assert (directory / "manifest.json").exists(), f"{directory} looks complete and is not"
    return count


@dataclass
class PaidOnce:
    """Follows one endpoint and one store over many lives of a process.

    Attributes:
        concurrency: Calls that one process has unanswered at once, at most.
        most: Calls that one process has in flight at once, at most.
        kills: Lives that ended with SIGKILL.
        repeats: Questions that were asked again.
        breaches: What should not have happened, in words.
        unanswered: How many calls of each killed process had not been answered.
        unkept: How many had been answered and were not in the store yet.
    """

    log: Path
    store: Path
    base_url: str
    concurrency: int
    most: int
    kills: int = 0
    repeats: int = 0
    breaches: list[str] = field(default_factory=list[str])
    unanswered: list[int] = field(default_factory=list[int])
    unkept: list[int] = field(default_factory=list[int])
    _seen: int = 0
    _asked: set[str] = field(default_factory=set[str])
    _kept: set[str] = field(default_factory=set[str])
    _lost: set[str] = field(default_factory=set[str])

    @property
    def in_flight(self) -> list[int]:
        """How many calls each killed process had in flight."""
        return [a + b for a, b in zip(self.unanswered, self.unkept, strict=True)]

    def __str__(self) -> str:
        """The figures in one line."""
        many = sum(count > self.concurrency for count in self.in_flight)
        return (
            f"{self.kills} kills, {self.repeats} repeats of {sum(self.in_flight)} calls in flight,"
            f" at most {max(self.in_flight)} at once ({max(self.unanswered)} unanswered,"
            f" {max(self.unkept)} unkept; more than {self.concurrency} at {many} kills),"
            f" {len(self.breaches)} breaches"
        )

    def end_of_life(self, *, killed: bool) -> None:
        """Judge what a process did in its life; it is dead, and no other has been started."""
        with urllib.request.urlopen(f"{self.base_url}/models", timeout=30):
            pass  # the endpoint has read everything that the dead process sent before
        events = [e for e in lines(self.log)[self._seen :] if e["step"] != "models"]
        self._seen = len(lines(self.log))
        asked = [e["key"] for e in events if e["event"] == "asked"]
        kept = kept_requests(self.store)
        for key in asked:
            if request_id(key) in self._kept:
                self.breaches.append(f"{key[:8]} was kept and is asked again")
            elif key in self._asked and key not in self._lost:
                self.breaches.append(f"{key[:8]} was not in flight at a kill and is asked again")
        if len(set(asked)) < len(asked):
            self.breaches.append("one process asked a question twice")
        again = self._asked & set(asked)
        self.repeats += len(again)
        self._lost -= again
        lost = {key for key in asked if request_id(key) not in kept}
        if killed:
            self.kills += 1
            answered = {e["key"] for e in events if e["event"] == "answered"}
            self.unanswered.append(len(lost - answered))
            self.unkept.append(len(lost & answered))
            if self.unanswered[-1] > self.concurrency or self.in_flight[-1] > self.most:
                self.breaches.append(
                    f"{self.unanswered[-1]} calls unanswered and {self.unkept[-1]} unkept at a kill"
                )
        elif lost:
            self.breaches.append(f"{len(lost)} answers lost without a kill")
        if not self._kept <= kept:
            self.breaches.append("answers have left the store")
        self._check_order(events, kept)
        self._asked.update(asked)
        self._lost |= lost
        self._kept = kept

    def _check_order(self, events: list[dict[str, Any]], kept: set[str]) -> None:
        """Every step that was followed by the topic's next one is kept."""
        latest: dict[str, str] = {}
        for event in events:
            if event["event"] == "asked":
                before = latest.get(event["topic"])
                if before and request_id(before) not in kept:
                    self.breaches.append(f"{before[:8]} was not kept before the next step")
                latest[event["topic"]] = event["key"]
