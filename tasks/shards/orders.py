"""Orders: a batch's topics and limits, dealt to its shards.

Not here: who runs a shard, and where (`workers`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from functools import cached_property

from pydantic import Field

from prefect_llm_reports.tasks.contract.options import ReportOptions
from prefect_llm_reports.tasks.contract.records import Record, Usd, canonical_json, digest
from prefect_llm_reports.tasks.contract.reports import Topic
from prefect_llm_reports.tasks.llm.endpoint import Endpoint
from prefect_llm_reports.tasks.reports.checking import CheckedBatch
from prefect_llm_reports.tasks.reports.questions import Plan

MICRO = Decimal("0.000001")


class ShardOrder(Record):
    """The work of one shard; the batch writes it, and withdraws it to end the shard.

    Attributes:
        number: Which shard, from 1.
        count: How many shards the batch has.
        plan: The plan of the whole batch.
        endpoint: Name of a saved endpoint; None: the environment's.
        budget_usd: US dollars that this shard may spend; None: no limit.
        started: When the batch began.
        again: An earlier try may have paid for some of the answers.
        sources: SHA-256 of each source of these topics, by its location.
    """

    number: int
    count: int
    topics: list[Topic]
    plan: Plan
    endpoint: str | None
    budget_usd: Usd | None = None
    started: datetime
    again: bool = False
    sources: dict[str, str] = Field(default={})

    @cached_property
    def digest(self) -> str:
        """Equal for orders of the same work, even if earlier tries left less of the budget."""
        work = self.model_dump(mode="json", exclude={"budget_usd", "started", "again"})
        return digest(canonical_json(work))

    @property
    def caps(self) -> ReportOptions:
        """The batch's options with this shard's part of its limits."""
        options = self.plan.options
        return options.model_copy(
            update={
                "concurrency": max(1, self.part(options.concurrency) or 1),
                "budget_usd": self.budget_usd,
                "requests_per_minute": self.part(options.requests_per_minute),
                "tokens_per_minute": self.part(options.tokens_per_minute),
            }
        )

    def part(self, whole: int | None) -> int | None:
        """This shard's part of a limit; the parts of all shards add up to the whole."""
        if whole is None:
            return None
        return whole // self.count + (self.number <= whole % self.count)

    def line(self, endpoint: Endpoint) -> Endpoint:
        """An endpoint with this shard's part of its own limits."""
        return replace(
            endpoint,
            requests_per_minute=self.part(endpoint.requests_per_minute),
            tokens_per_minute=self.part(endpoint.tokens_per_minute),
        )


def dealt(topics: Sequence[Topic], count: int) -> list[list[Topic]]:
    """Deal topics round robin, one pile a shard."""
    return [list(topics[number::count]) for number in range(count)]


def divided_usd(whole: Decimal | None, sizes: Sequence[int]) -> list[Decimal | None]:
    """Divide money by the size of each part; the parts add up to the whole, to the last digit."""
    if whole is None:
        return [None] * len(sizes)
    total = sum(sizes)
    parts = [(whole * size / total).quantize(MICRO, ROUND_FLOOR) for size in sizes]
    parts[0] += whole - sum(parts, Decimal(0))
    return [*parts]


def most_shards(batch: CheckedBatch, wanted: int) -> int:
    """How many shards a batch can have: each needs a topic, and a part of every limit."""
    options = batch.plan.options
    limits = [wanted, len(batch.topics), options.concurrency]
    for line in (options, *batch.endpoints):
        limits += [line.requests_per_minute or wanted, line.tokens_per_minute or wanted]
    return max(1, min(limits))


def orders(
    batch: CheckedBatch,
    count: int,
    *,
    endpoint: str | None,
    started: datetime,
) -> list[ShardOrder]:
    """Write the orders of all shards of a batch.

    Args:
        batch: The checked request.
        count: How many shards there are.
        endpoint: Name of the saved endpoint; None: the environment's.
        started: When the batch began.
    """
    piles = dealt(batch.topics, count)
    money = divided_usd(batch.plan.options.budget_usd, [len(pile) for pile in piles])
    return [
        ShardOrder(
            number=number,
            count=count,
            topics=pile,
            plan=batch.plan,
            endpoint=endpoint,
            budget_usd=usd,
            started=started,
            sources=batch.library.marks(pile) if batch.library else {},
        )
        for number, (pile, usd) in enumerate(zip(piles, money, strict=True), start=1)
    ]
