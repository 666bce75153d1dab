"""Tokens to US dollars: the caller's own prices first, then the list of `genai-prices`.

A model that is in neither has an unknown price: None, never 0. Not here: costs that an endpoint
names itself (`llm.usage`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal, cast

from prefect_llm_reports.tasks.contract.records import OFFLINE, Price, Usage

MILLION = Decimal(1_000_000)
_DATED = re.compile(r"-\d{4}-?\d{2}-?\d{2}$")
"""Endpoints answer with the name of a snapshot: `gpt-5-mini-2025-08-07` for `gpt-5-mini`."""

STANDARD_TIERS = (None, "", "auto", "default", "standard", "on_demand")

_PROVIDERS = {
    "openai": "openai",
    "azure": "azure",
    "azure_ai": "azure",
    "anthropic": "anthropic",
    "gemini": "google",
    "vertex_ai": "google",
    "mistral": "mistral",
    "deepseek": "deepseek",
    "groq": "groq",
    "xai": "x-ai",
    "x-ai": "x-ai",
    "openrouter": "openrouter",
}
"""Providers that gateways name before a model: `azure/gpt-5-mini`.

Owners of open weights are not among them: a model on one's own machine has no listed price.
"""
_OPEN_WEIGHTS = re.compile(r"gpt-oss|gemma", re.I)

logger = logging.getLogger(__name__)


class PriceList:
    """Prices at one endpoint.

    Args:
        endpoint: The endpoint's address; listed prices are used for the provider it belongs to.
        own: Prices by model name; they take precedence over the list.
    """

    def __init__(self, endpoint: str, own: Mapping[str, Price]) -> None:
        self.endpoint = endpoint
        self.own = own
        self._said = set[tuple[str, str]]()
        self._tiers: set[str | None] = {None}

    def cost(self, model: str, usage: Usage, tier: str | None = None) -> Decimal | None:
        """US dollars for these tokens; None when the price is unknown.

        Args:
            model: The model as the response names it.
            usage: Tokens as the endpoint counted them.
            tier: The service tier the response names. One without a price of its own costs the
                standard price; the log says so once.
        """
        tier = _tier(tier)
        self._tiers.add(tier)
        usd, known = self._cost(model, usage, tier)
        if usd is not None and not known and (model, tier or "") not in self._said:
            self._said.add((model, tier or ""))
            logger.warning(
                "the price of %s in the tier %r is unknown; its tokens are booked at the standard"
                " price: give the tier's price in the option `prices`",
                model,
                tier,
            )
        return usd

    def worst(self, model: str, input_tokens: int, output_tokens: int) -> Decimal | None:
        """The most a call with these token counts can cost; None when the price is unknown.

        Writing the whole input to a cache may cost more than sending it, and so may every tier
        that responses have named.
        """
        plain = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
        written = plain.model_copy(update={"cache_write_tokens": input_tokens})
        costs = [self._cost(model, u, tier)[0] for u in (plain, written) for tier in self._tiers]
        return max((usd for usd in costs if usd is not None), default=None)

    def priced(self, model: str, usage: Usage, tier: str) -> Decimal | None:
        """US dollars for these tokens at a tier's own price; None: the model has none there."""
        usd, known = self._cost(model, usage, _tier(tier))
        return usd if known else None

    def cheaper(self, model: str, tier: str) -> bool:
        """Whether the tier has a price here that is lower than the standard price."""
        usage = Usage(input_tokens=1_000, output_tokens=1_000)
        usd, known = self._cost(model, usage, _tier(tier))
        standard = self._cost(model, usage, None)[0]
        return known and usd is not None and standard is not None and usd < standard

    def _cost(self, model: str, usage: Usage, tier: str | None) -> tuple[Decimal | None, bool]:
        """US dollars, and whether they are the tier's own price."""
        if model == OFFLINE:
            return Decimal(0), True
        for name in _names(model):
            if price := self.own.get(name):
                return _own(price, usage, tier)
        counts = (
            usage.input_tokens,
            usage.cached_input_tokens,
            usage.cache_write_tokens,
            usage.output_tokens,
        )
        return _listed(self.endpoint, model, counts, tier)


def _tier(said: object) -> str | None:
    """A tier as a response names it; None: standard."""
    name = said.strip().lower() if isinstance(said, str) else None
    return None if name in STANDARD_TIERS else name


def _names(model: str) -> Iterator[str]:
    """Names under which a model may be known: as it is, without provider, without date."""
    parts = model.split("/")
    for start in range(len(parts)):
        name = "/".join(parts[start:])
        yield name
        if (undated := _DATED.sub("", name)) != name:
            yield undated


def _own(price: Price, usage: Usage, tier: str | None) -> tuple[Decimal, bool]:
    named = price.tiers.get(cast("Literal['flex']", tier)) if tier else price
    rates = named or price
    cached = rates.input if rates.cached_input is None else rates.cached_input
    write = rates.input if rates.cache_write is None else rates.cache_write
    fresh = usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens
    usd = (
        fresh * rates.input
        + usage.cached_input_tokens * cached
        + usage.cache_write_tokens * write
        + usage.output_tokens * rates.output
    ) / MILLION
    return usd, named is not None


@lru_cache(maxsize=4096)
def _listed(
    endpoint: str, model: str, counts: tuple[int, int, int, int], tier: str | None
) -> tuple[Decimal | None, bool]:
    """The listed price at the endpoint, or at the provider that the model's name begins with."""
    for name in _names(model):
        found = _calculated(name, counts, tier, endpoint=endpoint)
        if found[0] is not None:
            return found
    prefix, _, rest = model.partition("/")
    if rest and prefix in _PROVIDERS and not _OPEN_WEIGHTS.search(rest):
        for name in _names(rest):
            found = _calculated(name, counts, tier, provider=_PROVIDERS[prefix])
            if found[0] is not None:
                return found
    return None, False


def _calculated(
    model: str,
    counts: tuple[int, int, int, int],
    tier: str | None,
    *,
    endpoint: str | None = None,
    provider: str | None = None,
) -> tuple[Decimal | None, bool]:
    import genai_prices as prices  # large data: only when a real endpoint is used

    genai_prices: Any = prices  # its overloads exclude each other's arguments

    context = {"processing": "batch"} if tier == "batch" else {"service_tier": tier or ""}
    sent, cached, written, output = counts
    usage = genai_prices.Usage(
        input_tokens=sent,
        cache_read_tokens=cached,
        cache_write_tokens=written,
        output_tokens=output,
    )
    try:
        found = genai_prices.calc_price(
            usage,
            model,
            provider_id=provider,
            provider_api_url=endpoint,
            price_context=context if tier else None,
        )
    except (LookupError, ValueError):
        return None, False
    variants = found.model.price_variants or ()
    own = any(all(context.get(k) == v for k, v in variant.when.items()) for variant in variants)
    return found.total_price, tier is None or own
