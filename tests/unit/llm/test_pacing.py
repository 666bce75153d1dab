"""When a request may be sent, proved on a simulated clock: minutes of pacing in milliseconds."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from prefect_llm_reports.tasks.llm.adaptive import FIRST_LIMIT
from prefect_llm_reports.tasks.llm.pacing import (
    OPENING_S,
    Pace,
    PaceStopped,
    shared_pace,
)

T = TypeVar("T")


class _Idle(selectors.DefaultSelector):
    """Instead of waiting for the time to pass, let it have passed."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everybody waits and nothing is due"
            self.now += max(0.0, timeout)
        return ready


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer as soon as nothing is left to do."""

    def __init__(self) -> None:
        self._idle = _Idle()
        super().__init__(self._idle)

    def time(self) -> float:
        return self._idle.now


def simulate(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(main)


def now() -> float:
    return asyncio.get_running_loop().time()


def joined(ceiling: int, **rates: int) -> Pace:
    pace = Pace(**rates)
    pace.join(ceiling)
    return pace


@dataclass
class Endpoint:
    """A server that answers `allowed` requests at once and refuses what is beyond."""

    allowed: int = 1_000_000
    duration: float = 0.05
    noise: float = 0.0
    refused_after: float = 0.0
    retry_after: float = 0.0
    busy: int = 0
    most: int = 0
    sent: list[float] = field(default_factory=list[float])
    refused: int = 0
    rnd: random.Random = field(default_factory=lambda: random.Random(7))

    async def call(self, pace: Pace, tokens: int = 0) -> None:
        while True:
            async with pace.slot(tokens):
                sent_at = now()
                self.sent.append(sent_at)
                if self.busy >= self.allowed:
                    self.refused += 1
                    await asyncio.sleep(self.refused_after)
                    pace.overloaded(sent_at)
                    if self.retry_after:
                        pace.pause(self.retry_after)
                    continue
                self.busy += 1
                self.most = max(self.most, self.busy)
                await asyncio.sleep(self.duration * self.rnd.lognormvariate(0, self.noise))
                self.busy -= 1
                pace.answered("draft", sent_at)
                return


async def load(pace: Pace, endpoint: Endpoint, workers: int, calls: int, tokens: int = 0) -> float:
    """Seconds in which all workers made their calls."""

    async def worker() -> None:
        for _ in range(calls):
            await endpoint.call(pace, tokens)

    began = now()
    await asyncio.gather(*(worker() for _ in range(workers)))
    return now() - began


def held(pace: Pace, callers: int) -> tuple[list[int], list[asyncio.Task[None]]]:
    """Callers that take a slot and keep it; the list grows by one for each that has its slot."""
    inside: list[int] = []

    async def hold(number: int) -> None:
        async with pace.slot(0):
            inside.append(number)
            await asyncio.Event().wait()

    return inside, [asyncio.create_task(hold(n)) for n in range(callers)]


async def dismiss(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_the_lowest_ceiling_of_all_batches_holds_until_it_leaves() -> None:
    """The lowest ceiling of all batches holds, and those who wait go on when it leaves."""

    async def main() -> None:
        pace = joined(8)
        pace.join(2)
        inside, tasks = held(pace, 10)
        await settled()
        assert len(inside) == 2
        pace.leave(2)
        await settled()
        assert len(inside) == 8
        await dismiss(tasks)

    simulate(main())


@pytest.mark.parametrize(("ceiling", "first"), [(4, 4), (16, 16), (200, 16)])
def test_pace_begins_with_sixteen_and_doubles_each_quarter_of_a_second(
    ceiling: int, first: int
) -> None:
    """The limit starts at min(ceiling, 16) and doubles every 0.25 s while nothing is refused."""

    async def main() -> None:
        pace = joined(ceiling)
        inside, tasks = held(pace, 300)
        await settled()
        seen = [len(inside)]
        for _ in range(5):
            await asyncio.sleep(OPENING_S)
            await settled()
            seen.append(len(inside))
        assert seen == [min(ceiling, first * 2**n) for n in range(6)]
        await dismiss(tasks)

    simulate(main())


def test_an_endpoint_without_a_limit_gets_sixty_four_requests_within_0_6_s() -> None:
    """An endpoint without a limit gets 64 requests at once within 0.6 s, however slow it is."""

    async def main() -> None:
        pace = joined(64)
        inside, tasks = held(pace, 100)
        await asyncio.sleep(0.6)
        assert len(inside) == 64
        await dismiss(tasks)

    simulate(main())


def test_a_later_batch_with_a_higher_ceiling_reaches_it_too() -> None:
    """A later batch with a higher ceiling reaches it, although an earlier one opened to its own."""

    async def main() -> None:
        pace = joined(8)
        await load(pace, Endpoint(), workers=30, calls=20)
        pace.leave(8)
        pace.join(128)
        inside, tasks = held(pace, 200)
        await asyncio.sleep(4 * OPENING_S)
        assert len(inside) == 128
        await dismiss(tasks)

    simulate(main())


def test_overload_shrinks_at_once_and_once_for_a_burst() -> None:
    """A refusal halves the limit at once; the other refusals of its burst change nothing more."""

    async def main() -> None:
        pace = joined(16)
        inside, tasks = held(pace, 16)
        await settled()
        for _ in range(8):
            pace.overloaded(0.0)
            assert pace.limit.allowed == 8
        assert (len(inside), pace.limit.refusals, pace.limit.lowest) == (16, 8, 8)
        await dismiss(tasks)

    simulate(main())


def test_refusals_trickling_in_after_the_shrink_are_still_its_burst() -> None:
    """Refusals of requests that were admitted before the shrink belong to it, when they come."""

    async def main() -> None:
        pace = joined(16)
        _, tasks = held(pace, 16)
        await asyncio.sleep(1)
        pace.overloaded(1.0)
        for _ in range(7):
            await asyncio.sleep(0.01)
            pace.overloaded(1.005)  # sent a moment after the shrink, admitted before it
        assert pace.limit.allowed == 8
        await asyncio.sleep(1)
        await dismiss(tasks[:8])
        pace.overloaded(now())
        assert pace.limit.allowed == 4
        await dismiss(tasks)

    simulate(main())


def test_the_limit_grows_slowly_after_a_shrink() -> None:
    """After a shrink the limit grows round by round, and stays below the one that was refused."""

    async def main() -> None:
        pace = joined(64)
        _, tasks = held(pace, 16)
        await settled()
        pace.overloaded(0.0)
        await dismiss(tasks)
        _, tasks = held(pace, 64)
        await settled()
        seen = [pace.limit.allowed]
        for _ in range(200):
            pace.answered("draft", now())
            if pace.limit.allowed != seen[-1]:
                seen.append(pace.limit.allowed)
                await settled()
        await dismiss(tasks)
        assert seen == [8, 11, 13, 14, 15]

    simulate(main())


def test_a_limit_that_is_not_used_does_not_grow() -> None:
    """Answers to fewer requests than are allowed say nothing about more."""

    async def main() -> None:
        pace = joined(64)
        _, tasks = held(pace, 16)
        await settled()
        pace.overloaded(0.0)
        await dismiss(tasks)
        for _ in range(200):
            pace.answered("draft", now())
        assert pace.limit.allowed == 8

    simulate(main())


def test_a_call_that_was_refused_does_not_try_out_more() -> None:
    """A higher limit is tried with a fresh call: one that was refused is not refused for that."""

    async def main() -> None:
        pace = joined(64)
        _, tasks = held(pace, 4)
        await settled()
        pace.overloaded(0.0)
        await dismiss(tasks)
        _, under_way = held(pace, 2)
        await settled()
        for _ in range(3):
            pace.answered("draft", now())
        assert (pace.in_flight, pace.limit.allowed) == (2, 3)
        admitted: list[str] = []

        async def call(name: str, first: bool) -> None:
            async with pace.slot(0, first=first):
                admitted.append(name)

        refused = asyncio.create_task(call("refused", True))
        await settled()
        assert admitted == []
        fresh = asyncio.create_task(call("fresh", False))
        await settled()
        assert admitted == ["fresh"]
        await dismiss(under_way)
        await asyncio.gather(refused, fresh)
        assert admitted == ["fresh", "refused"]

    simulate(main())


def test_an_endpoint_that_recovers_is_used_to_the_ceiling_again() -> None:
    """One early refusal does not bind a long run: an endpoint that recovers is used fully again."""

    async def main() -> None:
        pace, endpoint = joined(64), Endpoint(allowed=8, duration=0.5)
        await load(pace, endpoint, workers=64, calls=3)
        assert pace.limit.allowed <= 9
        endpoint.allowed = 1000
        await load(pace, endpoint, workers=100, calls=30)
        assert pace.limit.allowed == 64

    simulate(main())


def test_a_pause_holds_every_caller() -> None:
    """A pause holds every caller, and a shorter one does not end a longer one."""

    async def main() -> None:
        pace, endpoint = joined(8), Endpoint()
        pace.pause(5.0)
        pace.pause(1.0)
        assert pace.rates.pauses.left_s(now()) == pytest.approx(5.0)
        await load(pace, endpoint, workers=20, calls=1)
        assert min(endpoint.sent) == pytest.approx(5.0)
        assert pace.rates.pauses.total_s == pytest.approx(5.0)
        assert pace.rates.pauses.left_s(now()) == 0

    simulate(main())


def test_a_pause_that_is_prolonged_holds_those_who_wait_already() -> None:
    """A pause that is prolonged while callers wait holds them until its new end."""

    async def main() -> None:
        pace, endpoint = joined(8), Endpoint()
        pace.pause(1.0)
        loading = asyncio.create_task(load(pace, endpoint, workers=3, calls=1))
        await asyncio.sleep(0.5)
        pace.pause(2.0)
        await loading
        assert min(endpoint.sent) == pytest.approx(2.5)
        assert pace.rates.pauses.total_s == pytest.approx(2.5)

    simulate(main())


def test_stop_turns_everybody_away_who_waits() -> None:
    """Stopping turns all waiters away with PaceStopped and leaves those under way alone."""

    async def main() -> None:
        pace = joined(2)
        inside, tasks = held(pace, 6)
        await settled()
        pace.stop()
        done, going = await asyncio.wait(tasks, timeout=1)
        assert len(going) == len(inside) == pace.in_flight == 2
        assert all(isinstance(task.exception(), PaceStopped) for task in done)
        await dismiss(tasks)
        assert pace.in_flight == 0

    simulate(main())


def test_stop_turns_away_one_batch_only() -> None:
    """The callers of another batch keep their places in the queue."""

    async def main() -> None:
        pace, admitted = joined(1), list[str]()

        async def call(batch: str) -> None:
            async with pace.slot(0, batch=batch):
                admitted.append(batch)
                await asyncio.sleep(1)

        calls = [asyncio.create_task(call(name)) for name in ("one", "two", "one", "two")]
        await settled()
        pace.stop("one")
        done = await asyncio.gather(*calls, return_exceptions=True)
        assert admitted == ["one", "two", "two"]
        assert [isinstance(error, PaceStopped) for error in done] == [False, False, True, False]

    simulate(main())


@pytest.mark.parametrize("moment", ["waiting", "admitted", "inside"])
def test_a_cancelled_caller_neither_leaks_nor_steals_a_slot(moment: str) -> None:
    """A caller cancelled while waiting, when admitted, or inside leaves every slot to others."""

    async def main() -> None:
        pace = joined(1)
        async with pace.slot(0):
            inside, tasks = held(pace, 2)
            await settled()
            assert inside == []
            if moment == "waiting":
                await dismiss(tasks[:1])
        if moment == "inside":
            await settled()
            assert inside == [0]
        tasks[0].cancel()
        await settled()
        assert inside[-1] == 1
        assert (0 in inside) == (moment == "inside")
        assert pace.in_flight == 1
        await dismiss(tasks)
        assert pace.in_flight == 0

    simulate(main())


def test_tokens_per_minute_are_kept_once_the_tokens_used_are_known() -> None:
    """In no 60 seconds are more tokens used than the limit and one call; also if all are bigger."""

    async def main() -> None:
        pace, sent = joined(50, tokens_per_minute=60_000), list[tuple[float, int]]()
        rnd = random.Random(5)

        async def call() -> None:
            async with pace.slot(2000):
                used = rnd.randrange(500, 4000)
                sent.append((now(), used))
                pace.rates.spent(2000, used)
                await asyncio.sleep(1)

        await asyncio.gather(*(call() for _ in range(120)))
        used = dict(sent)
        assert len(used) == len(sent)
        assert _most_in_a_minute(list(used), lambda at: used[at]) <= 60_000 + 4000
        assert now() <= 1.05 * sum(used.values()) / 1000

    simulate(main())


def _most_in_a_minute(times: list[float], size: Callable[[float], int]) -> int:
    return max(sum(size(t) for t in times if a <= t < a + 59.999) for a in times)


def test_leaving_cancels_the_timers() -> None:
    """When the last batch leaves, no timer keeps the event loop or the pace alive."""

    async def main() -> None:
        pace = joined(64, requests_per_minute=1)
        _, tasks = held(pace, 100)
        pace.pause(1000)
        await settled()
        timers = [t for t in (pace._timer, pace._opening) if t]
        assert timers
        pace.leave(64)
        assert all(timer.cancelled() for timer in timers)
        await dismiss(tasks)

    simulate(main())


@pytest.mark.parametrize("sigma", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("median", [1.0, 5.0, 30.0])
def test_ordinary_noise_of_durations_is_no_overload(median: float, sigma: float) -> None:
    """Durations that vary as those of language models do are not taken for overload."""

    async def main() -> int:
        pace, rnd = joined(64), random.Random(11)
        for _ in range(3000):
            pace.answered("draft", now() - median * rnd.lognormvariate(0, sigma))
        return pace.limit.refusals

    assert simulate(main()) == 0


def test_answers_far_slower_than_usual_are_overload_once() -> None:
    """When answers become many times slower the limit shrinks, but not again and again."""

    async def main() -> None:
        pace = joined(16)
        _, tasks = held(pace, 16)
        await asyncio.sleep(1000)
        for _ in range(50):
            pace.answered("draft", now() - 5)
        assert pace.limit.refusals == 0
        for _ in range(50):
            pace.answered("draft", now() - 40)
        assert pace.limit.refusals == 1
        assert pace.limit.allowed < FIRST_LIMIT
        for _ in range(50):
            pace.answered("summary", now() - 40)
        assert pace.limit.refusals == 1, "another step has durations of its own"
        await dismiss(tasks)

    simulate(main())


def test_callers_of_one_endpoint_share_a_pace_on_a_loop() -> None:
    """All callers of an endpoint on one event loop share its pace; another loop has its own."""

    async def main() -> int:
        pace = shared_pace("https://a/v1", 5, None)
        assert shared_pace("https://a/v1", None, None) is pace
        assert shared_pace("https://b/v1", None, None) is not pace
        return id(pace)

    simulate(main())
    simulate(main())


def test_the_lowest_rate_of_all_batches_holds() -> None:
    """A batch that joins with a lower rate, or with the first one, is heeded."""

    async def sent_in(seconds: float, *given: tuple[int | None, int | None]) -> int:
        paces = [shared_pace(f"https://{given}/v1", *rates) for rates in given]
        pace, count = paces[-1], 0
        pace.join(50)

        async def caller() -> None:
            nonlocal count
            async with pace.slot(1000):
                count += 1

        tasks = [asyncio.create_task(caller()) for _ in range(50)]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return count

    async def main() -> None:
        assert await sent_in(10.5, (60, None)) == 11
        assert await sent_in(10.5, (600, None), (60, None)) == 11
        assert await sent_in(10.5, (60, None), (600, None)) == 11
        assert await sent_in(10.5, (None, None), (60, None)) == 11
        assert await sent_in(10.5, (None, 60_000), (None, None)) == 11

    simulate(main())
