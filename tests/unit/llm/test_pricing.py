"""What tokens cost: known exactly, or said to be unknown."""

from __future__ import annotations

from decimal import Decimal

import genai_prices
import pytest

from prefect_llm_reports.tasks.contract.records import Price, Rates, Usage
from prefect_llm_reports.tasks.llm.pricing import PriceList

OPENAI = "https://api.openai.com/v1"
ANTHROPIC = "https://api.anthropic.com/v1"
AZURE = "https://x.openai.azure.com/openai/v1"
GOOGLE = "https://generativelanguage.googleapis.com/v1beta/openai/"
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


@pytest.mark.parametrize("tier", ["", None, "default", "standard", "auto", "Standard"])
def test_standard_tiers_cost_the_standard_price(tier: str | None) -> None:
    """Whatever an endpoint calls its standard tier, it costs the standard price."""
    assert PriceList(OPENAI, {}).cost("gpt-5-mini", MILLION, tier) == Decimal("2.25")


@pytest.mark.parametrize("model", ["gpt-5-mini", "gpt-5.6", "gpt-4.1", "o3"])
@pytest.mark.parametrize(
    ("tier", "context"),
    [
        (None, None),
        ("flex", {"service_tier": "flex"}),
        ("priority", {"service_tier": "priority"}),
        ("batch", {"processing": "batch"}),
    ],
)
@pytest.mark.parametrize(
    "usage",
    [
        Usage(input_tokens=13_559, output_tokens=6_170),
        Usage(input_tokens=13_559, output_tokens=6_170, cached_input_tokens=4_096),
        Usage(input_tokens=13_559, output_tokens=6_170, cache_write_tokens=9_000),
        Usage(
            input_tokens=300_000,
            output_tokens=6_170,
            cached_input_tokens=4_096,
            cache_write_tokens=9_000,
        ),
        Usage(),
    ],
)
def test_each_tier_costs_what_the_list_says_to_the_digit(
    model: str, tier: str | None, context: dict[str, str] | None, usage: Usage
) -> None:
    """Input, cached input, cache writes and output of each tier cost what genai-prices says."""
    listed = genai_prices.calc_price(
        genai_prices.Usage(
            input_tokens=usage.input_tokens,
            cache_read_tokens=usage.cached_input_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            output_tokens=usage.output_tokens,
        ),
        model,
        provider_api_url=OPENAI,
        price_context=context,
    )
    assert PriceList(OPENAI, {}).cost(model, usage, tier) == listed.total_price


def test_a_tier_without_a_price_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """A tier that the list does not know costs the standard price, and the log says so once."""
    prices = PriceList(OPENAI, {})
    costs = [prices.cost("gpt-4.1", MILLION, "flex") for _ in range(3)]
    assert costs == [prices.cost("gpt-4.1", MILLION)] * 3
    assert [record.getMessage().split(";")[0] for record in caplog.records] == [
        "the price of gpt-4.1 in the tier 'flex' is unknown"
    ]
    assert (prices.cheaper("gpt-4.1", "flex"), prices.cheaper("gpt-5-mini", "flex")) == (
        False,
        True,
    )
    assert not prices.cheaper("gpt-5-mini", "priority")


def test_own_prices_name_tiers_and_cache_writes() -> None:
    """Own prices may name half prices, and what writing to a cache costs, for each tier."""
    half = Rates(input=Decimal(1), output=Decimal(2), cache_write=Decimal("1.25"))
    own = {"m": Price(input=Decimal(2), output=Decimal(4), tiers={"flex": half})}
    prices = PriceList(LOCAL, own)
    usage = Usage(input_tokens=1_000_000, output_tokens=1_000_000, cache_write_tokens=1_000_000)
    assert (prices.cost("m", usage), prices.cost("m", usage, "flex")) == (6, Decimal("3.25"))
    assert prices.cheaper("m", "flex")
    assert not prices.cheaper("m", "batch")
    assert prices.worst("m", 1_000_000, 0) == 2


def test_the_worst_case_counts_cache_writes() -> None:
    """Where writing to a cache costs more than input, the worst case is that all is written."""
    written = Usage(input_tokens=1_000, cache_write_tokens=1_000)
    prices = PriceList(OPENAI, {})
    assert prices.worst("gpt-5.6", 1_000, 0) == prices.cost("gpt-5.6", written)


@pytest.mark.parametrize(
    ("endpoint", "model", "same"),
    [
        (OPENAI, "openai/gpt-5-mini", (OPENAI, "gpt-5-mini")),
        (LOCAL, "openai/gpt-5-mini", (OPENAI, "gpt-5-mini")),
        (LOCAL, "openai/gpt-5-mini-2025-08-07", (OPENAI, "gpt-5-mini")),
        (LOCAL, "azure/gpt-5-mini", (AZURE, "gpt-5-mini")),
        (LOCAL, "azure/eu/gpt-5-mini", (AZURE, "gpt-5-mini")),
        (LOCAL, "anthropic/claude-sonnet-4-5", (ANTHROPIC, "claude-sonnet-4-5")),
        (GOOGLE, "models/gemini-2.5-flash", (GOOGLE, "gemini-2.5-flash")),
        (LOCAL, "gemini/gemini-2.5-flash", (GOOGLE, "gemini-2.5-flash")),
        (OPENAI, "gpt-5-mini-20290101", (OPENAI, "gpt-5-mini")),
    ],
)
def test_names_of_gateways_and_snapshots_are_priced(
    endpoint: str, model: str, same: tuple[str, str]
) -> None:
    """A provider before a model's name, or a date after it, does not hide its price."""
    expected = PriceList(same[0], {}).cost(same[1], MILLION)
    assert expected
    assert PriceList(endpoint, {}).cost(model, MILLION) == expected


@pytest.mark.parametrize("model", ["openai/gpt-oss-20b", "google/gemma-3-27b", "my/own"])
def test_open_weights_on_ones_own_machine_have_no_listed_price(model: str) -> None:
    """A model that runs on one's own machine is not priced by its maker's list."""
    assert PriceList(LOCAL, {}).cost(model, MILLION) is None


def test_the_offline_engine_is_free() -> None:
    """The embedded engine costs nothing."""
    assert PriceList("http://offline.invalid/v1", {}).cost("offline", MILLION) == 0


def test_the_worst_case_counts_tiers_that_were_seen() -> None:
    """After a response of a dearer tier, later calls are reserved at its price."""
    prices = PriceList(OPENAI, {})
    before = prices.worst("gpt-5-mini", 1_000_000, 1_000_000)
    prices.cost("gpt-5-mini", MILLION, "priority")
    assert (before, prices.worst("gpt-5-mini", 1_000_000, 1_000_000)) == (
        Decimal("2.25"),
        Decimal("4.05"),
    )
