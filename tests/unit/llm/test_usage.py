"""Tokens in response bodies."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from prefect_llm_reports.tasks.llm.usage import cost_said, usage_of


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"prompt_tokens": 7, "completion_tokens": 3}, (7, 3, 0)),
        ({"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": None}, (7, 3, 0)),
        *(
            (
                {
                    "prompt_tokens": 7,
                    "completion_tokens": 3,
                    "prompt_tokens_details": {"cached_tokens": cached},
                },
                (7, 3, kept),
            )
            for cached, kept in ((5, 5), (7, 7), (8, 0), (-1, 0), (True, 0), ("5", 0), (None, 0))
        ),
        *(
            ({"prompt_tokens": odd, "completion_tokens": 3}, None)
            for odd in (-1, True, "7", 7.0, None)
        ),
        ({"completion_tokens": 3}, None),
        ([7, 3], None),
        (None, None),
    ],
)
def test_usage_counts_only_if_it_is_whole_numbers(
    usage: Any, counts: tuple[int, int, int] | None
) -> None:
    """Tokens are believed only as whole numbers that are not negative; else they are unknown."""
    found = usage_of({"usage": usage})
    said = found and (found.input_tokens, found.output_tokens, found.cached_input_tokens)
    assert said == counts


def test_a_body_that_is_no_object_names_no_usage() -> None:
    """A body that is no object names no usage."""
    assert usage_of([]) is usage_of(None) is usage_of({}) is None


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        pytest.param(
            {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 60},
            (7, 53, 0, 0),
            id="xai",
        ),
        pytest.param(
            {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 4}, (7, 3, 0, 0), id="less"
        ),
        pytest.param({"prompt_tokens": 7, "total_tokens": 9}, (7, 2, 0, 0), id="no output named"),
        pytest.param(
            {
                "prompt_tokens": 7,
                "completion_tokens": 3,
                "completion_tokens_details": {"reasoning_tokens": 40},
            },
            (7, 43, 0, 0),
            id="reasoning beside, no total",
        ),
        pytest.param(
            {
                "prompt_tokens": 7,
                "completion_tokens": 50,
                "total_tokens": 57,
                "completion_tokens_details": {"reasoning_tokens": 40},
            },
            (7, 50, 0, 0),
            id="reasoning inside",
        ),
        pytest.param(
            {
                "prompt_tokens": 9,
                "completion_tokens": 3,
                "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 5},
            },
            (9, 3, 4, 5),
            id="openai",
        ),
        pytest.param(
            {
                "prompt_tokens": 9,
                "completion_tokens": 3,
                "prompt_tokens_details": {"cached_tokens": 4, "cache_creation_tokens": 5},
            },
            (9, 3, 4, 5),
            id="litellm",
        ),
        pytest.param(
            {
                "prompt_tokens": 9,
                "completion_tokens": 3,
                "total_tokens": 12,
                "cache_read_input_tokens": 4,
                "cache_creation_input_tokens": 2,
            },
            (9, 3, 4, 2),
            id="anthropic's names, inside",
        ),
        pytest.param(
            {
                "prompt_tokens": 9,
                "completion_tokens": 3,
                "total_tokens": 18,
                "cache_read_input_tokens": 4,
                "cache_creation_input_tokens": 2,
            },
            (15, 3, 4, 2),
            id="anthropic's names, beside",
        ),
        pytest.param(
            {
                "input_tokens": 9,
                "output_tokens": 3,
                "cache_read_input_tokens": 40,
                "cache_creation_input_tokens": 2,
            },
            (51, 3, 40, 2),
            id="anthropic",
        ),
        pytest.param(
            {"input_tokens": 9, "output_tokens": 3, "input_tokens_details": {"cached_tokens": 4}},
            (9, 3, 4, 0),
            id="responses",
        ),
        pytest.param(
            {
                "prompt_tokens": 9,
                "completion_tokens": 3,
                "prompt_cache_hit_tokens": 4,
                "prompt_cache_miss_tokens": 5,
            },
            (9, 3, 4, 0),
            id="deepseek",
        ),
        pytest.param(
            {
                "prompt_tokens": 9,
                "completion_tokens": 3,
                "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 6},
            },
            (9, 3, 4, 0),
            id="more than there is",
        ),
    ],
)
def test_every_token_is_counted_once(usage: Any, counts: tuple[int, ...]) -> None:
    """Reasoning beside the parts is output; cached tokens and cache writes are parts of input."""
    found = usage_of({"usage": usage})
    assert found
    assert tuple(found.model_dump().values()) == counts


@pytest.mark.parametrize(
    ("headers", "usage", "usd"),
    [
        ({"x-litellm-response-cost": "0.00123"}, {"cost": 5}, "0.00123"),
        ({"x-litellm-response-cost": "1.5e-05"}, {}, "0.000015"),
        ({"x-litellm-response-cost": "None"}, {}, None),
        ({"x-litellm-response-cost": "nan"}, {"cost": 0.25}, "0.25"),
        ({"x-request-cost": "0.5"}, {}, "0.5"),
        ({}, {"cost": 0.00123}, "0.00123"),
        ({}, {"cost": "0.00123"}, "0.00123"),
        ({}, {"cost": 0}, "0"),
        ({}, {"cost": -1}, None),
        ({}, {"cost": True}, None),
        ({}, {"cost": float("inf")}, None),
        ({}, {"cost": {"input_tokens_cost": 1, "total_cost": 0.006}}, "0.006"),
        ({}, {"estimated_cost": 0.006}, "0.006"),
        ({}, {"cost_in_usd_ticks": 12_000_000}, "0.0012"),
        (
            {},
            {"cost": 0.01, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.2}},
            "0.21",
        ),
        ({}, {"cost": 0.01, "is_byok": True}, None),
        ({}, {}, None),
    ],
)
def test_a_cost_is_taken_as_the_endpoint_says(
    headers: dict[str, str], usage: Any, usd: str | None
) -> None:
    """Gateways name a cost in a header or beside the tokens; what is no amount is no cost."""
    assert cost_said(headers, {"usage": usage}) == (None if usd is None else Decimal(usd))
