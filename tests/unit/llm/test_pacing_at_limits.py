"""An account run at its limit, proved on a simulated clock: minutes of it in milliseconds."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

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
    """An endpoint with limits: on requests, on tokens, on calls at once."""

    buckets: tuple[Bucket, ...] = ()
    at_once: int = 1_000_000
    hints: bool = True
    retry_after: bool = False
    call_s: float = CALL_S
    noise: float = 0.0
    busy: int = 0
    served: int = 0
    refused: int = 0
    rnd: random.Random = field(default_factory=lambda: random.Random(3))

    async def call(self, pace: Pace, expected: int, tokens: int) -> None:
        first = False
        while True:
            async with pace.slot(expected, first=first) as sent:
                await asyncio.sleep(0.002)
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
                    await asyncio.sleep(0.002)
                    pace.refused(sent, "", limits_of(said), 0.1 if self.retry_after else None)
                    first = True
                    continue
                self.busy += 1
                await asyncio.sleep(self.call_s * self.rnd.lognormvariate(0, self.noise))
                self.busy -= 1
                self.served += 1
                pace.told(sent, "", limits_of(said))
                pace.accepted(sent)
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
