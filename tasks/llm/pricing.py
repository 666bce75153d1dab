"""Tokens to US dollars: the caller's own prices first, then the list of `genai-prices`.

A model that is in neither has an unknown price: None, never 0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache

from prefect_llm_reports.tasks.contract.records import OFFLINE, Price, Usage

MILLION = Decimal(1_000_000)
_DATED = re.compile(r"-\d{4}-?\d{2}-?\d{2}$")
"""Endpoints answer with the name of a snapshot: `gpt-5-mini-2025-08-07` for `gpt-5-mini`."""

STANDARD_TIERS = (None, "auto", "default", "standard", "on_demand")


class PriceList:
    """Prices at one endpoint.

    Args:
        endpoint: The endpoint's address; listed prices are used for the provider it belongs to.
        own: Prices by model name; they take precedence over the list.
    """

    def __init__(self, endpoint: str, own: Mapping[str, Price]) -> None:
        self.endpoint = endpoint
        self.own = own

    def cost(self, model: str, usage: Usage, tier: str | None = None) -> Decimal | None:
        """US dollars for these tokens; None when the price is unknown.

        Args:
            model: The model as the response names it.
            usage: Tokens as the endpoint counted them.
            tier: The service tier the response names; only standard tiers have a known price.
        """
        if model == OFFLINE:
            return Decimal(0)
        if price := self.own.get(model) or self.own.get(_DATED.sub("", model)):
            cached = price.input if price.cached_input is None else price.cached_input
            fresh = usage.input_tokens - usage.cached_input_tokens
            return (
                fresh * price.input
                + usage.cached_input_tokens * cached
                + usage.output_tokens * price.output
            ) / MILLION
        if tier not in STANDARD_TIERS:
            return None
        counts = (usage.input_tokens, usage.cached_input_tokens, usage.output_tokens)
        return _listed(self.endpoint, model, *counts)

    def worst(self, model: str, input_tokens: int, output_tokens: int) -> Decimal | None:
        """The most a call with these token counts can cost; None when the price is unknown."""
        return self.cost(model, Usage(input_tokens=input_tokens, output_tokens=output_tokens))


@lru_cache(maxsize=4096)
def _listed(
    endpoint: str, model: str, input_tokens: int, cached_tokens: int, output_tokens: int
) -> Decimal | None:
    import genai_prices  # large data: only when a real endpoint is used

    try:
        calculated = genai_prices.calc_price(
            genai_prices.Usage(
                input_tokens=input_tokens,
                cache_read_tokens=cached_tokens,
                output_tokens=output_tokens,
            ),
            model,
            provider_api_url=endpoint,
        )
    except (LookupError, ValueError):
        return None
    return calculated.total_price
