"""What questions to come take and cost: learnt from stored answers, else estimated from lengths.

Here: single questions. Not here: their sum over a run (`llm.quotes`), which questions an item asks
(`reports.quoting`, `branches.quoting`), what the budget reserves while a run is under way
(`llm.usual`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from statistics import fmean

from prefect_llm_reports.tasks.contract.call_options import CallOptions
from prefect_llm_reports.tasks.contract.calls import Answer, Ask
from prefect_llm_reports.tasks.contract.records import Usage, canonical_json
from prefect_llm_reports.tasks.llm.endpoint import Endpoint
from prefect_llm_reports.tasks.llm.pricing import PriceList
from prefect_llm_reports.tasks.llm.requests import input_bound
from prefect_llm_reports.tasks.llm.usual import USUAL_OUTPUT_TOKENS

TIERS: tuple[str, ...] = ("standard", "flex", "batch")

CHARS_A_TOKEN = 4
TOKENS_A_WORD = 1.4
LONGER_THAN_MEAN = 1.5
"""How much longer than the mean the longest answers of a step are; the budget goes by these."""
FIRST_TOKEN_S, TOKENS_A_SECOND = 1.0, 60.0
"""How quick a model usually is, while nothing is recorded."""

Costs = Mapping[str, Decimal | None]
"""US dollars by tier; None: unknown."""


@dataclass(frozen=True)
class Mean:
    """What one question of a kind takes, as the mean of stored answers.

    Attributes:
        records: The number of answers; 0: it is estimated from lengths.
        usd: What they cost; None: unknown of one of them.
    """

    records: int
    input_tokens: float
    output_tokens: float
    cached_tokens: float
    written_tokens: float
    chars: float
    seconds: float
    usd: Decimal | None = None

    @classmethod
    def of(cls, answers: Sequence[Answer]) -> Mean:
        """The mean of answers that all have their usage and their question."""
        usages = [answer.usage for answer in answers if answer.usage]
        asked = [answer.asked for answer in answers if answer.asked]
        costs = [answer.cost_usd for answer in answers]
        known = [usd for usd in costs if usd is not None]
        return cls(
            records=len(answers),
            input_tokens=fmean(usage.input_tokens for usage in usages),
            output_tokens=fmean(usage.output_tokens for usage in usages),
            cached_tokens=fmean(usage.cached_input_tokens for usage in usages),
            written_tokens=fmean(usage.cache_write_tokens for usage in usages),
            chars=fmean(one.chars for one in asked),
            seconds=fmean(one.seconds for one in asked),
            usd=sum(known, Decimal(0)) / len(known) if len(known) == len(costs) else None,
        )

    def longer_by(self, chars: float) -> Mean:
        """The mean of questions whose prompts are longer by so many characters, or shorter."""
        if not self.chars:
            return self
        share = max(0.1, 1 + chars / self.chars)
        return replace(self, input_tokens=self.input_tokens * share, chars=self.chars * share)

    @property
    def usage(self) -> Usage:
        """The tokens, in whole numbers."""
        sent = round(self.input_tokens)
        cached = min(sent, round(self.cached_tokens))
        return Usage(
            input_tokens=sent,
            output_tokens=round(self.output_tokens),
            cached_input_tokens=cached,
            cache_write_tokens=min(sent - cached, round(self.written_tokens)),
        )


def step_of(name: str) -> str:
    """The step without the number of its turn: `judge 2` is `judge`."""
    return name.partition(" ")[0]


class Experience:
    """What stored answers took, by kind of question, and by step.

    Args:
        answers: Some of the store's newest answers.
    """

    def __init__(self, answers: Iterable[Answer]) -> None:
        self.answers = [answer for answer in answers if answer.asked]
        kinds: dict[tuple[str, str], list[Answer]] = defaultdict(list)
        steps: dict[tuple[str, str], list[Answer]] = defaultdict(list)
        for answer in self.answers:
            if answer.asked and answer.usage:
                kinds[answer.asked.kind, answer.asked.model].append(answer)
                steps[step_of(answer.asked.step), answer.asked.model].append(answer)
        self._kinds = {key: Mean.of(found) for key, found in kinds.items()}
        self._steps = {key: Mean.of(found) for key, found in steps.items()}

    def mean(self, ask: Ask, model: str) -> Mean | None:
        """What questions of the same kind took, else those of the same step; None: no records."""
        return self._kinds.get((ask.kind, model)) or self._steps.get((step_of(ask.step), model))


@dataclass(frozen=True, eq=False)
class Expected:
    """A question to come.

    Attributes:
        ask: The question with texts of the usual length.
        output_tokens: The usual length of its answer, where nothing is recorded.
        at_most: Tokens that its prompt can have.
        endpoint: Name of the saved endpoint that is asked; None: the run's.
        longer: Characters by which its prompt is longer than those of the recorded answers.
    """

    ask: Ask
    output_tokens: float
    at_most: int
    endpoint: str | None = None
    longer: float = 0.0


@dataclass(frozen=True)
class Cost:
    """What one question takes, and its costs by tier: as a rule, and at worst."""

    step: str
    model: str
    mean: Mean
    usual: Costs
    worst: Costs


class Estimator:
    """Estimates what questions take and cost.

    Args:
        options: The options of the run.
        endpoints: Where it asks, in order, by name of a saved endpoint; None: the run's.
        experience: What earlier answers took.
    """

    def __init__(
        self,
        options: CallOptions,
        endpoints: Mapping[str | None, Sequence[Endpoint]],
        experience: Experience,
    ) -> None:
        self.options = options
        self.experience = experience
        self._places = {
            name: [
                (place, PriceList(place.base_url, {**place.prices, **options.prices}))
                for place in places
            ]
            for name, places in endpoints.items()
        }
        self._costs: dict[int, tuple[Expected, Cost]] = {}
        first = endpoints[None][0]
        self.rpm = options.requests_per_minute or first.requests_per_minute
        self.tpm = options.tokens_per_minute or first.tokens_per_minute
        self.unpriced: set[str] = set()

    def cost(self, expected: Expected) -> Cost:
        """What a question takes and costs."""
        known = self._costs.get(id(expected))
        if known is None:
            known = self._costs[id(expected)] = (expected, self._cost(expected))
        return known[1]

    def held(self, ask: Ask, endpoint: str | None = None) -> Decimal | None:
        """What a budget holds at least for a question before it is put; None: unknown.

        Args:
            ask: The question.
            endpoint: Name of the saved endpoint that is asked; None: the run's.
        """
        places = self._places[endpoint]
        mean = self.experience.mean(ask, places[0][0].model or ask.model)
        longest = LONGER_THAN_MEAN * mean.output_tokens if mean else USUAL_OUTPUT_TOKENS / 2
        output, sent = min(ask.max_output_tokens, int(longest)), input_bound(ask, ())
        return _highest(
            [prices.worst(place.model or ask.model, sent, output) for place, prices in places]
        )

    def _cost(self, expected: Expected) -> Cost:
        ask, places = expected.ask, self._places[expected.endpoint]
        first, prices = places[0]
        model = first.model or ask.model
        mean = self.experience.mean(ask, model)
        mean = mean.longer_by(expected.longer) if mean else _guessed(expected)
        usual = {tier: prices.priced(model, mean.usage, tier) for tier in TIERS}
        if usual["standard"] is None:
            self.unpriced.add(model)
            usual[self.options.price] = mean.usd  # as the endpoint itself has named it
        sent, limit = expected.at_most, ask.max_output_tokens
        worst: dict[str, Decimal | None] = {}
        for tier in TIERS:
            worst[tier] = _highest(
                [_worst(p, place.model or ask.model, sent, limit, tier) for place, p in places]
            )
        if self.options.when_late == "standard":
            worst["flex"] = _highest([worst["flex"], worst["standard"]])
        return Cost(step_of(ask.step), model, mean, usual, worst)


def _guessed(expected: Expected) -> Mean:
    """What a question takes by the lengths of its prompt and of the answer that it wants."""
    ask, output = expected.ask, float(expected.output_tokens)
    schema = len(canonical_json(ask.output_schema)) if ask.output_schema else 0
    return Mean(
        records=0,
        input_tokens=(ask.chars + schema) / CHARS_A_TOKEN,
        output_tokens=min(output, ask.max_output_tokens),
        cached_tokens=0,
        written_tokens=0,
        chars=ask.chars,
        seconds=FIRST_TOKEN_S + output / TOKENS_A_SECOND,
    )


def _worst(prices: PriceList, model: str, sent: int, limit: int, tier: str) -> Decimal | None:
    """The most that a call can cost in a tier; writing the input to a cache may cost more."""
    plain = Usage(input_tokens=sent, output_tokens=limit)
    written = plain.model_copy(update={"cache_write_tokens": sent})
    return _highest([prices.priced(model, usage, tier) for usage in (plain, written)])


def _highest(costs: Sequence[Decimal | None]) -> Decimal | None:
    known = [usd for usd in costs if usd is not None]
    return max(known) if len(known) == len(costs) else None
