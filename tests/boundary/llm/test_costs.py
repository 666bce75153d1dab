"""What answers cost, over HTTP: every shape of usage in every tier, and budgets that are kept."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import Any

import genai_prices
import pytest
from pydantic import SecretStr

from prefect_llm_reports.tasks.contract.calls import Answer, Message
from prefect_llm_reports.tasks.contract.errors import BudgetExhausted
from prefect_llm_reports.tasks.contract.options import ReportOptions
from prefect_llm_reports.tasks.contract.records import Price
from prefect_llm_reports.tasks.llm.endpoint import Endpoint as Address
from prefect_llm_reports.tasks.llm.session import Session
from tests.boundary.llm.test_line import KEY, answered, question
from tests.harness.endpoint import Endpoint, Reply, Request

MODEL = "openai/gpt-5-mini"
PLAIN = {"prompt_tokens": 9_000, "completion_tokens": 3_000}
USAGES: dict[str, tuple[dict[str, Any], tuple[int, int, int, int]]] = {
    "OpenAI": (
        {**PLAIN, "total_tokens": 12_000, "prompt_tokens_details": {"cached_tokens": 4_096}},
        (9_000, 3_000, 4_096, 0),
    ),
    "OpenAI, with writes": (
        {**PLAIN, "prompt_tokens_details": {"cached_tokens": 4_000, "cache_write_tokens": 5_000}},
        (9_000, 3_000, 4_000, 5_000),
    ),
    "a total beyond the parts": ({**PLAIN, "total_tokens": 52_000}, (9_000, 43_000, 0, 0)),
    "reasoning beside, and a total": (
        {
            **PLAIN,
            "total_tokens": 22_000,
            "completion_tokens_details": {"reasoning_tokens": 10_000},
        },
        (9_000, 13_000, 0, 0),
    ),
    "reasoning beside, no total": (
        {**PLAIN, "completion_tokens_details": {"reasoning_tokens": 40_000}},
        (9_000, 43_000, 0, 0),
    ),
    "reasoning inside": (
        {**PLAIN, "completion_tokens_details": {"reasoning_tokens": 2_000}},
        (9_000, 3_000, 0, 0),
    ),
    "Anthropic": (
        {
            "input_tokens": 9,
            "output_tokens": 3_000,
            "cache_read_input_tokens": 4_000,
            "cache_creation_input_tokens": 2_000,
        },
        (6_009, 3_000, 4_000, 2_000),
    ),
    "DeepSeek": (
        {**PLAIN, "prompt_cache_hit_tokens": 4_000, "prompt_cache_miss_tokens": 5_000},
        (9_000, 3_000, 4_000, 0),
    ),
    "Moonshot": ({**PLAIN, "cached_tokens": 4_000}, (9_000, 3_000, 4_000, 0)),
    "no output named": ({"prompt_tokens": 9_000, "total_tokens": 12_000}, (9_000, 3_000, 0, 0)),
}
TIERS: dict[str | None, dict[str, str] | None] = {
    None: None,
    "default": None,
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "batch": {"processing": "batch"},
}


def test_every_usage_in_every_tier_costs_what_the_list_says_to_the_digit() -> None:
    """From the response's tokens and tier to the answer's cost."""
    rows = [(usage, tier) for usage in USAGES for tier in TIERS]

    def script(request: Request) -> Reply | None:
        if not isinstance(request.body, dict):
            return None
        usage, tier = rows[int(request.body["messages"][-1]["content"])]

        def edit(completion: dict[str, Any]) -> None:
            completion["model"] = MODEL
            completion["usage"] = USAGES[usage][0]
            completion["service_tier"] = tier

        return Reply(edit=edit)

    async def main(url: str) -> list[Answer]:
        options = ReportOptions(concurrency=16)
        async with Session([Address(url, SecretStr(KEY))], options, backoff_s=0) as session:
            asks = []
            for number in range(len(rows)):
                ask = question(url, model=MODEL, item=str(number), variant=str(number))
                said = ask.messages[-1].model_copy(update={"content": str(number)})
                asks.append(ask.model_copy(update={"messages": (ask.messages[0], said)}))
            return await asyncio.gather(*(answered(session, ask) for ask in asks))

    with Endpoint(script=script) as endpoint:
        found = asyncio.run(main(endpoint.base_url))
    for (usage, tier), answer in zip(rows, found, strict=True):
        sent, output, cached, written = USAGES[usage][1]
        listed = genai_prices.calc_price(
            genai_prices.Usage(
                input_tokens=sent,
                output_tokens=output,
                cache_read_tokens=cached,
                cache_write_tokens=written,
            ),
            "gpt-5-mini",
            provider_id="openai",
            price_context=TIERS[tier],
        )
        assert answer.cost_usd == listed.total_price, (usage, tier)


LENGTHS = {"draft": 1200, "critique": 500, "revision": 1300, "second": 500, "summary": 200}


@pytest.mark.parametrize("share", ["0.4", "1.2"])
@pytest.mark.parametrize(
    ("prompt_tokens", "price"),
    [(400, {"input": "0.25", "output": "2"}), (9_000, {"input": "2", "output": "0.1"})],
    ids=["a token for four bytes", "texts of its own"],
)
def test_random_budgets_are_never_exceeded_and_a_little_more_than_the_cost_suffices(
    share: str, prompt_tokens: int, price: dict[str, str]
) -> None:
    """By the endpoint's own bill; answers may be thirteen times as long as they usually are.

    An endpoint may bill for more tokens than the prompt has bytes: the first answer shows it.
    """
    costs = {name: Decimal(usd) for name, usd in price.items()}
    for seed in range(6):
        rnd = random.Random(seed)
        reports = rnd.randint(2, 5)
        tokens = {
            f"{report} {step}": int(usual * rnd.uniform(0.6, 1.4))
            for report in range(reports)
            for step, usual in LENGTHS.items()
        }
        cost = sum(prompt_tokens * costs["input"] + n * costs["output"] for n in tokens.values())
        budget = cost * Decimal(share) / 1_000_000
        with Endpoint(script=written(tokens, prompt_tokens)) as endpoint:
            done = asyncio.run(made(endpoint.base_url, reports, budget, Price(**costs)))
            billed = endpoint.billed_usd(costs["input"], costs["output"])
        assert billed <= budget, seed
        assert done < reports if share == "0.4" else done == reports, (seed, done, reports)


def test_calls_under_way_are_reckoned_as_dear_as_the_first_bill_shows() -> None:
    """Two calls have been sent, and one is billed: the other one will cost as much, a third waits.

    Each costs 0.018 USD, for which the prompt's bytes would be 0.0032, and the budget is 0.045 USD.
    """
    bills = written(dict.fromkeys("abc", 10), 9_000)

    def script(request: Request) -> Reply | None:
        reply = bills(request)
        first = reply and request.body["messages"][-1]["content"][0]
        return replace(reply, delivery="held") if reply and first == "b" else reply

    options = ReportOptions(
        budget_usd=Decimal("0.045"),
        prices={"gpt-5-mini": Price(input=Decimal(2), output=Decimal("0.1"))},
    )
    with Endpoint(script=script) as endpoint:

        async def main() -> Decimal:
            address = Address(endpoint.base_url, SecretStr(KEY))
            async with Session([address], options, backoff_s=0) as session:

                def asked(name: str) -> asyncio.Task[Answer]:
                    said = Message(role="user", content=name.ljust(1600))
                    ask = question(endpoint.base_url, messages=(said,), max_output_tokens=16_000)
                    return asyncio.create_task(answered(session, ask))

                under_way = asked("b")
                await asyncio.to_thread(endpoint.wait_until, lambda: endpoint.count() == 1)
                await asked("a")
                third = asked("c")
                await asyncio.sleep(0)
                endpoint.release()
                with pytest.raises(BudgetExhausted):
                    await third
                await under_way
                return session.budget.spent

        assert asyncio.run(main()) <= Decimal("0.045")
        assert endpoint.count() == 2


def written(tokens: dict[str, int], prompt_tokens: int) -> Callable[[Request], Reply | None]:
    """Answers of these lengths, by the last message; one is cut at the request's limit."""

    def script(request: Request) -> Reply | None:
        if not isinstance(request.body, dict):
            return None
        wanted = tokens[request.body["messages"][-1]["content"].strip()]
        limit = request.body["max_completion_tokens"]

        def edit(completion: dict[str, Any]) -> None:
            counts = {"prompt_tokens": prompt_tokens, "completion_tokens": min(wanted, limit)}
            completion["usage"] = counts
            completion["choices"][0]["finish_reason"] = "length" if wanted > limit else "stop"

        return Reply(edit=edit)

    return script


async def made(url: str, reports: int, budget: Decimal, price: Price) -> int:
    """Make reports, step by step, until the budget ends; how many were finished."""
    prices = {"gpt-5-mini": price}
    options = ReportOptions(concurrency=8, budget_usd=budget, prices=prices)
    done = 0
    async with Session([Address(url, SecretStr(KEY))], options, backoff_s=0) as session:

        async def report(number: int) -> None:
            nonlocal done
            with suppress(BudgetExhausted):
                for step in LENGTHS:
                    said = f"{number} {step}".ljust(1600)
                    ask = question(
                        url,
                        step=step,
                        item=str(number),
                        messages=(Message(role="user", content=said),),
                        max_output_tokens=16_000,
                        needed=True,
                    )
                    await answered(session, ask)
                done += 1

        await asyncio.gather(*(report(number) for number in range(reports)))
        assert session.budget.spent <= budget
    return done
