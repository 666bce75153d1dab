"""Requests: the parameters for a model that bills cache writes."""

from __future__ import annotations

import pytest

from prefect_llm_reports.tasks.contract.calls import Ask, Message
from prefect_llm_reports.tasks.contract.errors import CallRejected
from prefect_llm_reports.tasks.llm.dialect import Dialect
from prefect_llm_reports.tasks.llm.requests import request_body
from prefect_llm_reports.tasks.llm.unsupported import Unsupported

ASK = Ask(
    step="s",
    label="l",
    item="i",
    endpoint="e",
    model="m",
    messages=(Message(role="user", content="?"),),
    max_output_tokens=10,
)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        *[(f"gpt-{n}", True) for n in ("5.6", "5.6-mini", "5.10", "6", "6-nano", "5.6-2026-09-01")],
        ("openai/gpt-5.6", True),
        ("azure:gpt-6.1", True),
        *[(f"gpt-{n}", False) for n in ("5.5", "5", "5-mini", "4.1", "4o", "5-2025-08-07")],
        ("my-gpt-6", False),
        ("qwen3", False),
    ],
)
def test_nothing_is_written_to_a_cache_that_nobody_reads(model: str, told: bool) -> None:
    """Models from GPT-5.6 on bill cache writes; questions that begin alike still share a cache."""
    body = request_body(ASK, model, (), 10, frozenset())
    assert body.get("prompt_cache_options") == ({"mode": "explicit"} if told else None)
    shared = ASK.model_copy(update={"shares_prefix": True})
    assert "prompt_cache_options" not in request_body(shared, model, (), 10, frozenset())


def test_a_gateway_that_does_not_know_it_gets_the_request_without() -> None:
    """And what a person gives as an extra parameter holds."""
    error = Unsupported("prompt_cache_options", CallRejected("400", status=400))
    assert Dialect("h", "gpt-5.6").next_without(error, ASK, frozenset()) == {"prompt_cache_options"}
    assert Dialect("h", "gpt-5").next_without(error, ASK, frozenset()) is None
    assert "prompt_cache_options" not in request_body(
        ASK, "gpt-5.6", (), 10, frozenset({"prompt_cache_options"})
    )
    own = ASK.model_copy(update={"extra_body": {"prompt_cache_options": {"mode": "implicit"}}})
    body = request_body(own, "gpt-5.6", (), 10, frozenset())
    assert body["prompt_cache_options"] == {"mode": "implicit"}
