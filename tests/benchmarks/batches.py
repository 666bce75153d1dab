"""Batches of reports beside bare asyncio, again from the store, and in their thousands."""

from __future__ import annotations

from statistics import median

from tests.benchmarks.bench import Bench, Figure, Side, first_asked, last_answered, names
from tests.benchmarks.opening import opened

CALLS = 7
"""Calls of a report whose scores go 6, 7, 8."""
MOST_CPU = 6.5
"""CPU of the flow process in that of bare asyncio, start to exit; a busy machine slows both."""


def beside_bare(
    bench: Bench, about: str, count: int, latency: float, concurrency: int, wanted: float
) -> list[Figure]:
    """A fresh batch beside bare asyncio: the ratio, the CPU a call, the first call."""
    bare, flow, start = Side(), Side(), Side()
    first: list[float] = []
    for number in range(bench.rounds):
        topics = names(count, f"{about}, round {number}")
        with bench.endpoint(latency) as (url, _):
            bare.runs.append(bench.bare(names(count, about), url, concurrency))
        with bench.endpoint(latency) as (url, log):
            run, result = bench.flow(topics, url, concurrency)
            calls = result["calls"]
            assert calls == {"made": CALLS * count, "cached": 0, "retried": 0}, calls
            flow.runs.append(run)
            first.append(first_asked(log) - run.began)
        with bench.endpoint(0) as (url, _):
            start.runs.append(bench.flow(topics[:1], url, concurrency, store="small")[0])
    ratio = flow.seconds / bare.seconds
    per_call = (flow.cpu_s - start.cpu_s) / (CALLS * (count - 1))
    times = flow.cpu_s / bare.cpu_s
    said = f"{count} topics x {CALLS} calls of {latency:g} s, {concurrency} at once"
    return [
        Figure(
            said,
            f"{ratio:.2f} times bare asyncio ({flow.seconds:.2f} s to {bare.seconds:.2f} s)",
            f"at most {wanted:.2f}",
        ),
        Figure(
            "… CPU of the flow process a call", f"{1000 * per_call:.1f} ms", "at most 12, aim 9"
        ),
        Figure(
            "… CPU of the whole process beside that of bare asyncio",
            f"{times:.1f} times",
            f"at most {MOST_CPU:g}",
            guarded=True,
            missed=times > MOST_CPU,
        ),
        Figure("… from command to first call", f"{median(first):.1f} s", "under 4 s"),
    ]


def burst(bench: Bench) -> list[Figure]:
    """A hundred topics at once."""
    return beside_bare(bench, "a burst", 100, 0.5, 100, 2.0)


def steady(bench: Bench) -> list[Figure]:
    """A hundred topics at a rate like a real endpoint's."""
    return beside_bare(bench, "a steady batch", 100, 3.0, 64, 1.1)


def cached(bench: Bench) -> list[Figure]:
    """The same batch again: no call, and how long it takes after start-up."""
    figures: list[Figure] = []
    for count, wanted in ((100, 2), (1000, 15)):
        topics = names(count, f"a batch of {count} that is kept")
        inside: list[float] = []
        with bench.endpoint(0) as (url, _):
            bench.flow(topics, url, 100)
            for _ in range(bench.rounds):
                run, result = bench.flow(topics, url, 100)
                calls = result["calls"]
                assert calls == {"made": 0, "cached": CALLS * count, "retried": 0}, calls
                del run
                inside.append(result["duration_s"])
        figures.append(
            Figure(
                f"{count} topics again, all cached, after start-up",
                f"{median(inside):.1f} s, 0 calls",
                f"at most {wanted} s",
            )
        )
    return figures


def large(bench: Bench) -> list[Figure]:
    """Five thousand topics between two batches of five hundred: time, memory, drain.

    A machine that is shared does not keep its speed for as long as the large batch takes.
    """
    per_topic: list[float] = []
    peak: list[float] = []
    drains: list[float] = []
    opens = ""
    for turn, count in enumerate((500, 5000, 500)):
        with bench.endpoint(0.05) as (url, log):
            topics = names(count, f"large batch {turn}")
            run, result = bench.flow(topics, url, 100, store=f"large-{turn}")
            assert len(result["reports"]) == count
            per_topic.append(result["duration_s"] / count)
            peak.append(run.peak_mb)
            drains.append(run.began + run.seconds - last_answered(log))
        if count == 5000:
            opens = ", ".join(
                f"{what} {took:.1f} s" for what, took in opened(bench.api_url).items()
            )
    before, large, after = per_topic
    growth = 1024 * (peak[1] - peak[0]) / 4500
    return [
        Figure(
            "5,000 topics (0.05 s a call, 100 at once), time a topic beside that at 500",
            f"{2 * large / (before + after):.2f} times ({1000 * large:.0f} ms)",
            "at most 1.2",
        ),
        Figure("… growth of the flow process a topic", f"{growth:.0f} KiB", "at most 60"),
        Figure("… from the last answer to exit", f"{drains[1]:.1f} s", "under 10 s"),
        Figure("… opened in the Prefect UI", opens, "it opens"),
    ]
