"""Money of one run: reserved before a call for the most that it can cost, settled after it.

Sums are US dollars as `Decimal`. Nothing here knows models or prices.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from prefect_llm_reports.tasks.contract.money import usd_text


class OverBudget(Exception):
    """The amount does not fit into what is left."""

    def __init__(self, wanted: Decimal, left: Decimal) -> None:
        left_now = usd_text(max(left, Decimal(0)))
        super().__init__(f"up to {usd_text(wanted)} needed, {left_now} of the budget left")
        self.wanted = wanted
        self.left = left


@dataclass
class Reservation:
    """Money held for one call under way.

    Attributes:
        worst: The most that the call may cost; the caller limits the answer to it.
        actual: What it cost; None: unknown, and the worst case is charged in full.
    """

    worst: Decimal
    actual: Decimal | None = None


_REFUSED = ("optional", "allowance", "needed")
"""The order of refusals when money is short; of equals, the last to come is refused first."""


@dataclass(eq=False)
class _Claim:
    """A caller that waits for money; the kind decides when it is refused.

    It takes the amount, or only what is usual when the amount does not fit, or even less, down to
    the least, when no money can come back. `amount` is then what it took.
    """

    amount: Decimal
    item: str
    kind: Literal["optional", "allowance", "needed"]
    usual: Decimal
    least: Decimal
    turn: asyncio.Future[Decimal] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Budget:
    """A hard limit on what the calls of a run can cost, several under way at once.

    A call that does not fit waits as long as others may still give back money that they do not
    use. When no more money can come back, the waiting callers are refused one by one, since each
    refusal may make room for the others: first the calls that only improve a report, then reports
    not begun, last the calls that a report cannot be published without. An allowance sets money
    aside for these, so that optional calls cannot take it. A call that cost nothing puts its share
    of the allowance back.

    Args:
        limit: US dollars that may be spent, at most; None: no limit.
    """

    def __init__(self, limit: Decimal | None) -> None:
        self.limit = limit
        self.spent = Decimal(0)
        self._reserved = Decimal(0)
        self._aside = Decimal(0)
        self._under_way = 0
        self._allowances: dict[str, Decimal] = {}
        self._waiting: list[_Claim] = []

    @property
    def left(self) -> Decimal:
        """Money that is neither spent nor reserved nor set aside."""
        return (self.limit or Decimal(0)) - self.spent - self._reserved - self._aside

    async def allow(self, item: str, amount: Decimal, *, least: Decimal | None = None) -> None:
        """Set aside what a report needs, before its first call.

        Args:
            item: The report.
            amount: What its needed calls hardly exceed.
            least: What suffices when no more money can come back; None: the amount.

        Raises:
            OverBudget: The money left does not suffice, and no more can come back.
        """
        if self.limit is not None:
            await self._claim(
                _Claim(amount, item, "allowance", amount, amount if least is None else least)
            )

    async def release(self, item: str) -> None:
        """Give back the rest of a report's allowance."""
        self._put_aside(item, -self._allowances.get(item, Decimal(0)))
        self._allowances.pop(item, None)
        self._serve()

    @asynccontextmanager
    async def reserved(
        self,
        worst: Decimal,
        *,
        usual: Decimal | None = None,
        least: Decimal | None = None,
        item: str = "",
        needed: bool = False,
    ) -> AsyncGenerator[Reservation]:
        """Hold the worst case of a call while it is made, or the usual one when money is short.

        The caller then limits the answer to what is held.

        Args:
            worst: The most that the call can cost.
            usual: What such calls hardly exceed; None: the worst case.
            least: What suffices when no more money can come back; None: what is usual.
            item: The report it is for.
            needed: The call may draw on the report's allowance.

        Raises:
            OverBudget: The money left does not suffice, and no more can come back.
        """
        reservation = Reservation(worst)
        if self.limit is None:
            yield reservation
            return
        usual = worst if usual is None else min(usual, worst)
        claim = _Claim(
            worst,
            item,
            "needed" if needed else "optional",
            usual,
            usual if least is None else least,
        )
        drawn = await self._claim(claim)
        reservation.worst = claim.amount
        try:
            yield reservation
        finally:
            self._settle(reservation, item, drawn)

    def expect(self, reservation: Reservation, worst: Decimal) -> None:
        """Hold more for a call under way, which turns out to cost more than was thought.

        Args:
            reservation: What is held for it.
            worst: The most that it may cost.
        """
        if self.limit is not None and worst > reservation.worst:
            self._reserved += worst - reservation.worst
            reservation.worst = worst

    async def _claim(self, claim: _Claim) -> Decimal:
        """Wait until the amount is booked; return the part that came out of the allowance."""
        self._waiting.append(claim)
        self._serve()
        try:
            return await claim.turn
        except asyncio.CancelledError:
            if claim in self._waiting:
                self._waiting.remove(claim)
                self._serve()
            elif not claim.turn.cancelled() and claim.turn.exception() is None:
                self._undo(claim, claim.turn.result())
            raise

    def _undo(self, claim: _Claim, drawn: Decimal) -> None:
        """Take back a booking whose caller was cancelled before it learnt of it."""
        if claim.kind == "allowance":
            self._put_aside(claim.item, -claim.amount)
            self._serve()
        else:
            unused = Reservation(claim.amount, actual=Decimal(0))
            self._settle(unused, claim.item, drawn)

    def _settle(self, reservation: Reservation, item: str, drawn: Decimal) -> None:
        """Book what a call cost instead of its worst case."""
        self._under_way -= 1
        self._reserved -= reservation.worst
        actual = reservation.worst if reservation.actual is None else reservation.actual
        self.spent += actual
        if not actual and item in self._allowances:
            self._put_aside(item, drawn)
        self._serve()

    def _serve(self) -> None:
        """Book every amount that fits, in turn; refuse when no money can come back."""
        while True:
            for claim in [*self._waiting]:
                self._book_if_it_fits(claim)
            if not self._waiting or self._can_change():
                return
            if any(self._book_what_is_left(claim) for claim in reversed(self._by_refusal())):
                continue
            refused = self._by_refusal()[0]
            self._waiting.remove(refused)
            if not refused.turn.done():
                refused.turn.set_exception(OverBudget(refused.usual, self.left))

    def _book_if_it_fits(self, claim: _Claim) -> None:
        drawn = Decimal(0)
        if claim.kind == "needed":
            drawn = min(claim.usual, self._allowances.get(claim.item, Decimal(0)))
        more = claim.amount - drawn
        if more > 0 and more > self.left:
            more = claim.usual - drawn
            if more > 0 and more > self.left:
                return
            claim.amount = claim.usual
        self._book(claim, drawn)

    def _book_what_is_left(self, claim: _Claim) -> bool:
        """Book less than is usual, if it is not less than the least; return whether it is."""
        drawn = Decimal(0)
        if claim.kind == "needed":
            drawn = min(claim.usual, self._allowances.get(claim.item, Decimal(0)))
        amount = min(claim.usual, drawn + max(self.left, Decimal(0)))
        if amount < claim.least or amount == claim.usual:
            return False
        claim.amount = amount
        self._book(claim, drawn)
        return True

    def _by_refusal(self) -> list[_Claim]:
        """Those who wait, the first to be refused first."""
        latest_first = self._waiting[::-1]
        return sorted(latest_first, key=lambda claim: _REFUSED.index(claim.kind))

    def _book(self, claim: _Claim, drawn: Decimal) -> None:
        """Book a claim's amount, of which this part comes out of its report's allowance."""
        self._waiting.remove(claim)
        if claim.turn.done():  # cancelled; its caller is about to learn of it
            return
        if claim.kind == "allowance":
            self._put_aside(claim.item, claim.amount)
        else:
            if drawn:
                self._put_aside(claim.item, -drawn)
            self._reserved += claim.amount
            self._under_way += 1
        claim.turn.set_result(drawn)

    def _put_aside(self, item: str, amount: Decimal) -> None:
        self._allowances[item] = self._allowances.get(item, Decimal(0)) + amount
        self._aside += amount

    def _can_change(self) -> bool:
        """Whether a call, or a report that does not wait, may still give money back."""
        waiting = {claim.item for claim in self._waiting}
        return bool(self._under_way) or any(item not in waiting for item in self._allowances)
