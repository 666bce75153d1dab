"""Pacing over minutes and at random, on a simulated clock."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.unit.llm.test_pacing import Endpoint, _most_in_a_minute, joined, load, simulate


@pytest.mark.parametrize("per_minute", [3, 60, 600])
def test_requests_per_minute_are_kept_in_every_minute(per_minute: int) -> None:
    """In no 60 seconds more requests are sent than the limit, and no less than it are possible."""

    async def main() -> None:
        pace, endpoint = joined(50, requests_per_minute=per_minute), Endpoint(noise=0.5)
        calls = per_minute * 3
        took = await load(pace, endpoint, workers=calls, calls=1)
        assert _most_in_a_minute(endpoint.sent, lambda _: 1) <= per_minute
        assert took <= 180

    simulate(main())


@pytest.mark.parametrize("retry_after", [0.0, 0.1])
@pytest.mark.parametrize("refused_after", [0.0, 0.05])
@pytest.mark.parametrize("duration", [0.05, 0.5, 3.0])
def test_a_server_that_takes_eight_is_found_out_cheaply(
    duration: float, refused_after: float, retry_after: float
) -> None:
    """At a server that takes 8, under 5 % are refused and it takes 1.3 times of a fixed 8 at most.

    100 workers make 7 calls each, at a ceiling of 64.
    """

    async def main(ceiling: int) -> tuple[float, Endpoint]:
        pace = joined(ceiling)
        endpoint = Endpoint(8, duration, 0, refused_after, retry_after)
        return await load(pace, endpoint, workers=100, calls=7), endpoint

    fixed, calm = simulate(main(8))
    took, endpoint = simulate(main(64))
    assert calm.refused == 0
    assert 0 < endpoint.refused < 0.05 * len(endpoint.sent)
    assert took <= 1.3 * fixed


@pytest.mark.parametrize("ceiling", [1, 3, 16, 17, 64])
def test_never_more_requests_are_under_way_than_the_ceiling_allows(ceiling: int) -> None:
    """Never more requests are under way than the ceiling allows, however many callers wait."""

    async def main() -> None:
        pace, endpoint = joined(ceiling), Endpoint(noise=0.5)
        await load(pace, endpoint, workers=100, calls=10)
        assert endpoint.most == pace.peak == ceiling
        assert pace.in_flight == 0

    simulate(main())


def test_random_cancellation_keeps_the_count_of_slots() -> None:
    """However callers are cancelled, all slots are free in the end and the ceiling is kept."""

    async def main() -> None:
        rnd, pace, endpoint = random.Random(3), joined(5), Endpoint(noise=1)
        tasks = [asyncio.create_task(endpoint.call(pace)) for _ in range(300)]
        for task in rnd.sample(tasks, 150):
            await asyncio.sleep(rnd.uniform(0, 0.02))
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (pace.in_flight, pace.peak) == (0, 5)
        await asyncio.wait_for(load(pace, Endpoint(), workers=20, calls=1), 10)

    simulate(main())
