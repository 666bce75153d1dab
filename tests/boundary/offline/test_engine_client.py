"""The embedded engine behind the client library that real endpoints are asked with."""

from __future__ import annotations

import asyncio

import httpx2
import openai

from prefect_llm_reports.tasks.offline.engine import OfflineTransport, reply


def test_real_client() -> None:
    """The OpenAI client gets an ordinary completion through the transport."""

    async def call() -> openai.types.chat.ChatCompletion:
        http = httpx2.AsyncClient(transport=OfflineTransport())
        base = "http://offline.invalid/v1"
        async with openai.AsyncOpenAI(http_client=http, base_url=base, api_key="offline") as client:
            return await client.chat.completions.create(
                model="offline",
                messages=[{"role": "user", "content": "<topic>\nTidal power\n</topic>"}],
                temperature=0.3,
                max_completion_tokens=4000,
            )

    completion = asyncio.run(call())
    assert completion.choices[0].finish_reason == "stop"
    assert completion.choices[0].message.content == reply(
        {"messages": [{"role": "user", "content": "<topic>\nTidal power\n</topic>"}]}
    )
    assert completion.model == "offline"
    assert completion.created == 0
    assert completion.usage
    counted = completion.usage
    assert counted.total_tokens == counted.prompt_tokens + counted.completion_tokens > 100
