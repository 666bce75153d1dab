"""Opening a library: every source found, read and cut, with all problems together.

Here: files read side by side, each in a child process. Not here: which files there are (`finding`),
what a topic gets from them (`library`).
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from queue import SimpleQueue
from weakref import WeakValueDictionary

from prefect_llm_reports.tasks.contract.errors import BadInput, ReportsError
from prefect_llm_reports.tasks.contract.evidence import Source
from prefect_llm_reports.tasks.contract.reports import Topic
from prefect_llm_reports.tasks.sources.finding import FILE_MB, MEGABYTE, Finding, Found, too_large
from prefect_llm_reports.tasks.sources.library import Held, Library, row_text
from prefect_llm_reports.tasks.sources.pieces import Unreadable
from prefect_llm_reports.tasks.sources.readers import Reader
from prefect_llm_reports.tasks.sources.roots import Roots
from prefect_llm_reports.tasks.sources.shelf import Shelf

SIDE_BY_SIDE = 2
"""Files that are read at the same time."""
_AT_ONCE = 1000
"""Passages that are put on the shelf at the same time."""

_opened: WeakValueDictionary[object, Library] = WeakValueDictionary()
"""Libraries in use: a command that checks its request, and then runs it, reads its sources once."""


def open_library(
    common: Sequence[str], topics: Iterable[Topic], *, words: int, roots: str = ""
) -> Library | None:
    """Read the sources of a run.

    Args:
        common: The sources of all topics.
        topics: May name further ones of their own, and have rows.
        words: Words of sources that a prompt may hold.
        roots: The folders below which sources may lie; empty: the working directory.

    Returns:
        The library; None: there are no sources.

    Raises:
        BadInput: With the problems of all sources.
    """
    named: dict[tuple[str, ...], None] = {}
    rows = False
    for topic in topics:
        named[topic.sources] = None
        rows = rows or bool(row_text(topic))
    if not common and not any(named) and not rows:
        return None
    if not common and not any(named):
        return Library([], {}, Shelf(), words)
    finding = Finding(Roots(roots))
    finding.numbers(common)
    scopes = {own: finding.numbers([*common, *own]) for own in named or {(): None}}
    finding.check_bounds()
    state = tuple((file.location, file.size, file.state) for file in finding.files)
    key = (state, tuple((own, tuple(numbers)) for own, numbers in scopes.items()), words)
    if not finding.problems and (known := _opened.get(key)) is not None:
        return known
    shelf = Shelf()
    try:
        held = _read_all(finding, shelf)
        if sum(one.words for one in held) > words:  # some topics will search
            shelf.index()
    except sqlite3.Error as error:
        raise BadInput(
            f"sources: the folder for temporary files cannot hold them ({error}); make room there,"
            " or point TMPDIR to another folder"
        ) from None
    if finding.problems:
        raise BadInput(*finding.problems)
    skipped = [f"source {one.about.location}: {said}" for one in held for said in one.about.skipped]
    library = Library(held, scopes, shelf, words, [*finding.warnings, *skipped])
    _opened[key] = library
    return library


@dataclass
class _Outcome:
    """What reading one file gave."""

    held: Held | None = None
    problems: list[str] = field(default_factory=list[str])


def _read_all(finding: Finding, shelf: Shelf) -> list[Held]:
    """Read every file that is small enough, and note the problems."""
    numbered = enumerate([] if _too_many(finding) else finding.files, 1)
    readable = [(n, file) for n, file in numbered if file.size <= FILE_MB * MEGABYTE]
    if not readable:
        return []
    count = min(SIDE_BY_SIDE, os.cpu_count() or 1, len(readable))
    readers: SimpleQueue[Reader] = SimpleQueue()
    opened = [Reader() for _ in range(count)]
    for reader in opened:
        readers.put(reader)

    def work(numbered: tuple[int, Found]) -> _Outcome:
        reader = readers.get()
        try:
            return _read(*numbered, reader, shelf)
        finally:
            readers.put(reader)

    with ThreadPoolExecutor(count, thread_name_prefix="sources") as pool:
        try:
            outcomes = list(pool.map(work, readable))
        finally:
            pool.shutdown(cancel_futures=True)
            for reader in opened:
                reader.close()
    for outcome in outcomes:
        finding.problems += outcome.problems
    return [outcome.held for outcome in outcomes if outcome.held]


def _too_many(finding: Finding) -> bool:
    """Whether the bounds on all files are exceeded, so that reading them would be for nothing."""
    return any(problem.startswith("sources: ") for problem in finding.problems)


def _read(number: int, file: Found, reader: Reader, shelf: Shelf) -> _Outcome:
    try:
        raw = file.read()
        if len(raw) > FILE_MB * MEGABYTE:
            return _Outcome(problems=[too_large(file.location, len(raw))])
        skipped: list[str] = []
        found = reader.read(file.name, raw, skipped)
        count = words = 0
        while part := list(islice(found, _AT_ONCE)):
            shelf.put(number, count, part)
            count += len(part)
            words += sum(one.words for one in part)
    except Unreadable as error:
        return _Outcome(problems=[f"source {file.location}: {error}"])
    except BadInput as bad:
        return _Outcome(problems=list(bad.problems))
    except ReportsError as error:
        return _Outcome(problems=[f"source {file.location}: {error}"])
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return _Outcome(
            problems=[f"source {file.location}: {reason}; give the path of a readable file"]
        )
    about = Source(
        id=str(number),
        name=file.name,
        location=file.location,
        sha256=hashlib.sha256(raw).hexdigest(),
        bytes=len(raw),
        kind=file.kind,
        skipped=tuple(skipped),
    )
    return _Outcome(Held(about, count, words))
