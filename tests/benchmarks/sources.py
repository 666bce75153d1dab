"""Sources cut, indexed and searched; and what they add to a batch of reports."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import chdir
from pathlib import Path
from statistics import median

from prefect_llm_reports.tasks.contract.reports import Topic
from prefect_llm_reports.tasks.sources.library import Library
from prefect_llm_reports.tasks.sources.opening import open_library
from tests.benchmarks.batches import CALLS
from tests.benchmarks.bench import Bench, Figure, Side

FILE_BYTES = 400_000
TOPICS = 500
SMALL_MB, LARGE_MB = 6, 198
QUOTATIONS = 40
"""Notes of a draft: of about 1,000 words, with as many words quoted again."""
ALONE_MS = 49
"""CPU of the flow process for a topic without sources: seven calls of 7 ms."""


def _vocabulary(chance: random.Random) -> tuple[list[str], list[float]]:
    """Words, and how often each occurs: as in a language, few are frequent."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(chance.choices(letters, k=chance.randint(3, 9))) for _ in range(40_000)]
    return words, [1 / (rank + 5) for rank in range(len(words))]


def _sentences(words: Sequence[str], chance: random.Random) -> Iterator[str]:
    """Sentences of up to 24 words; every second one has a number."""
    for at in range(0, len(words), 24):
        said = [*words[at : at + 24]]
        if chance.random() < 0.5:
            said[len(said) // 2] = str(chance.randint(2, 9000))
        yield f"{' '.join(said).capitalize()}."


def write_sources(folder: Path, megabytes: int) -> list[Topic]:
    """Write Markdown files of so many megabytes, and return topics whose words are in them."""
    chance = random.Random(1)
    words, weights = _vocabulary(chance)
    stream = chance.choices(words, weights, k=2_000_000)
    folder.mkdir()
    for number in range(megabytes * 1_000_000 // FILE_BYTES):
        parts, size = [f"# File {number}"], 0
        while size < FILE_BYTES:
            at = chance.randrange(len(stream) - 100)
            parts.append(" ".join(_sentences(stream[at : at + chance.randint(30, 95)], chance)))
            size += len(parts[-1]) + 2
            if chance.random() < 0.1:
                parts.append(f"## {' '.join(stream[at : at + 3])}")
        (folder / f"{number:03}.md").write_text("\n\n".join(parts))
    return [
        Topic(
            title=" ".join(chance.choices(words, k=4)),
            guidance="\n".join(" ".join(chance.choices(words, weights, k=10)) for _ in range(3)),
        )
        for _ in range(TOPICS)
    ]


def _used() -> float:
    """CPU of this process and of the children that have ended, in seconds."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def _opened(folder: Path, topics: list[Topic]) -> tuple[Library, float, float]:
    """The library with its index; seconds and CPU until the first topic had its passages."""
    began, used = time.monotonic(), _used()
    library = open_library(["."], topics, words=8000, roots=str(folder))
    assert library
    assert asyncio.run(library.passages(topics[0]))
    return library, time.monotonic() - began, _used() - used


def _searched(library: Library, topics: list[Topic]) -> float:
    """CPU of the passages of one further topic, in milliseconds."""

    async def all_of_them() -> None:
        for topic in topics:
            await library.passages(topic)

    used = _used()
    asyncio.run(all_of_them())
    return 1000 * (_used() - used) / len(topics)


def sources(bench: Bench) -> list[Figure]:
    """A small library and a large one; the large one searched for all topics of a batch."""
    return list(_figures(bench))


def _figures(bench: Bench) -> Iterator[Figure]:
    small, large = bench.folder / "small", bench.folder / "large"
    topics = write_sources(small, SMALL_MB)
    seconds: list[float] = []
    with chdir(small):
        for number in range(bench.rounds):
            (small / f"{number:03}.md").touch()  # a library is read again when a file has changed
            _, took, used = _opened(small, topics)
            seconds.append(took)
            bench.tell(f"{SMALL_MB} MB of sources: {took:.2f} s, {used:.2f} s CPU")
    yield Figure(
        f"{SMALL_MB} MB of sources cut, indexed, searched", f"{median(seconds):.2f} s", "under 2 s"
    )
    topics = write_sources(large, LARGE_MB)
    with chdir(large):
        library, took, used = _opened(large, topics)
        bench.tell(f"{LARGE_MB} MB of sources: {took:.2f} s, {used:.2f} s CPU")
        each = _searched(library, topics[1:])
    yield Figure(f"{LARGE_MB} MB of sources, once a run", f"{took:.1f} s, {used:.1f} s of CPU")
    yield Figure(
        f"… CPU for the passages of each of {TOPICS} topics",
        f"{each:.1f} ms",
        f"at most {ALONE_MS / 10:.0f}, a tenth of a topic without sources",
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    yield Figure("… largest size of the process", f"{peak:.0f} MB", f"{os.cpu_count()} cores")


def grounded(bench: Bench) -> list[Figure]:
    """A batch whose drafts quote 40 passages each, beside drafts as long without any note."""
    few = _beside_ungrounded(bench, SMALL_MB, 100, 1.0)
    return [*few, *_beside_ungrounded(bench, LARGE_MB, TOPICS, 3.0)]


def _beside_ungrounded(
    bench: Bench, megabytes: int, count: int, latency: float
) -> Iterator[Figure]:
    folder = bench.folder / f"library-{megabytes}"
    topics = write_sources(folder, megabytes)[:count]
    with_sources = ("--source", str(folder), "--set", "support=false")
    plain, quoting = Side(), Side()
    for number in range(bench.rounds):
        for side, more in ((plain, ()), (quoting, with_sources)):
            store = f"{folder.name}-{len(more)}-{number}"
            with bench.endpoint(latency, 300, "--quotations", str(QUOTATIONS)) as (url, _):
                run, result = bench.flow(topics, url, 64, *more, store=store)
            assert result["calls"]["made"] == CALLS * count, result["calls"]
            side.runs.append(run)
            checked = sum(report["evidence"]["verified"] for report in result["reports"] if more)
            assert checked == (QUOTATIONS * count if more else 0), checked
    said = f"{count} topics x {CALLS} calls of {latency:g} s, {megabytes} MB of sources"
    yield Figure(
        f"{said}, {QUOTATIONS} quotations a draft, beside none",
        f"{quoting.seconds / plain.seconds:.2f} times"
        f" ({quoting.seconds:.1f} s to {plain.seconds:.1f} s)",
        "at most 1.10",
    )
    yield Figure(
        "… CPU of the flow process a topic",
        f"{1000 * quoting.cpu_s / count:.0f} ms to {1000 * plain.cpu_s / count:.0f} ms",
    )
    yield Figure("… largest size", f"{quoting.median(lambda run: run.peak_mb):.0f} MB")
