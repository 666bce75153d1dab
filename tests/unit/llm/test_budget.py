"""The budget is never exceeded, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from decimal import Decimal
from typing import Any

import pytest

from prefect_llm_reports.tasks.llm.budget import Budget, OverBudget


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 5))


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def call(
    budget: Budget, worst: int, actual: int | None, item: str = "", *, needed: bool = False
) -> None:
    async with budget.reserved(Decimal(worst), item=item, needed=needed) as money:
        await asyncio.sleep(0)
        money.actual = None if actual is None else Decimal(actual)


def test_without_a_limit_every_call_is_made() -> None:
    """Without a limit every call is made at once."""

    async def main() -> None:
        budget = Budget(None)
        await budget.allow("a", Decimal(10**9))
        await asyncio.gather(*(call(budget, 10**9, None) for _ in range(50)))

    run(main())


def test_a_call_waits_while_others_may_still_give_money_back() -> None:
    """A call that does not fit waits, and is made when another has cost less than its worst."""

    async def main() -> None:
        budget = Budget(Decimal(10))
        async with budget.reserved(Decimal(8)) as first:
            second = asyncio.create_task(call(budget, 5, 5))
            await settled()
            assert not second.done()
            first.actual = Decimal(3)
        await second
        assert budget.spent == 8

    run(main())


def test_a_call_is_refused_when_nothing_can_come_back() -> None:
    """A call is refused, with what it wanted and what is left, once nothing can come back."""

    async def main() -> None:
        budget = Budget(Decimal(10))
        async with budget.reserved(Decimal(8)):
            second = asyncio.create_task(call(budget, 5, 5))
            await settled()
            assert not second.done()
        with pytest.raises(OverBudget) as refused:
            await second
        assert (refused.value.wanted, refused.value.left) == (5, 2)

    run(main())


def test_a_call_that_is_not_told_its_cost_is_booked_at_its_worst() -> None:
    """A call whose cost stays unknown counts at its worst, also when it fails."""

    async def main() -> None:
        budget = Budget(Decimal(10))
        with pytest.raises(ZeroDivisionError):
            async with budget.reserved(Decimal(4)):
                raise ZeroDivisionError
        assert (budget.spent, budget.left) == (4, 6)

    run(main())


def test_optional_calls_cannot_take_what_is_set_aside() -> None:
    """An optional call, also of the same report, cannot take an allowance; a needed call can."""

    async def main() -> None:
        budget = Budget(Decimal(10))
        await budget.allow("a", Decimal(8))
        for item in ("a", "b", ""):
            waiting = asyncio.create_task(call(budget, 3, 3, item))
            await settled()
            if item == "a":
                assert isinstance(waiting.exception(), OverBudget)
                continue
            assert not waiting.done(), "report a may still give its allowance back"
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        await call(budget, 8, 7, "a", needed=True)
        assert (budget.spent, budget.left) == (7, 3)

    run(main())


def test_a_needed_call_that_cost_nothing_keeps_its_allowance() -> None:
    """After a refused or failed attempt that cost nothing, the next attempt finds its allowance."""

    async def main() -> None:
        budget = Budget(Decimal(10))
        await budget.allow("a", Decimal(8))
        await call(budget, 8, 0, "a", needed=True)
        assert budget.left == 2
        await budget.allow("b", Decimal(2))
        await call(budget, 8, 8, "a", needed=True)
        await call(budget, 2, 2, "b", needed=True)
        assert budget.spent == 10

    run(main())


def test_two_needed_calls_do_not_draw_the_same_allowance() -> None:
    """Needed calls of one report that wait at once draw its allowance once, not each."""

    async def main() -> None:
        budget = Budget(Decimal(10))
        await budget.allow("a", Decimal(4))
        async with budget.reserved(Decimal(5), item="x") as other:
            both = [asyncio.create_task(call(budget, 6, None, "a", needed=True)) for _ in range(2)]
            await settled()
            other.actual = Decimal(0)
        done = await asyncio.gather(*both, return_exceptions=True)
        assert sorted(type(d).__name__ for d in done) == ["NoneType", "OverBudget"]
        assert budget.spent == 6
        await budget.release("a")
        assert budget.left == 4

    run(main())


def test_money_given_back_by_a_finished_report_serves_those_who_wait() -> None:
    """What a report's allowance still holds at its end goes to a report that waits to begin."""

    async def main() -> None:
        budget = Budget(Decimal(10))
        await budget.allow("a", Decimal(9))
        second = asyncio.create_task(budget.allow("b", Decimal(8)))
        await settled()
        assert not second.done()
        await call(budget, 9, 2, "a", needed=True)
        await budget.release("a")
        await second
        assert budget.left == 0

    run(main())


def test_calls_that_only_improve_are_refused_before_those_that_are_needed() -> None:
    """When money is short, an optional call is refused before a needed one, in either order."""

    async def main() -> None:
        budget = Budget(Decimal(10))
        await budget.allow("a", Decimal(2))
        await budget.allow("b", Decimal(5))
        optional = asyncio.create_task(call(budget, 7, 7, "b"))
        await settled()
        needed = asyncio.create_task(call(budget, 8, 8, "a", needed=True))
        with pytest.raises(OverBudget):
            await optional
        await settled()
        assert not needed.done()
        await budget.release("b")
        await needed
        assert budget.spent == 8

    run(main())


def test_reports_that_all_wait_are_refused_one_at_a_time() -> None:
    """When all wait for each other, one is refused and what it gives back serves the next."""

    async def main() -> None:
        budget, published = Budget(Decimal(10)), list[str]()

        async def report(item: str) -> None:
            await budget.allow(item, Decimal(4))
            await settled()
            try:
                await call(budget, 5, 5, item)
                published.append(item)
            finally:
                await budget.release(item)

        done = await asyncio.gather(report("a"), report("b"), return_exceptions=True)
        assert [type(d).__name__ for d in done].count("OverBudget") == 1
        assert len(published) == 1

    run(main())


@pytest.mark.parametrize("kind", ["call", "allowance"])
@pytest.mark.parametrize("moment", ["waiting", "booked", "under way"])
def test_cancellation_gives_everything_back(kind: str, moment: str) -> None:
    """Somebody cancelled while waiting, when just served, or under way leaves nothing reserved."""

    async def main() -> None:
        budget = Budget(Decimal(10))

        async def hold() -> None:
            async with budget.reserved(Decimal(6), item="a") as money:
                money.actual = Decimal(1)
                await asyncio.Event().wait()

        async with budget.reserved(Decimal(5)) as first:
            first.actual = Decimal(1)
            waits = hold() if kind == "call" else budget.allow("a", Decimal(6))
            task = asyncio.create_task(waits)
            await settled()
            if moment == "waiting":
                task.cancel()
                await settled()
        if moment == "under way":
            await settled()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if kind == "allowance" and moment == "under way":
            await budget.release("a")
        costs = 2 if (kind, moment) == ("call", "under way") else 1
        assert (budget.spent, budget.left) == (costs, 10 - costs)

    run(main())


def test_a_cancelled_waiter_does_not_hold_up_the_others() -> None:
    """When the call that could have returned money is cancelled, the waiting calls are woken."""

    async def main() -> None:
        budget = Budget(Decimal(10))
        await budget.allow("a", Decimal(6))
        holder = asyncio.create_task(call(budget, 6, 0, "a", needed=True))
        waiting = asyncio.create_task(call(budget, 7, 7, "b"))
        await holder
        await settled()
        assert not waiting.done()
        await budget.release("a")
        await waiting
        assert budget.spent == 7

    run(main())


def test_when_money_is_short_a_call_holds_only_what_is_usual() -> None:
    """A call holds its worst case if that fits, else what is usual, and less is refused."""

    async def main() -> None:
        budget = Budget(Decimal(10))
        held = list[Decimal]()

        async def one(actual: int) -> None:
            async with budget.reserved(Decimal(8), usual=Decimal(2)) as money:
                held.append(money.worst)
                await settled()
                money.actual = Decimal(actual)

        await asyncio.gather(one(7), one(2))
        assert (held, budget.spent) == ([8, 2], 9)
        with pytest.raises(OverBudget) as refused:
            await one(1)
        assert refused.value.wanted == 2

    run(main())
