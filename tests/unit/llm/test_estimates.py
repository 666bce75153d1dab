"""What questions to come take and cost: from records, else from lengths; by tier, and at worst."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from prefect_llm_reports.tasks.contract.call_options import CallOptions
from prefect_llm_reports.tasks.contract.calls import Answer, Ask, Asked, Message
from prefect_llm_reports.tasks.contract.quotes import QuotedTopics
from prefect_llm_reports.tasks.contract.records import Price, Usage
from prefect_llm_reports.tasks.llm.endpoint import Endpoint
from prefect_llm_reports.tasks.llm.estimates import Estimator, Expected, Experience
from prefect_llm_reports.tasks.llm.quotes import Outlook, Part, outlook_of, quote_of

ASK = Ask(
    step="draft",
    label="x / draft",
    item="x",
    endpoint="https://a/v1",
    model="m",
    messages=(
        Message(role="system", content="Write."),
        Message(role="user", content="x" * 394),
    ),
    max_output_tokens=1000,
)
PRICES = {
    "m": Price(
        **{"input": "1", "output": "10", "tiers": {"flex": {"input": "0.5", "output": "5"}}}  # type: ignore[arg-type]
    ),
    "n": Price(input=Decimal(2), output=Decimal(20)),
}


def answer(sent: int, output: int, *, seconds: float = 2.0, **changed: Any) -> Answer:
    """A stored answer that took these tokens."""
    ask = ASK.model_copy(update=changed.pop("ask", {}))
    asked = Asked(
        **{
            "step": ask.step,
            "kind": ask.kind,
            "model": ask.model,
            "item": ask.item,
            "chars": ask.chars,
            "seconds": seconds,
            **changed,
        }
    )
    usage = Usage(input_tokens=sent, output_tokens=output)
    return Answer(text="t", model="m", endpoint="e", usage=usage, asked=asked)


def estimator(*answers: Answer, **options: Any) -> Estimator:
    """An estimator with these records, at an endpoint with prices for m and n."""
    endpoints = {None: [Endpoint("https://a/v1", prices=PRICES)]}
    return Estimator(CallOptions(**options), endpoints, Experience(answers))


def expected(**changed: Any) -> Expected:
    """The question, with an answer of 100 tokens where nothing is recorded."""
    given = {"ask": ASK, "output_tokens": 100, "at_most": 2000, **changed}
    return Expected(**given)


OTHER = {"messages": (Message(role="system", content="Sing."),)}
RECORDS: dict[str, tuple[list[Answer], tuple[int, float, float]]] = {
    "none: from lengths": ([], (0, 100, 100)),
    "the mean of the same kind": ([answer(200, 40), answer(400, 60)], (2, 300, 50)),
    "the same kind before the same step": (
        [answer(200, 40), answer(900, 900, ask=OTHER)],
        (1, 200, 40),
    ),
    "the same step": ([answer(900, 700, kind="k")], (1, 900, 700)),
    "of a numbered turn": ([answer(900, 700, kind="k", step="draft 2")], (1, 900, 700)),
    "not another step": ([answer(900, 700, kind="k", step="critique")], (0, 100, 100)),
    "not another model": ([answer(900, 700, model="n")], (0, 100, 100)),
    "not one without usage": (
        [answer(900, 700).model_copy(update={"usage": None})],
        (0, 100, 100),
    ),
    "not one of an earlier version": (
        [answer(900, 700).model_copy(update={"asked": None})],
        (0, 100, 100),
    ),
}


@pytest.mark.parametrize(("answers", "wanted"), RECORDS.values(), ids=RECORDS)
def test_a_question_takes_what_earlier_ones_took(
    answers: list[Answer], wanted: tuple[int, float, float]
) -> None:
    """The records of the same kind count, else those of the same step and model, else lengths."""
    mean = estimator(*answers).cost(expected()).mean
    assert (mean.records, mean.input_tokens, mean.output_tokens) == wanted


def test_longer_prompts_send_more() -> None:
    """Prompts that are twice as long as the recorded ones send twice the tokens."""
    mean = estimator(answer(200, 40)).cost(expected(longer=float(ASK.chars))).mean
    assert (mean.input_tokens, mean.output_tokens) == (400, 40)


def test_each_tier_has_its_own_price_or_none() -> None:
    """Usual and worst cost by tier; a tier without a price of its own is unknown."""
    cost = estimator(answer(200, 40)).cost(expected())
    assert cost.usual == {
        "standard": Decimal("0.0006"),
        "flex": Decimal("0.0003"),
        "batch": None,
    }
    assert cost.worst["standard"] == Decimal("0.012")
    assert cost.worst["flex"] == Decimal("0.006")
    late = estimator(price="flex", when_late="standard").cost(expected())
    assert late.worst["flex"] == late.worst["standard"]


def test_a_cost_that_only_the_endpoint_names_is_used() -> None:
    """A model without a price costs what its endpoint has named; its worst cost is unknown."""
    named = answer(200, 40, model="house", ask={"model": "house"})
    named = named.model_copy(update={"cost_usd": Decimal("0.5")})
    estimates = estimator(named)
    cost = estimates.cost(expected(ask=ASK.model_copy(update={"model": "house"})))
    assert (cost.usual["standard"], cost.worst["standard"]) == (Decimal("0.5"), None)
    assert estimates.unpriced == {"house"}


def test_stages_wait_for_each_other() -> None:
    """Questions of one stage are asked at once; the longest of each adds up."""
    estimates = estimator(answer(100, 10, seconds=3.0))
    part = Part(expected(), 1)
    outlook = outlook_of(estimates, [[part, part], [Part(expected(), 0.5)]], Decimal(0))
    assert (outlook.made, outlook.most) == (2.5, 3)
    assert (outlook.seconds, outlook.chain_s) == (7.5, 4.5)


BUDGETS: dict[str, tuple[str, list[str], str, int]] = {
    "enough": ("3", ["1", "1", "1"], "0", 0),
    "too little for the last": ("2.5", ["1", "1", "1"], "0", 1),
    "for the cheap ones": ("1", ["5", "0.5", "0.5"], "0", 1),
    "what is held back counts": ("3", ["1", "1", "1"], "2", 1),
    "less than is held back": ("1", ["0.1", "0.1"], "2", 2),
    "none": ("0", ["1", "0"], "0", 1),
}


@pytest.mark.parametrize(("budget", "costs", "held", "undone"), BUDGETS.values(), ids=BUDGETS)
def test_a_budget_leaves_undone(budget: str, costs: list[str], held: str, undone: int) -> None:
    """Items are begun in their order while the budget has left what each needs."""
    outlooks = [
        Outlook(
            made=1,
            usual={"standard": Decimal(usd), "flex": None, "batch": None},
            worst={"standard": None, "flex": None, "batch": None},
            held=Decimal(held),
        )
        for usd in costs
    ]
    topics = QuotedTopics(new=len(costs))
    quote = quote_of(outlooks, estimator(budget_usd=budget), topics, 0)
    assert (quote.undone, quote.undone_at_worst) == (undone, None)
    assert quote.usual_usd.flex is None
