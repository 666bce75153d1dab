"""Tokens and cost of a run, by report and in all; every request counts, failed ones too."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

from prefect_llm_reports.tasks.contract.records import Calls, Usage
from prefect_llm_reports.tasks.llm.call import Bill
from prefect_llm_reports.tasks.llm.usual import Usual


@dataclass
class Spending:
    """Calls, tokens and money of one report or of a run."""

    made: int = 0
    cached: int = 0
    retried: int = 0
    usage: Usage = field(default_factory=Usage)
    usd: Decimal = Decimal(0)
    unknown: bool = False

    @property
    def cost_usd(self) -> Decimal | None:
        """US dollars spent; None when the cost of any part is unknown."""
        return None if self.unknown else self.usd

    @property
    def calls(self) -> Calls:
        """Counts of answers by their source: the store, or the endpoint."""
        return Calls(made=self.made, cached=self.cached, retried=self.retried)


class Ledger:
    """Accounts by report; `total` is the run's, `usual` what answers usually take."""

    def __init__(self) -> None:
        self.total = Spending()
        self.usual = Usual()
        self.items: dict[str, Spending] = defaultdict(Spending)

    def attempt(self, item: str, bill: Bill, *, again: bool) -> None:
        """Book one HTTP request.

        Args:
            item: The report it was for.
            bill: What it took.
            again: The request repeats one that failed.
        """
        for account in (self.total, self.items[item]):
            account.retried += again
            if bill.usage:
                account.usage += bill.usage
            if bill.billed:
                account.unknown = account.unknown or bill.usd is None
                account.usd += bill.usd or 0

    def answered(self, item: str) -> None:
        """Count an answer that the model gave in this run."""
        self.total.made += 1
        self.items[item].made += 1

    def reused(self, item: str, answers: int = 1) -> None:
        """Count answers that were read from the store; they cost nothing now."""
        self.total.cached += answers
        self.items[item].cached += answers
