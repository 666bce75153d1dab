"""Flex calls against a real HTTP server: no capacity, no flex at all, another price than asked."""

from __future__ import annotations

import asyncio

import pytest

from prefect_llm_reports.tasks.contract.calls import Answer
from prefect_llm_reports.tasks.contract.errors import CallError, CallRejected, NoFlex
from prefect_llm_reports.tasks.contract.options import ReportOptions
from tests.boundary.llm.test_line import answered, one_session, question
from tests.harness import faults
from tests.harness.endpoint import Endpoint, Reply, Request


@pytest.mark.parametrize(
    ("status", "error"), [(429, "Resource unavailable"), (498, "capacity_exceeded")]
)
@pytest.mark.parametrize("when_late", ["fail", "standard"])
def test_without_flex_capacity_in_time_a_call_ends_as_the_options_say(
    status: int, error: str, when_late: str
) -> None:
    """No capacity is neither a rate limit nor an outage; standard is asked only if it may be."""

    async def asked(endpoint: Endpoint) -> Answer:
        options = {"price": "flex", "when_late": when_late, "deadline_s": 4}
        async with one_session(endpoint, **options) as session:
            return await answered(session, question(endpoint.base_url))

    refused = faults.error(status, error)
    with Endpoint() as endpoint:
        endpoint.fail(refused, times=1)
        if when_late == "standard":
            assert asyncio.run(asked(endpoint)).attempts == 2
        else:
            with pytest.raises(CallError, match="no flex capacity"):
                asyncio.run(asked(endpoint))
        tiers = [request.body.get("service_tier") for request in endpoint.requests]
    assert tiers == (["flex", None] if when_late == "standard" else ["flex"])


NO_FLEX = {
    "OpenAI's": faults.error(400, "Invalid service_tier argument: flex", param="service_tier"),
    "FastAPI's": Reply(
        status=422,
        body=b'{"detail": [{"loc": ["body", "service_tier"], "msg": "Extra inputs forbidden"}]}',
    ),
    "Gemini's": Reply(
        status=400,
        body=b'[{"error": {"code": 400, "message": "Unknown name \\"service_tier\\""}}]',
    ),
    "in words": faults.error(403, "Flex processing is not available for your project"),
    "in a 200": Reply(body=b'{"error": {"code": 400, "message": "flex is not supported"}}'),
}


@pytest.mark.parametrize("name", NO_FLEX)
def test_an_endpoint_without_flex_ends_the_batch_naming_both(name: str) -> None:
    """Nothing is asked again at the standard price."""

    async def asked(endpoint: Endpoint) -> Answer:
        async with one_session(endpoint, price="flex") as session:
            return await answered(session, question(endpoint.base_url))

    with Endpoint() as endpoint:
        endpoint.fail(NO_FLEX[name], times=None)
        with pytest.raises(NoFlex, match=r"127\.0\.0\.1.* offers no flex for gpt-5-mini"):
            asyncio.run(asked(endpoint))
        assert {request.body.get("service_tier") for request in endpoint.requests} == {"flex"}


@pytest.mark.parametrize(
    "refused",
    [
        faults.error(400, "Your prompt was flagged: 'CSS flex' is not allowed", code="moderation"),
        faults.rate_limited(retry_after=0.01),
        faults.error(503, "Service unavailable: over capacity"),
    ],
)
def test_a_refusal_of_another_kind_is_no_lack_of_flex(refused: Reply) -> None:
    """A flagged topic about flex, a rate limit and an overload are what they are without flex."""

    async def asked(endpoint: Endpoint) -> Answer:
        async with one_session(endpoint, price="flex") as session:
            return await answered(session, question(endpoint.base_url))

    with Endpoint() as endpoint:
        endpoint.fail(refused, times=1)
        if refused.status == 400:
            with pytest.raises(CallRejected, match="refused this prompt"):
                asyncio.run(asked(endpoint))
        else:
            assert asyncio.run(asked(endpoint)).attempts == 2
        assert {request.body.get("service_tier") for request in endpoint.requests} == {"flex"}


@pytest.mark.parametrize(("tiers", "answers"), [(["default"], 1), (["flex", "default"], 2)])
def test_flex_that_is_answered_at_another_price_is_noticed(tiers: list[str], answers: int) -> None:
    """The first such answer is kept, since it is paid, and the last; after flex it is booked."""
    said = iter(tiers)

    async def main(endpoint: Endpoint) -> list[Answer | CallError]:
        found: list[Answer | CallError] = []
        async with one_session(endpoint, price="flex") as session:
            for number in range(2):
                try:
                    ask = question(endpoint.base_url, variant=str(number))
                    found.append(await answered(session, ask))
                except CallError as error:
                    found.append(error)
        return found

    def tiered(_: Request) -> Reply:
        return Reply(edit=lambda completion: completion.update(service_tier=next(said)))

    with Endpoint(script=tiered) as endpoint:
        found = asyncio.run(main(endpoint))
    assert [isinstance(one, Answer) for one in found] == [True, answers == 2]
    if answers == 1:
        assert "offers no flex for gpt-5-mini (it answered in the tier 'default')" in str(found[1])


def test_flex_gives_calls_more_time_unless_a_deadline_is_given() -> None:
    """The deadline of flex calls is 900 s, as providers advise, or what is given."""
    assert ReportOptions(price="flex").deadline_s == 900
    assert ReportOptions(price="flex", deadline_s=30).deadline_s == 30
    assert ReportOptions().deadline_s == 120
