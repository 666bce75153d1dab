"""Prices that a run relies on are known before any call, at each endpoint that may be asked."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.options import ReportOptions
from prefect_llm_reports.tasks.contract.records import Price, Rates
from prefect_llm_reports.tasks.inputs.requests import check_priced
from prefect_llm_reports.tasks.llm.endpoint import Endpoint

OPENAI = Endpoint("https://api.openai.com/v1")
HOME = Endpoint("http://127.0.0.1:8000/v1")
GROQ = Endpoint("https://api.groq.com/openai/v1", model="llama-3.3-70b-versatile")
STANDBY = Endpoint("https://api.openai.com/v1", model="gpt-4.1")
HALF = Price(
    input=Decimal(2),
    output=Decimal(4),
    tiers={"flex": Rates(input=Decimal(1), output=Decimal(2))},
)
SAME = Price(
    input=Decimal(2),
    output=Decimal(4),
    tiers={"flex": Rates(input=Decimal(2), output=Decimal(4))},
)
OWN = Endpoint("http://127.0.0.1:8001/v1", model="m", prices={"m": HALF})

FLEX: dict[str, tuple[list[str], list[Endpoint], dict[str, Any], str]] = {
    "half price": (["gpt-5-mini"], [OPENAI], {}, ""),
    "no flex for the model": (["gpt-4.1"], [OPENAI], {}, "gpt-4.1 at https://api.openai.com"),
    "no flex for a critic": (["gpt-5-mini", "gpt-4.1"], [OPENAI], {}, "for gpt-4.1 at"),
    "no flex at a fallback": (["gpt-5-mini"], [OPENAI, STANDBY], {}, "for gpt-4.1 at"),
    "no prices at a fallback": (["gpt-5-mini"], [OPENAI, GROQ], {}, "llama-3.3-70b-versatile at"),
    "a fallback with its own": (["gpt-5-mini"], [OPENAI, OWN], {}, ""),
    "no prices at all": (["m"], [HOME], {}, "for m at http://127.0.0.1:8000"),
    "own prices": (["m"], [HOME], {"prices": {"m": HALF}}, ""),
    "own prices, not cheaper": (["m"], [HOME], {"prices": {"m": SAME}}, "for m at"),
}


@pytest.mark.parametrize(("models", "endpoints", "options", "says"), FLEX.values(), ids=FLEX)
def test_flex_is_asked_for_only_where_it_is_cheaper(
    models: list[str], endpoints: list[Endpoint], options: dict[str, Any], says: str
) -> None:
    """The model and the endpoint are named, for fallbacks and critics as well."""
    given = ReportOptions(price="flex", **options)
    if says:
        with pytest.raises(BadInput, match=r"flex is not cheaper") as refused:
            check_priced(given, models, endpoints)
        assert says in str(refused.value)
    else:
        check_priced(given, models, endpoints)


def test_a_budget_needs_the_price_at_each_endpoint() -> None:
    """A fallback's price is looked up where the fallback is."""
    options = ReportOptions(budget_usd=Decimal(1))
    check_priced(options, ["gpt-5-mini"], [OPENAI, OWN, STANDBY])
    nowhere = Endpoint("http://127.0.0.1:8002/v1", model="m")
    with pytest.raises(BadInput, match=r"price of m at http://127\.0\.0\.1:8002"):
        check_priced(options, ["gpt-5-mini"], [OPENAI, OWN, nowhere])


def test_all_unknown_prices_are_listed_together() -> None:
    """One run of the command shows them all."""
    options = ReportOptions(budget_usd=Decimal(1), price="flex")
    with pytest.raises(BadInput) as refused:
        check_priced(options, ["m"], [HOME, STANDBY])
    assert len(refused.value.problems) == 3
