"""Money of one run: reserved for the worst case before a call, settled after it.

Sums are US dollars as `Decimal`. Nothing here knows models or prices.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal


class OverBudget(Exception):
    """The amount does not fit into what is left."""

    def __init__(self, wanted: Decimal, left: Decimal) -> None:
        super().__init__(f"{wanted} wanted, {left} left")
        self.wanted = wanted
        self.left = left


@dataclass
class Reservation:
    """The worst case of one call, while it is under way; settled at its worst unless told."""

    worst: Decimal
    actual: Decimal | None = None


class Budget:
    """A hard limit on what the calls of a run can cost, several under way at once.

    A call that does not fit waits as long as others may still give back what they do not use;
    when nothing can come back any more it is refused. An allowance sets money aside for the calls
    that a report cannot be published without, so that optional calls of others cannot take it.

    Args:
        limit: US dollars that may be spent, at most; None: no limit.
    """

    def __init__(self, limit: Decimal | None) -> None:
        self.limit = limit
        self.spent = Decimal(0)
        self._reserved = Decimal(0)
        self._under_way = 0
        self._allowances: dict[str, Decimal] = {}
        self._waiting: Counter[str] = Counter()
        self._changed = asyncio.Condition()

    @property
    def left(self) -> Decimal:
        """What is neither spent nor set aside."""
        aside = sum(self._allowances.values(), Decimal(0))
        return (self.limit or Decimal(0)) - self.spent - self._reserved - aside

    async def allow(self, item: str, amount: Decimal) -> None:
        """Set aside what a report needs at least, before its first call.

        Raises:
            OverBudget: It cannot fit any more.
        """
        if self.limit is not None:
            await self._fit(amount, item)
            self._allowances[item] = amount

    async def release(self, item: str) -> None:
        """Give back what a report's allowance still holds."""
        if self._allowances.pop(item, None) is not None:
            await self._notify()

    @asynccontextmanager
    async def reserved(
        self, worst: Decimal, *, item: str = "", needed: bool = False
    ) -> AsyncIterator[Reservation]:
        """Hold the worst case of a call while it is made.

        Args:
            worst: The most that the call can cost.
            item: The report it is for.
            needed: It may draw on the report's allowance.

        Raises:
            OverBudget: It cannot fit any more.
        """
        reservation = Reservation(worst)
        if self.limit is None:
            yield reservation
            return
        drawn = min(worst, self._allowances.get(item, Decimal(0))) if needed else Decimal(0)
        if worst > drawn:
            await self._fit(worst - drawn, item)
        if drawn:
            self._allowances[item] -= drawn
        self._reserved += worst
        self._under_way += 1
        try:
            yield reservation
        finally:
            self._under_way -= 1
            self._reserved -= worst
            self.spent += worst if reservation.actual is None else reservation.actual
            await self._notify()

    async def _fit(self, amount: Decimal, item: str) -> None:
        """Return when the amount fits; nothing else runs before the caller books it."""
        async with self._changed:
            if amount <= self.left:
                return
            self._waiting[item] += 1
            self._changed.notify_all()
            try:
                while amount > self.left:
                    if not self._can_change():
                        raise OverBudget(amount, self.left)
                    await self._changed.wait()
            finally:
                self._waiting[item] -= 1

    def _can_change(self) -> bool:
        """Whether some call or some report that does not wait may still give something back."""
        return bool(self._under_way) or any(not self._waiting[i] for i in self._allowances)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()
