"""The sum of what all items of a run take: outlooks of items become a quote.

Here: sums. Not here: what one question takes (`llm.estimates`), which questions an item asks
(`reports.quoting`, `branches.quoting`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from prefect_llm_reports.tasks.contract.quotes import (
    Quote,
    QuotedCalls,
    QuotedStep,
    QuotedTopics,
    TierCosts,
)
from prefect_llm_reports.tasks.contract.records import Usage
from prefect_llm_reports.tasks.llm.estimates import TIERS, Costs, Estimator, Expected, Mean
from prefect_llm_reports.tasks.text.quotes import counted


@dataclass(frozen=True)
class Part:
    """A question of an item: how often it is asked as a rule, and at most."""

    expected: Expected
    usual: float
    most: int = 1


def _nothing() -> Costs:
    return {tier: Decimal(0) for tier in TIERS}


@dataclass
class Outlook:
    """What one item still takes.

    Attributes:
        chain_s: Seconds that it takes at least, since some questions wait for others.
        held: US dollars that a budget must have left before it is begun; None: unknown.
    """

    made: float = 0.0
    most: int = 0
    input_tokens: float = 0.0
    output_tokens: float = 0.0
    cached_tokens: float = 0.0
    seconds: float = 0.0
    chain_s: float = 0.0
    held: Decimal | None = Decimal(0)
    usual: Costs = field(default_factory=_nothing)
    worst: Costs = field(default_factory=_nothing)
    steps: dict[tuple[str, str, str], tuple[float, Mean]] = field(
        default_factory=dict[tuple[str, str, str], tuple[float, Mean]]
    )


def outlook_of(
    estimator: Estimator, stages: Iterable[Sequence[Part]], held: Decimal | None
) -> Outlook:
    """What an item takes.

    Args:
        estimator: Estimates each of its questions.
        stages: Its questions: those of one stage are asked at the same time, and the next
            stage waits for them.
        held: What a budget must have left before it is begun.
    """
    found = Outlook(held=held)
    for stage in stages:
        longest = 0.0
        for part in stage:
            cost = estimator.cost(part.expected)
            mean, times = cost.mean, part.usual
            found.made += times
            found.most += part.most
            found.input_tokens += times * mean.input_tokens
            found.output_tokens += times * mean.output_tokens
            found.cached_tokens += times * mean.cached_tokens
            found.seconds += times * mean.seconds
            longest = max(longest, times * mean.seconds)
            found.usual = _added(found.usual, cost.usual, Decimal(str(round(times, 9))))
            found.worst = _added(found.worst, cost.worst, Decimal(part.most))
            key = (cost.step, cost.model, part.expected.ask.kind)
            before = found.steps.get(key, (0.0, mean))[0]
            found.steps[key] = (before + times, mean)
        found.chain_s += longest
    return found


def quote_of(
    outlooks: Sequence[Outlook],
    estimator: Estimator,
    topics: QuotedTopics,
    cached: int,
    *,
    items: Literal["topics", "inputs"] = "topics",
    warnings: Sequence[str] = (),
) -> Quote:
    """Sum what all items of a run take.

    Args:
        outlooks: What each item still takes, in the order in which they are begun.
        estimator: Has estimated it.
        topics: Items by what the store has of them.
        cached: Answers that are read from the store.
        items: The word for the items.
        warnings: What a person should know.
    """
    shared: dict[int, tuple[Outlook, int]] = {}
    for outlook in outlooks:
        shared[id(outlook)] = (outlook, shared.get(id(outlook), (outlook, 0))[1] + 1)
    usual, worst = _sum(shared, "usual"), _sum(shared, "worst")
    options = estimator.options

    def total(figure: Callable[[Outlook], float]) -> float:
        return sum(figure(outlook) * count for outlook, count in shared.values())

    tokens = total(lambda one: one.input_tokens), total(lambda one: one.output_tokens)
    made = total(lambda one: one.made)
    chain = max((outlook.chain_s for outlook in outlooks), default=0.0)
    seconds = {
        counted(options.concurrency, "calls at once"): total(lambda one: one.seconds)
        / options.concurrency,
        "calls that wait for each other": chain,
        counted(estimator.rpm or 0, "requests a minute"): (
            60 * made / estimator.rpm if estimator.rpm else 0.0
        ),
        counted(estimator.tpm or 0, "tokens a minute"): (
            60 * sum(tokens) / estimator.tpm if estimator.tpm else 0.0
        ),
    }
    slowest = max(seconds, key=lambda name: seconds[name])
    budget, tier = options.budget_usd, options.price
    return Quote(
        items=items,
        topics=topics,
        calls=QuotedCalls(
            made=round(made), made_at_most=round(total(lambda one: one.most)), cached=cached
        ),
        price=tier,
        usual_usd=_tier_costs(usual),
        worst_usd=_tier_costs(worst),
        usage=Usage(
            input_tokens=round(tokens[0]),
            output_tokens=round(tokens[1]),
            cached_input_tokens=round(total(lambda one: one.cached_tokens)),
        ),
        seconds=round(seconds[slowest], 1),
        limited_by=slowest if made else "",
        budget_usd=budget,
        undone=_undone(budget, [(one.usual[tier], one.held) for one in outlooks]),
        undone_at_worst=_undone(budget, [(one.worst[tier], one.held) for one in outlooks]),
        steps=_steps(shared.values()),
        unpriced=tuple(sorted(estimator.unpriced)),
        warnings=tuple(warnings),
    )


def _added(total: Costs, more: Costs, times: Decimal) -> Costs:
    added: dict[str, Decimal | None] = {}
    for tier in TIERS:
        before, usd = total[tier], more[tier]
        added[tier] = None if before is None or usd is None else before + usd * times
    return added


def _sum(shared: Mapping[int, tuple[Outlook, int]], which: Literal["usual", "worst"]) -> Costs:
    total = _nothing()
    for outlook, count in shared.values():
        total = _added(total, getattr(outlook, which), Decimal(count))
    return total


def _tier_costs(costs: Costs) -> TierCosts:
    micro = Decimal("0.000001")
    return TierCosts(
        **{tier: None if usd is None else usd.quantize(micro) for tier, usd in costs.items()}
    )


def _undone(
    budget: Decimal | None, costs: Iterable[tuple[Decimal | None, Decimal | None]]
) -> int | None:
    """Items for which the budget does not suffice, begun in this order; None: unknown.

    Args:
        budget: US dollars; None: no limit.
        costs: What each item takes, and what must be left before it is begun.
    """
    if budget is None:
        return None
    left, undone = budget, 0
    for usd, held in costs:
        if usd is None or held is None:
            return None
        if max(usd, held) > left:
            undone += 1
        else:
            left -= usd
    return undone


def _steps(shared: Iterable[tuple[Outlook, int]]) -> tuple[QuotedStep, ...]:
    found: dict[tuple[str, str, str], tuple[float, Mean]] = {}
    for outlook, count in shared:
        for key, (times, mean) in outlook.steps.items():
            found[key] = (found.get(key, (0.0, mean))[0] + times * count, mean)
    return tuple(
        QuotedStep(
            step=step,
            model=model,
            calls=round(times, 1),
            input_tokens=math.ceil(mean.input_tokens),
            output_tokens=math.ceil(mean.output_tokens),
            seconds=round(mean.seconds, 3),
            records=mean.records,
        )
        for (step, model, _), (times, mean) in found.items()
    )
