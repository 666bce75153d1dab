"""Quotes: what a run would ask, cost and take, before it makes any call.

Here: the records. Not here: how they are estimated (`llm.estimates`, `reports.quoting`,
`branches.quoting`), how they read (`text.quotes`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field

from prefect_llm_reports.tasks.contract.choices import Tier
from prefect_llm_reports.tasks.contract.records import SCHEMA_VERSION, Record, Usage


class QuotedTopics(Record):
    """Topics, or inputs of branches, by what the store has of them.

    `cached`: the store has every answer. `changed`: it has some, or the output has an earlier
    report under the same title (an earlier answer to the same input). `new`: neither.
    """

    new: int = 0
    changed: int = 0
    cached: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.new + self.changed + self.cached


class QuotedCalls(Record):
    """Answers that the run would ask for, and those that it would read from the store."""

    made: int = Field(default=0, description="Calls that the run usually makes.")
    made_at_most: int = Field(default=0, description="Calls if every report takes all rounds.")
    cached: int = Field(default=0, description="Answers read from the store.")


class TierCosts(Record):
    """US dollars by tier; None: a model has no known price there."""

    standard: Decimal | None = None
    flex: Decimal | None = None
    batch: Decimal | None = None


class QuotedStep(Record):
    """The calls of one step to one model."""

    step: str
    model: str
    calls: float = Field(description="Calls that the run usually makes.")
    input_tokens: int = Field(description="Tokens that one call usually sends.")
    output_tokens: int = Field(description="Tokens of one usual answer.")
    seconds: float = Field(description="Seconds that one call usually takes.")
    records: int = Field(
        description="Stored answers that this is the mean of; 0: it is estimated from lengths."
    )


class Quote(Record):
    """What a run would ask, cost and take; no call was made for it."""

    schema_version: int = SCHEMA_VERSION
    items: Literal["topics", "inputs"] = "topics"
    topics: QuotedTopics
    calls: QuotedCalls
    price: Tier = Field(description="The tier in which the run would ask.")
    usual_usd: TierCosts = Field(description="What the run usually costs in each tier.")
    worst_usd: TierCosts = Field(
        description="What it costs if every report takes all rounds and each call the most that a"
        " budget reserves for it. Requests that have to be repeated come on top."
    )
    usage: Usage = Field(description="Tokens that the run usually takes.")
    seconds: float = Field(description="Seconds that the run usually takes.")
    limited_by: str = Field(description="What decides about the seconds, in words.")
    budget_usd: Decimal | None = None
    undone: int | None = Field(
        default=None,
        description="Topics that the budget would leave undone at the usual cost; None: no budget.",
    )
    undone_at_worst: int | None = Field(
        default=None, description="Topics that it would leave undone at the highest cost."
    )
    steps: tuple[QuotedStep, ...] = ()
    unpriced: tuple[str, ...] = Field(
        default=(), description="Models without a known price; give it in the option `prices`."
    )
    warnings: tuple[str, ...] = ()

    @property
    def usual(self) -> Decimal | None:
        """The usual cost in the tier of the run; None: unknown."""
        return getattr(self.usual_usd, self.price)

    @property
    def worst(self) -> Decimal | None:
        """The highest cost in the tier of the run; None: unknown."""
        return getattr(self.worst_usd, self.price)
