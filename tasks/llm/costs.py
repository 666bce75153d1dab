"""Costs of requests on one line: claims on the budget before, and bills after.

Not here: prices (`llm.pricing`), the budget itself (`llm.budget`), tokens (`llm.usage`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from prefect_llm_reports.tasks.llm.budget import Reservation
from prefect_llm_reports.tasks.llm.call import Bill, Call
from prefect_llm_reports.tasks.llm.pricing import PriceList
from prefect_llm_reports.tasks.llm.response import Response
from prefect_llm_reports.tasks.llm.usage import cost_said, usage_of
from prefect_llm_reports.tasks.llm.usual import Usual


class Claim(NamedTuple):
    """The budget that a request claims, in US dollars.

    Attributes:
        worst: The most that it can cost.
        usually: What it hardly exceeds.
        least: With less it is not worth sending.
    """

    worst: Decimal = Decimal(0)
    usually: Decimal = Decimal(0)
    least: Decimal = Decimal(0)


class Costs:
    """Costs of requests at one endpoint.

    Args:
        prices: Prices there.
        usual: Usual lengths of answers.
        bounded: There is a budget.
    """

    def __init__(self, prices: PriceList, usual: Usual, *, bounded: bool) -> None:
        self._prices = prices
        self._usual = usual
        self._bounded = bounded

    def worst(self, model: str, sends: int, output_tokens: int) -> Decimal | None:
        """The most that one request can cost; None: the price is unknown.

        Args:
            model: The model.
            sends: Bound of its input tokens.
            output_tokens: Tokens that the answer may have.
        """
        return self._prices.worst(model, sends, output_tokens)

    def claimed(self, call: Call, model: str, sends: int) -> Claim:
        """The claim of a call's next request; nothing without a budget."""
        if not self._bounded:
            return Claim()
        costs, limit = self._by_length(model, sends), call.output_tokens
        usual = self._usual.output_tokens(model, call.ask.step, limit)
        usual = min(limit, max(usual, 2 * call.too_short))
        least = min(usual, max(usual // 2, 2 * call.too_short))
        return Claim(costs(limit), costs(usual), costs(least))

    def affordable(self, call: Call, money: Reservation, model: str, sends: int) -> int:
        """Tokens that the answer may have for this money: all, unless the budget holds less."""
        costs = self._by_length(model, sends)
        if not self._bounded or costs(call.output_tokens) <= money.worst:
            return call.output_tokens
        return max(1, bisect_right(range(call.output_tokens), money.worst, key=costs) - 1)

    def charge(self, bill: Bill, response: Response, model: str) -> None:
        """Write on a bill what a response took, as the endpoint says or at its prices."""
        bill.usage = usage_of(response.fields)
        bill.usd = cost_said(response.headers, response.fields)
        bill.billed = response.ok or bill.usage is not None or bool(bill.usd)
        if bill.usage and not bill.usd:
            named, tier = response.fields.get("model"), response.fields.get("service_tier")
            names = [named, model] if isinstance(named, str) and named != model else [model]
            prices = (self._prices.cost(name, bill.usage, tier) for name in names)
            if bill.usd is None or any(name in self._prices.own for name in names):
                bill.usd = next((usd for usd in prices if usd is not None), bill.usd)

    def _by_length(self, model: str, sends: int) -> Callable[[int], Decimal]:
        """US dollars of an answer with so many tokens, at worst."""
        return lambda tokens: self._prices.worst(model, sends, tokens) or Decimal(0)
