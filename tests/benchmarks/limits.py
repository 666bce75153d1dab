"""Batches at the limits of an account, beside the ideal.

The ideal takes its burst at once, further calls at the account's rate, and the last one's time.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.benchmarks.bench import Bench, Figure, names
from tests.harness.checker import lines
from tests.harness.limits import DEPTH

TOPICS, CALLS, CALL_S, CONCURRENCY, WORDS = 60, 7, 1.5, 64, 600


class Row(NamedTuple):
    """One account.

    Attributes:
        what: Its limits, in words.
        arguments: Its limits, for the endpoint.
        most: Share of requests that may be refused.
        requests: Requests a minute.
        tokens: Tokens a minute.
        at_once: Calls at once.
    """

    what: str
    arguments: tuple[str, ...]
    most: float
    requests: float | None = None
    tokens: float | None = None
    at_once: int | None = None


ROWS = (
    Row("600 requests a minute, named", ("--rpm", "600"), 0.03, requests=600),
    Row("600 requests a minute, not named", ("--rpm", "600", "--no-hints"), 0.08, requests=600),
    Row("900,000 tokens a minute, named", ("--tpm", "900000"), 0.03, tokens=900_000),
    Row("900,000 tokens, not named", ("--tpm", "900000", "--no-hints"), 0.08, tokens=900_000),
    Row("8 calls at once", ("--capacity", "8"), 0.08, at_once=8),
    Row(
        "600 requests and 900,000 tokens a minute, named",
        ("--rpm", "600", "--tpm", "900000"),
        0.03,
        requests=600,
        tokens=900_000,
    ),
    Row(
        "600 requests and 900,000 tokens, not named",
        ("--rpm", "600", "--tpm", "900000", "--no-hints"),
        0.08,
        requests=600,
        tokens=900_000,
    ),
    Row(
        "600 requests and 20 calls at once, not named",
        ("--rpm", "600", "--capacity", "20", "--no-hints"),
        0.08,
        requests=600,
        at_once=20,
    ),
)


def limits(bench: Bench) -> list[Figure]:
    """Each account once: the ideal, the share of it, the refusals. A lost report ends the run."""
    figures: list[Figure] = []
    for number, row in enumerate(ROWS):
        topics = names(TOPICS, f"an account, {number}")
        with bench.endpoint(CALL_S, WORDS, *row.arguments) as (url, log):
            _, result = bench.flow(topics, url, CONCURRENCY, store=f"limits-{number}")
        events = lines(log)
        asked = [event["at"] for event in events if event["event"] == "asked"]
        answered = [e for e in events if e["event"] == "answered" and e["status"] == 200]
        refused = len(asked) - len(answered)
        took = max(event["at"] for event in answered) - min(asked)
        usage = result["usage"]
        ideal = _ideal(row, usage["input_tokens"] + usage["output_tokens"])
        figures.append(
            Figure(
                f"{TOPICS} topics x {CALLS} calls of {CALL_S:g} s, {row.what}",
                f"{ideal / took:.2f} of the ideal ({took:.1f} s to {ideal:.1f} s),"
                f" {100 * refused / len(asked):.1f} % refused, none lost",
                f"at least 0.95, at most {100 * row.most:.0f} %, none",
                missed=ideal / took < 0.95 or refused > row.most * len(asked),
            )
        )
    return figures


def _ideal(row: Row, tokens: int) -> float:
    """Seconds that a batch takes which uses the account's limits fully."""
    calls = TOPICS * CALLS
    each = [0.0]
    if row.requests:
        each.append((calls / row.requests - DEPTH) * 60)
    if row.tokens:
        each.append((tokens / row.tokens - DEPTH) * 60)
    if row.at_once:
        each.append(calls / row.at_once * CALL_S)
    return max(each) + (0 if row.at_once and each[-1] == max(each) else CALL_S)
