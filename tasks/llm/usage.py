"""Tokens and costs that a response names, read without trust.

Not here: what tokens cost (`llm.pricing`).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, TypeGuard

from prefect_llm_reports.tasks.contract.records import Usage
from prefect_llm_reports.tasks.llm.response import as_object

COST_HEADERS = ("x-litellm-response-cost", "x-response-cost", "x-request-cost", "x-cost-usd")
"""Headers in which gateways name the cost of a request in US dollars."""

COST_FIELDS = ("cost", "total_cost", "cost_usd", "estimated_cost")
"""Fields of `usage` that hold a cost in US dollars, or an object with one of these fields."""

TICKS_A_USD = 10**10
"""xAI counts costs in ticks: `cost_in_usd_ticks`."""


def usage_of(body: Any) -> Usage | None:
    """Tokens named in a response body, also of a failed request; None when it names none.

    Counts are believed only as whole numbers that are not negative. Tokens that the total holds
    beyond the parts are output: some endpoints count reasoning only there.
    """
    usage = as_object(as_object(body).get("usage"))
    sent = _count(usage, "prompt_tokens", "input_tokens")
    total = _count(usage, "total_tokens")
    output = _count(usage, "completion_tokens", "output_tokens")
    if sent is not None and output is None and total is not None and total >= sent:
        output = total - sent
    if sent is None or output is None:
        return None
    output = max(output, _reasoning_beside(usage, output))
    cached, written = _cached(usage), _cache_written(usage)
    if _is_beside(usage, cached + written, sent, None if total is None else total - sent - output):
        sent += cached + written
    if cached > sent:
        cached = 0
    if written > sent - cached:
        written = 0
    return Usage(
        input_tokens=sent,
        output_tokens=output if total is None else max(output, total - sent),
        cached_input_tokens=cached,
        cache_write_tokens=written,
    )


def cost_said(headers: Mapping[str, str], body: Any) -> Decimal | None:
    """US dollars that the endpoint itself names for a request; None: it names none."""
    for name in COST_HEADERS:
        if (usd := _usd(headers.get(name))) is not None:
            return usd
    usage = as_object(as_object(body).get("usage"))
    cost = _cost_field(usage)
    if usage.get("is_byok") is True:  # OpenRouter's `cost` is then only its own fee
        upstream = _usd(as_object(usage.get("cost_details")).get("upstream_inference_cost"))
        return None if cost is None or upstream is None else cost + upstream
    ticks = usage.get("cost_in_usd_ticks")
    if cost is None and _is_count(ticks):
        return Decimal(ticks) / TICKS_A_USD
    return cost


def _cost_field(fields: Mapping[str, Any]) -> Decimal | None:
    for name in COST_FIELDS:
        value = fields.get(name)
        usd = _cost_field(as_object(value)) if isinstance(value, dict) else _usd(value)
        if usd is not None:
            return usd
    return None


def _usd(value: Any) -> Decimal | None:
    """An amount; None: it is none, or not one that a request can cost."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        usd = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return usd if usd.is_finite() and usd >= 0 else None


def _cached(usage: Mapping[str, Any]) -> int:
    """Input tokens read from a cache."""
    return (
        _detail(usage, "cached_tokens", "cache_read_tokens", "cache_read_input_tokens")
        or _count(usage, "cache_read_input_tokens", "prompt_cache_hit_tokens", "cached_tokens")
        or 0
    )


def _cache_written(usage: Mapping[str, Any]) -> int:
    """Input tokens written to a cache."""
    names = ("cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens")
    written = _detail(usage, *names) or _count(usage, *names, "cache_write_input_tokens")
    if written:
        return written
    by_age = as_object(usage.get("cache_creation"))
    return sum(tokens for tokens in by_age.values() if _is_count(tokens))


def _is_beside(usage: Mapping[str, Any], cache: int, sent: int, beyond: int | None) -> bool:
    """Whether cached tokens are not part of the input tokens, as Anthropic counts them.

    Args:
        usage: The usage as named.
        cache: Tokens read from and written to a cache.
        sent: Input tokens as named.
        beyond: What the total holds beyond input and output; None: no total.
    """
    if not any(
        name in usage for name in ("cache_read_input_tokens", "cache_creation_input_tokens")
    ):
        return False
    if "prompt_tokens" not in usage:
        return True
    return cache > sent or (cache > 0 and beyond == cache)


def _reasoning_beside(usage: Mapping[str, Any], output: int) -> int:
    """Output with reasoning that is counted beside it: a part cannot be more than the whole."""
    details = "completion_tokens_details", "output_tokens_details"
    reasoning = max((_count(as_object(usage.get(d)), "reasoning_tokens") or 0) for d in details)
    return output + reasoning if reasoning > output else output


def _detail(usage: Mapping[str, Any], *names: str) -> int | None:
    for details in ("prompt_tokens_details", "input_tokens_details"):
        if (found := _count(as_object(usage.get(details)), *names)) is not None:
            return found
    return None


def _count(fields: Mapping[str, Any], *names: str) -> int | None:
    """The first of these fields that is a count."""
    return next((fields[name] for name in names if _is_count(fields.get(name))), None)


def _is_count(value: Any) -> TypeGuard[int]:
    return type(value) is int and value >= 0
