"""A budget under random reports."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_llm_reports.tasks.llm.budget import Budget, OverBudget
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
