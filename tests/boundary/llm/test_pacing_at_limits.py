"""An account run at its limit, proved on a simulated clock: minutes of it in milliseconds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from prefect_llm_reports.tasks.llm.hints import limits_of
from prefect_llm_reports.tasks.llm.pacing import Pace
from tests.unit.llm.test_pacing import joined, now, simulate

TOPICS, CALLS, CONCURRENCY, CALL_S = 60, 7, 64, 1.5


@dataclass
class Bucket:
    """A limit as OpenAI keeps it: units flow back evenly, a tenth of a minute's at most.

    Args:
        per_minute: Units that flow back in a minute.
        style: How the headers spell it.
    """

    per_minute: float
    kind: str
    style: str = "openai"
    share: float = 0.1
    level: float = field(init=False)
    at: float = 0.0

    def __post_init__(self) -> None:
        self.level = self.depth

    @property
    def depth(self) -> float:
        return self.per_minute * self.share

    def fill(self) -> None:
        self.level = min(self.depth, self.level + (now() - self.at) * self.per_minute / 60)
        self.at = now()

    def headers(self) -> dict[str, str]:
        full_s = (self.depth - self.level) * 60 / self.per_minute
        left = f"{int(self.level)}"
        if self.style == "anthropic":
            return {
                f"anthropic-ratelimit-{self.kind}-limit": f"{self.per_minute:g}",
                f"anthropic-ratelimit-{self.kind}-remaining": left,
                f"anthropic-ratelimit-{self.kind}-reset": f"{full_s:.3f}s",
            }
        return {
            f"x-ratelimit-limit-{self.kind}": f"{self.per_minute:g}",
            f"x-ratelimit-remaining-{self.kind}": left,
            f"x-ratelimit-reset-{self.kind}": f"{full_s:.3f}s",
        }


@dataclass
class Server:
    """An endpoint with limits: on requests, on tokens, on calls at once.

    Args:
        lag: Seconds that a request, and a refusal, may take on their way.
    """

    buckets: tuple[Bucket, ...] = ()
    at_once: int = 1_000_000
    hints: bool = True
    retry_after: bool = False
    call_s: float = CALL_S
    noise: float = 0.0
    lag: float = 0.004
    busy: int = 0
    served: int = 0
    refused: int = 0
    rnd: random.Random = field(default_factory=lambda: random.Random(3))

    async def call(
        self,
        pace: Pace,
        expected: int,
        tokens: int,
        weigh: Callable[[], int | None] | None = None,
    ) -> None:
        first = False
        while True:
            async with pace.slot(expected, first=first, weigh=weigh) as sent:
                await asyncio.sleep(self.rnd.uniform(0, self.lag))
                for bucket in self.buckets:
                    bucket.fill()
                amounts = [1 if b.kind == "requests" else tokens for b in self.buckets]
                room = all(b.level >= a for b, a in zip(self.buckets, amounts, strict=True))
                taken = room and self.busy < self.at_once
                if taken:
                    for bucket, amount in zip(self.buckets, amounts, strict=True):
                        bucket.level -= amount
                said: dict[str, str] = {}
                for bucket in self.buckets if self.hints else ():
                    said |= bucket.headers()
                if not taken:
                    self.refused += 1
                    await asyncio.sleep(self.rnd.uniform(0, self.lag))
                    pace.refused(sent, "", limits_of(said), 0.1 if self.retry_after else None)
                    first = True
                    continue
                self.busy += 1
                await asyncio.sleep(self.call_s * self.rnd.lognormvariate(0, self.noise))
                self.busy -= 1
                self.served += 1
                pace.told(sent, "", limits_of(said))
                pace.accepted(sent, "")
                pace.landed(sent)
                pace.answered("draft", sent.at)
                await asyncio.sleep(0.01)  # the answer is kept
                return


async def batch(pace: Pace, server: Server, topics: int = TOPICS, calls: int = CALLS) -> float:
    """Seconds of a batch whose calls take 1,700 tokens, give or take, and are thought larger."""

    async def topic(number: int) -> None:
        rnd = random.Random(number)
        for _ in range(calls):
            await server.call(pace, 2600, rnd.randrange(1200, 2200))

    began = now()
    await asyncio.gather(*(topic(n) for n in range(topics)))
    return now() - began


def requests(per_minute: float = 600, **more: object) -> Bucket:
    return Bucket(per_minute, "requests", **more)  # pyright: ignore


def tokens(per_minute: float = 900_000, **more: object) -> Bucket:
    return Bucket(per_minute, "tokens", **more)  # pyright: ignore


BY_REQUESTS = (TOPICS * CALLS - 60) / 10
BY_TOKENS = (TOPICS * CALLS * 1700 - 90_000) / 15_000
AT_ONCE = TOPICS * CALLS * CALL_S / 8

ROWS: dict[str, tuple[Server, float, float]] = {
    "600 rpm, hints": (Server((requests(),)), BY_REQUESTS, 0.03),
    "600 rpm, none": (Server((requests(),), hints=False), BY_REQUESTS, 0.08),
    "600 rpm, retry-after": (
        Server((requests(),), hints=False, retry_after=True),
        BY_REQUESTS,
        0.08,
    ),
    "900k tpm, hints": (Server((tokens(),)), BY_TOKENS, 0.03),
    "900k tpm, none": (Server((tokens(),), hints=False), BY_TOKENS, 0.08),
    "8 at once": (Server(at_once=8), AT_ONCE, 0.08),
    "8 at once, noise": (Server(at_once=8, noise=0.3), AT_ONCE * 1.046, 0.08),
    "both, hints": (Server((requests(), tokens())), BY_TOKENS, 0.03),
    "both, none": (Server((requests(), tokens()), hints=False), BY_TOKENS, 0.08),
    "600 rpm and 20 at once, hints": (Server((requests(),), at_once=20), BY_REQUESTS, 0.08),
    "600 rpm and 20 at once, none": (
        Server((requests(),), at_once=20, hints=False),
        BY_REQUESTS,
        0.08,
    ),
    "600 rpm and 8 at once, none": (Server((requests(),), at_once=8, hints=False), AT_ONCE, 0.08),
    "anthropic": (Server((requests(style="anthropic"),)), BY_REQUESTS, 0.03),
    "minute deep": (Server((requests(180, share=1.0),)), (420 - 180) / 3, 0.03),
    "minute deep, none": (Server((requests(180, share=1.0),), hints=False), (420 - 180) / 3, 0.08),
    "noisy": (Server((requests(),), noise=0.2, hints=False), BY_REQUESTS + 0.5, 0.08),
    "60 rpm, hints": (Server((requests(60),)), (420 - 6) / 1, 0.03),
    "300 rpm, hints": (Server((requests(300),)), (420 - 30) / 5, 0.03),
    "300 rpm, none": (Server((requests(300),), hints=False), (420 - 30) / 5, 0.08),
    "1200 rpm, none": (Server((requests(1200),), hints=False), (420 - 120) / 20 + CALL_S, 0.08),
    **{
        f"{name}, on a busy machine": (replace(server, lag=0.1), ideal + CALL_S, most)
        for name, server, ideal, most in (
            ("600 rpm, hints", Server((requests(),)), BY_REQUESTS, 0.03),
            ("600 rpm, none", Server((requests(),), hints=False), BY_REQUESTS, 0.08),
            ("900k tpm, hints", Server((tokens(),)), BY_TOKENS, 0.03),
            ("900k tpm, none", Server((tokens(),), hints=False), BY_TOKENS, 0.08),
            ("8 at once", Server(at_once=8), AT_ONCE, 0.08),
            ("300 rpm, none", Server((requests(300),), hints=False), 78, 0.08),
            ("60 rpm, none", Server((requests(60),), hints=False), 420 - 6, 0.08),
            ("both, hints", Server((requests(), tokens())), BY_TOKENS, 0.03),
            ("both, none", Server((requests(), tokens()), hints=False), BY_TOKENS, 0.08),
            (
                "600 rpm and 20 at once, none",
                Server((requests(),), at_once=20, hints=False),
                BY_REQUESTS,
                0.08,
            ),
        )
    },
    "60 rpm none": (Server((requests(60),), hints=False), (420 - 6) / 1, 0.08),
}


@pytest.mark.parametrize("name", ROWS)
def test_an_account_is_run_at_its_limit(name: str) -> None:
    """At least 0.95 of the ideal, few refusals, and every call answered; no limit is set."""
    server, ideal, most = ROWS[name]

    async def main() -> float:
        return await batch(joined(CONCURRENCY), server)

    took = simulate(main())
    assert server.served == TOPICS * CALLS
    assert ideal / took >= 0.95
    assert server.refused / (server.refused + server.served) <= most


@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize(
    ("at_once", "call_s"), [(1, 0.05), (2, 0.05), (2, 0.3), (8, 0.05), (8, 0.3)]
)
def test_an_endpoint_that_answers_at_once_is_not_kept_waiting(
    at_once: int, call_s: float, noise: float
) -> None:
    """A refusal for the number of requests holds nobody back for longer than answers take."""
    server = Server(at_once=at_once, call_s=call_s, noise=noise)
    topics = 200

    async def main() -> float:
        return await batch(joined(CONCURRENCY), server, topics)

    took = simulate(main())
    assert server.served == topics * CALLS
    assert topics * CALLS * call_s / at_once / took >= 0.8
    assert server.refused / (server.refused + server.served) <= 0.08


@pytest.mark.parametrize("call_s", [0.05, 0.2])
def test_a_fast_endpoint_is_run_at_a_rate_that_nothing_names(call_s: float) -> None:
    """A limit on requests a minute is found out, too, where answers take less than a spread."""
    server = Server((requests(),), hints=False, call_s=call_s)

    async def main() -> float:
        return await batch(joined(CONCURRENCY), server)

    took = simulate(main())
    assert server.served == TOPICS * CALLS
    assert BY_REQUESTS / took >= 0.95
    assert server.refused / (server.refused + server.served) <= 0.12


STEPS = (2400, 1300, 2600, 1300, 2600, 1300, 500)
"""Tokens of a report's calls: drafts, critiques between them, and the summary."""


def least_s(buckets: tuple[Bucket, ...]) -> float:
    """Seconds in which accounts allow all drafts, then all critiques, and so on."""
    took = 0.0
    left = [bucket.depth for bucket in buckets]
    for size in (size for size in STEPS for _ in range(TOPICS)):
        wants = [1 if bucket.kind == "requests" else size for bucket in buckets]
        flows = [bucket.per_minute / 60 for bucket in buckets]
        lacks = ((want - has) / flow for want, has, flow in zip(wants, left, flows, strict=True))
        wait = max(0.0, *lacks)
        took += wait
        left = [
            min(bucket.depth, has + wait * flow) - want
            for bucket, has, flow, want in zip(buckets, left, flows, wants, strict=True)
        ]
    return took + CALL_S


def run_in_steps(server: Server, guess: Callable[[int], int], *, learns: bool) -> None:
    """Run a batch of these steps: near the ideal, few refusals, every call answered.

    Args:
        server: An endpoint that names no limit.
        guess: The likely tokens of a call, by its true ones.
        learns: Once a step has an answer, it is known what its calls take.
    """
    known: dict[int, int] = {}

    async def main() -> float:
        pace = joined(CONCURRENCY)

        async def topic(number: int) -> None:
            chance = random.Random(number)
            for step in STEPS:
                size = int(step * chance.uniform(0.9, 1.1))
                weigh = (lambda step=step: known.get(step)) if learns else None
                await server.call(pace, guess(size), size, weigh)
                known[step] = step

        await asyncio.gather(*(topic(n) for n in range(TOPICS)))
        return now()

    took = simulate(main())
    assert server.served == TOPICS * CALLS
    assert least_s(server.buckets) / took >= 0.95
    assert server.refused / (server.refused + server.served) <= 0.08


@pytest.mark.parametrize("lag", [0.004, 0.05])
@pytest.mark.parametrize(
    ("per_minute", "tokens_per_minute"),
    [(600, 0), (300, 0), (0, 900_000), (0, 300_000), (500, 900_000), (400, 700_000)],
)
def test_a_limit_that_nothing_names_is_met_by_steps_of_any_size(
    per_minute: int, tokens_per_minute: int, lag: float
) -> None:
    """Whether requests or tokens are limited is found out when drafts are followed by critiques."""
    buckets = (
        *([requests(per_minute)] if per_minute else []),
        *([tokens(tokens_per_minute)] if tokens_per_minute else []),
    )
    run_in_steps(Server(buckets, hints=False, lag=lag), lambda size: int(1.4 * size), learns=False)


@pytest.mark.parametrize("lag", [0.004, 0.05])
@pytest.mark.parametrize("per_minute", [0, 700])
def test_sizes_that_only_answers_show_do_not_mislead(per_minute: int, lag: float) -> None:
    """A step is guessed until it has an answer; then earlier requests are counted again."""
    buckets = (tokens(), *([requests(per_minute)] if per_minute else []))
    run_in_steps(Server(buckets, hints=False, lag=lag), lambda size: 2600, learns=True)


def test_the_brake_is_named() -> None:
    """While callers wait for the account, the pace says for which of its limits."""

    async def main() -> None:
        pace, server = joined(CONCURRENCY), Server((requests(),))
        running = asyncio.create_task(batch(pace, server, topics=80, calls=2))
        await asyncio.sleep(5)
        assert pace.brake == "600 requests a minute"
        await running
        assert pace.brake == ""

    simulate(main())


@pytest.mark.parametrize("hints", [True, False])
def test_a_second_batch_begins_with_what_the_first_has_learnt(hints: bool) -> None:
    """Two batches of one process share the account, and find its limit out once."""

    async def main() -> tuple[float, Server, int]:
        pace, server = joined(CONCURRENCY), Server((requests(),), hints=hints)
        first = asyncio.create_task(batch(pace, server))
        await asyncio.sleep(20)
        refused = server.refused
        pace.join(CONCURRENCY)
        await asyncio.gather(first, batch(pace, server, topics=40))
        return now(), server, server.refused - refused

    took, server, more = simulate(main())
    calls = (TOPICS + 40) * CALLS
    assert server.served == calls
    assert (calls - 60) / 10 / took >= 0.95
    assert more <= 0.01 * calls
