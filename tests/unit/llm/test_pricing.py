"""What tokens cost: known exactly, or said to be unknown."""

from __future__ import annotations

from decimal import Decimal

import pytest

from prefect_llm_reports.tasks.contract.records import Price, Usage
from prefect_llm_reports.tasks.llm.pricing import PriceList

OPENAI = "https://api.openai.com/v1"
LOCAL = "http://127.0.0.1:8000/v1"
MILLION = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
OWN = {"gpt-5-mini": Price(input=Decimal(1), output=Decimal(3), cached_input=Decimal("0.5"))}


def test_a_listed_model_costs_what_the_list_says() -> None:
    """gpt-5-mini at OpenAI costs 0.25 USD a million tokens in and 2.00 out, also by snapshot."""
    prices = PriceList(OPENAI, {})
    assert prices.cost("gpt-5-mini", MILLION) == Decimal("2.25")
    assert prices.cost("gpt-5-mini-2025-08-07", MILLION) == Decimal("2.25")
    assert prices.worst("gpt-5-mini", 1_000_000, 0) == Decimal("0.25")
    assert prices.worst("gpt-5-mini", 0, 1_000_000) == Decimal("2.00")


def test_listed_cached_tokens_cost_less() -> None:
    """Cached input tokens are priced as such."""
    usage = Usage(input_tokens=1_000_000, cached_input_tokens=1_000_000)
    assert PriceList(OPENAI, {}).cost("gpt-5-mini", usage) == Decimal("0.025")


@pytest.mark.parametrize("endpoint", [OPENAI, LOCAL])
@pytest.mark.parametrize("model", ["gpt-5-mini", "gpt-5-mini-2025-08-07", "gpt-5-mini-20250807"])
def test_own_prices_go_before_the_list(endpoint: str, model: str) -> None:
    """Prices given by hand hold everywhere, also when the response names a dated snapshot."""
    assert PriceList(endpoint, OWN).cost(model, MILLION, tier="priority") == 4


def test_own_prices_count_cached_tokens() -> None:
    """Cached tokens cost their own price, or that of other input when none is given."""
    usage = Usage(input_tokens=1_000_000, output_tokens=0, cached_input_tokens=400_000)
    assert PriceList(LOCAL, OWN).cost("gpt-5-mini", usage) == Decimal("0.8")
    plain = {"m": Price(input=Decimal(2), output=Decimal(0))}
    assert PriceList(LOCAL, plain).cost("m", usage) == 2


@pytest.mark.parametrize(
    ("endpoint", "model"),
    [(OPENAI, "no-such-model"), (LOCAL, "gpt-5-mini"), ("http://[::1]:1/v1", "gpt-5-mini")],
)
def test_an_unknown_price_is_none(endpoint: str, model: str) -> None:
    """A model that is not listed, or not at this address, has an unknown price and never 0."""
    prices = PriceList(endpoint, {})
    assert prices.cost(model, MILLION) is None
    assert prices.worst(model, 1, 1) is None


@pytest.mark.parametrize("tier", ["flex", "priority", "batch", ""])
def test_another_tier_has_an_unknown_price(tier: str) -> None:
    """Listed prices are those of the standard tier; any other is unknown."""
    assert PriceList(OPENAI, {}).cost("gpt-5-mini", MILLION, tier) is None
    assert PriceList(OPENAI, {}).cost("gpt-5-mini", MILLION, "default") == Decimal("2.25")


def test_the_offline_engine_is_free() -> None:
    """The embedded engine costs nothing."""
    assert PriceList("http://offline.invalid/v1", {}).cost("offline", MILLION) == 0
