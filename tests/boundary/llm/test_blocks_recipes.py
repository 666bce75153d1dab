"""The recipes of deployments/endpoints.md, each driven against an endpoint that acts like it.

The page says the address and what is good to know; here stands how the endpoint refuses, in the
words of each provider.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from prefect_llm_reports.tasks.contract.branches import AnswerWithThinking
from prefect_llm_reports.tasks.contract.call_options import CallOptions
from prefect_llm_reports.tasks.contract.calls import Answer, Ask, Message
from prefect_llm_reports.tasks.contract.settings import checked_base_url
from prefect_llm_reports.tasks.llm.answer_forms import model_form
from prefect_llm_reports.tasks.llm.blocks import RECIPES, LLMEndpoint
from prefect_llm_reports.tasks.llm.client import Client
from prefect_llm_reports.tasks.llm.endpoint import Endpoint, checked_headers
from prefect_llm_reports.tasks.llm.session import Session
from tests.harness import ROOT, faults
from tests.harness import endpoint as harness
from tests.harness.endpoint import Reply, Request

PAGE = (ROOT / "deployments" / "endpoints.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([^|]+) \| `(http[^`]+)` \| ([^|]+) \| (.+) \|$", PAGE, re.MULTILINE)
ADDRESSES = {name: url for name, url, _, _ in ROWS}
KEY = "sk-recipe-0123456789"
FORM = model_form(AnswerWithThinking)


def listed(status: int, body: Any) -> Reply:
    """A refusal with a body of a provider's own."""
    return Reply(status=status, body=json.dumps(body).encode())


def mistral(body: dict[str, Any]) -> Reply | None:
    """It forbids what it does not know, in FastAPI's words within an object."""
    wrong = [name for name in ("max_completion_tokens", "top_k") if name in body]
    detail = [
        {"type": "extra_forbidden", "loc": ["body", n], "msg": "Extra inputs are not permitted"}
        for n in wrong
    ]
    found = {"object": "error", "message": {"detail": detail}, "type": "invalid_request_error"}
    return listed(422, found) if wrong else None


def deepseek(body: dict[str, Any]) -> Reply | None:
    """It has JSON mode only, and names the range of its limit."""
    if body.get("response_format", {}).get("type") == "json_schema":
        return faults.error(400, "This response_format type is unavailable now")
    limit = body.get("max_tokens", body.get("max_completion_tokens", 0))
    if limit > 8192:
        said = "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]"
        return faults.error(400, said)
    return None


def groq(body: dict[str, Any]) -> Reply | None:
    """Some models take no schema."""
    if body.get("response_format", {}).get("type") == "json_schema":
        said = "This model does not support response format `json_schema`. See supported models"
        return faults.error(400, said, param="response_format")
    return None


def vllm(body: dict[str, Any]) -> Reply | None:
    """It counts prompt and answer together."""
    limit = body.get("max_tokens", body.get("max_completion_tokens", 0))
    if limit > 8192 - 900:
        said = (
            f"'max_tokens' or 'max_completion_tokens' is too large: {limit}. This model's maximum"
            " context length is 8192 tokens and your request has 900 input tokens"
        )
        return listed(400, {"object": "error", "message": said, "type": "BadRequestError"})
    return None


def litellm(body: dict[str, Any]) -> Reply | None:
    """It knows what the model behind it takes."""
    if "temperature" in body:
        said = (
            "litellm.UnsupportedParamsError: gpt-5 models don't support temperature=0.5. Only"
            " temperature=1 is supported"
        )
        return faults.error(400, said)
    return None


def azure(body: dict[str, Any]) -> Reply | None:
    """Reasoning models refuse a temperature."""
    if "temperature" in body:
        said = "Unsupported value: 'temperature' does not support 0.5 with this model."
        return faults.error(400, said, param="temperature", code="unsupported_value")
    return None


def thinking(_: dict[str, Any]) -> Reply | None:
    """The reasoning stands before the answer."""

    def edit(completion: dict[str, Any]) -> None:
        message = completion["choices"][0]["message"]
        message["content"] = f"<think>Is {{this}} it?</think>\n{message['content']}"

    return Reply(edit=edit)


def priced(_: dict[str, Any]) -> Reply | None:
    """The response names its cost."""
    return Reply(edit=lambda completion: completion["usage"].update(cost=0.25))


class Acts(NamedTuple):
    """How an endpoint acts.

    Attributes:
        path: The path that it is asked at, with its query.
        reply: Refuses a body, or answers it in its own way; None: an ordinary answer.
        authorized: The header that has the key.
        refusals: Requests that it may refuse before both questions are answered.
    """

    path: str
    reply: Callable[[dict[str, Any]], Reply | None] = lambda _: None
    authorized: str = "authorization"
    refusals: int = 0


ACTS: dict[str, Acts] = {
    "Azure OpenAI, Foundry": Acts("/openai/v1/chat/completions", azure, refusals=1),
    "Azure OpenAI, a deployment": Acts(
        "/openai/deployments/DEPLOYMENT/chat/completions?api-version=2024-10-21",
        azure,
        "api-key",
        1,
    ),
    "OpenRouter": Acts("/api/v1/chat/completions", priced),
    "Gemini": Acts("/v1beta/openai/chat/completions"),
    "Groq": Acts("/openai/v1/chat/completions", groq, refusals=1),
    "Mistral": Acts("/v1/chat/completions", mistral, refusals=2),
    "DeepSeek": Acts("/v1/chat/completions", deepseek, refusals=2),
    "vLLM": Acts("/v1/chat/completions", vllm, refusals=2),
    "Ollama": Acts("/v1/chat/completions", thinking),
    "llama.cpp": Acts("/v1/chat/completions"),
    "LM Studio": Acts("/v1/chat/completions", thinking),
    "LiteLLM": Acts("/v1/chat/completions", litellm, refusals=1),
}


def asks(url: str) -> tuple[Ask, Ask]:
    """A text and a form, with everything that a person can set."""
    common: dict[str, Any] = {
        **{"step": "s", "item": "i", "endpoint": url, "model": "m", "max_output_tokens": 16_000},
        **{"temperature": 0.5, "reasoning_effort": "low", "extra_body": {"top_k": 9, "seed": 1}},
        "messages": (Message(role="system", content="S"), Message(role="user", content="Why?")),
    }
    form = {"output_name": "answer", "output_schema": FORM.schema, "bounded_schema": FORM.bounded}
    return Ask(label="a", **common), Ask(label="b", **common, **form, accept=FORM.accept)


def test_each_endpoint_has_a_recipe_on_the_page_and_in_the_blocks_help() -> None:
    """The addresses of the page are those of the help, and are taken as they stand."""
    assert ADDRESSES.keys() == ACTS.keys()
    help_text = LLMEndpoint.model_json_schema()["properties"]["base_url"]["description"]
    assert RECIPES in help_text
    for name, url in ADDRESSES.items():
        assert checked_base_url(url) == url
        assert LLMEndpoint(base_url=url).endpoint().base_url == url
        shown = url.partition("DEPLOYMENT")[2] or url
        assert shown in help_text, name
        assert name.split()[0].rstrip(",") in help_text


@pytest.mark.parametrize("name", ACTS)
def test_a_recipe_works_at_an_endpoint_that_acts_like_it(name: str) -> None:
    """Path, key and headers arrive; what is refused is left out, and both questions answered."""
    acts, refused = ACTS[name], list[Request]()

    def script(request: Request) -> Reply | None:
        key = request.headers.get(acts.authorized, "").removeprefix("Bearer ")
        if key != KEY or request.headers.get("x-title") != "Reports":
            return faults.error(401, "Access denied due to invalid key", code="invalid_api_key")
        if request.path != acts.path:
            return faults.error(404, f"Resource not found: {request.path}")
        reply = acts.reply(request.body)
        if reply is not None and reply.status != 200:
            refused.append(request)
        return reply or Reply()

    with harness.Endpoint(script=script) as server:
        told = urlsplit(ADDRESSES[name])
        here = f"http://{urlsplit(server.base_url).netloc}{told.path}"
        url = checked_base_url(f"{here}?{told.query}" if told.query else here)
        headers = checked_headers({"X-Title": "Reports"}, key_given=True)
        answers = asyncio.run(answered(Endpoint(url, SecretStr(KEY), headers), asks(url)))
        sent = [request.body for request in server.requests]
    assert AnswerWithThinking.model_validate_json(answers[1].text)
    assert "<think>" not in answers[0].text
    assert len(refused) == acts.refusals
    assert len(sent) == acts.refusals + 2
    if name == "OpenRouter":
        assert str(answers[0].cost_usd) == "0.25"
    assert sent[-1]["seed"] == 1
    assert sent[-1]["reasoning_effort"] == "low"
    assert all(body["stream"] is False for body in sent)


async def answered(endpoint: Endpoint, questions: tuple[Ask, ...]) -> list[Answer]:
    """The answers to questions, asked one after the other."""
    async with Session([endpoint], CallOptions()) as session:
        return [await session.answer(ask) for ask in questions]


@pytest.mark.parametrize(
    ("url", "key", "wanted"),
    [
        ("https://r.openai.azure.com/openai/v1", KEY, {"api-key": KEY}),
        ("https://r.services.ai.azure.com/openai/v1", KEY, {"api-key": KEY}),
        ("https://r.openai.azure.us/openai/v1", KEY, {"api-key": KEY}),
        ("https://apim.example.com/x/openai/deployments/d?api-version=1", KEY, {"api-key": KEY}),
        ("https://r.openai.azure.com/openai/v1", "eyJh.eyJi.c", {"authorization": "eyJh.eyJi.c"}),
        ("https://azure.com.example.com/v1", KEY, {"authorization": KEY}),
        ("https://api.groq.com/openai/v1", KEY, {"authorization": KEY}),
    ],
)
def test_azure_gets_its_key_in_the_header_that_it_reads(
    url: str, key: str, wanted: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every address of Azure, and nowhere else; a token of its directory is a bearer token."""
    seen: list[Any] = []

    async def ask() -> None:
        async with AsyncExitStack() as resources:
            client = await Client.opened(Endpoint(url, SecretStr(key)), 1, resources)
            http = client._sdk._client

            async def send(request: Any, **_: Any) -> Any:
                seen.append(request)
                raise OSError("not sent")

            monkeypatch.setattr(http, "send", send)
            await client.is_there()

    asyncio.run(ask())
    keys = {n: seen[0].headers.get(n) for n in ("api-key", "authorization")}
    assert {n: v.removeprefix("Bearer ") for n, v in keys.items() if v} == wanted
