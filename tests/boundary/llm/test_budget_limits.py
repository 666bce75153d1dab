"""A budget under random reports."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_llm_reports.tasks.contract.records import Usage
from prefect_llm_reports.tasks.llm.budget import Budget, OverBudget
from prefect_llm_reports.tasks.llm.usual import Usual
from tests.unit.llm.test_budget import run


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(), limit=st.integers(0, 60), reports=st.integers(1, 8))
def test_random_reports_never_exceed_the_limit_and_all_return(
    seed: int, limit: int, reports: int
) -> None:
    """With any costs and cancellations, spending stays below the limit and every call returns."""
    rnd = random.Random(seed)

    async def main() -> None:
        budget = Budget(Decimal(limit))

        async def attempt(item: str, *, needed: bool) -> None:
            worst = rnd.randint(0, 9)
            with suppress(OverBudget):
                async with budget.reserved(Decimal(worst), item=item, needed=needed) as money:
                    assert budget.left >= 0
                    for _ in range(rnd.randint(0, 3)):
                        await asyncio.sleep(0)
                    money.actual = rnd.choice([None, Decimal(0), Decimal(rnd.randint(0, worst))])
            assert budget.spent <= limit

        async def report(item: str) -> None:
            try:
                await budget.allow(item, Decimal(rnd.randint(0, 20)))
                for _ in range(rnd.randint(1, 5)):
                    await attempt(item, needed=rnd.random() < 0.5)
                await asyncio.gather(*(attempt(item, needed=rnd.random() < 0.5) for _ in range(3)))
            except OverBudget:
                pass
            finally:
                await budget.release(item)

        tasks = [asyncio.create_task(report(str(n))) for n in range(reports)]
        for task in tasks:
            if rnd.random() < 0.2:
                for _ in range(rnd.randint(0, 5)):
                    await asyncio.sleep(0)
                task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(d is None or isinstance(d, asyncio.CancelledError) for d in done)
        assert budget.spent <= limit
        assert budget.left == limit - budget.spent, "nothing stays reserved or set aside"

    run(main())


@pytest.mark.parametrize("share", [0.3, 1.2])
def test_two_hundred_random_budgets_are_kept_and_suffice(share: float) -> None:
    """Never above the budget; with 1.2 times the true cost, every report is published."""
    for seed in range(100):
        limit, spent, published, reports = simulated(seed, Decimal(str(share)))
        assert spent <= limit, seed
        assert share < 1 or published == reports, seed


def simulated(seed: int, share: Decimal) -> tuple[Decimal, Decimal, int, int]:
    """Make reports of seven calls on an endpoint that bills by the token, up to the limit asked."""
    rnd = random.Random(seed)
    longest, reports = 16_000, rnd.randint(1, 12)
    lengths = {"draft": 1200, "critique": 500, "revision": 1300, "summary": 200}
    steps = ["draft", "critique", *["revision", "critique"] * 2, "summary"]
    true = [[int(lengths[s] * rnd.uniform(0.6, 1.4)) for s in steps] for _ in range(reports)]
    sent = [rnd.randint(1000, 2500) for _ in steps]
    price_in, price_out, bound = Decimal("0.25"), Decimal(2), 4
    cost = sum(sum(sent) * price_in + sum(lengths) * price_out for lengths in true)
    limit = share * cost
    budget, usual, published = Budget(limit), Usual(), list[int]()

    def price(step: int, tokens: int) -> Decimal:
        return sent[step] * bound * price_in + tokens * price_out

    async def ask(report: int, step: int, *, needed: bool) -> None:
        name = steps[step]
        too_short = 0
        while True:
            tokens = max(usual.output_tokens("m", name, longest), 2 * too_short)
            least = max(tokens // 2, 2 * too_short)
            money = budget.reserved(
                price(step, longest),
                usual=price(step, tokens),
                least=price(step, least),
                item=str(report),
                needed=needed,
            )
            async with money as held:
                allowed = int((held.worst - sent[step] * bound * price_in) / price_out)
                for _ in range(rnd.randint(1, 5)):
                    await asyncio.sleep(0)
                written = min(true[report][step], allowed)
                held.actual = sent[step] * price_in + written * price_out
                assert held.actual <= held.worst
            if written == true[report][step]:
                usual.learn("m", name, 0, Usage(output_tokens=written))
                return
            too_short = allowed

    async def report(number: int) -> None:
        first = [0, 1, len(steps) - 1]
        tokens = [usual.output_tokens("m", steps[s], longest) for s in first]
        amount = sum((price(s, n) for s, n in zip(first, tokens, strict=True)), Decimal(0))
        least = sum((price(s, n // 2) for s, n in zip(first, tokens, strict=True)), Decimal(0))
        with suppress(OverBudget):
            await budget.allow(str(number), amount, least=least)
            try:
                await ask(number, 0, needed=True)
                await ask(number, 1, needed=True)
                with suppress(OverBudget):
                    for step in range(2, len(steps) - 1):
                        await ask(number, step, needed=False)
                await ask(number, len(steps) - 1, needed=True)
                published.append(number)
            finally:
                await budget.release(str(number))

    async def main() -> None:
        await asyncio.gather(*(report(n) for n in range(reports)))

    run(main())
    return limit, budget.spent, len(published), reports
