"""A pause of this process is not the endpoint's silence."""

from __future__ import annotations

import asyncio
import time

import pytest

from prefect_llm_reports.tasks.contract.calls import Ask, Message
from prefect_llm_reports.tasks.llm import deadline
from prefect_llm_reports.tasks.llm.call import Call
from prefect_llm_reports.tasks.llm.deadline import until_deadline


def a_call(ends: float) -> Call:
    ask = Ask(
        step="draft",
        label="a / draft",
        item="a",
        messages=(Message(role="user", content="?"),),
        endpoint="http://127.0.0.1:9/v1",
        model="m",
        max_output_tokens=10,
    )
    return Call(ask, 10, ends=ends)


def test_a_paused_process_gives_the_call_its_time_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer that came meanwhile is taken, although the clock is past the deadline."""
    monkeypatch.setattr(deadline, "PAUSE_S", 0.01)

    async def paused() -> str:
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        call = a_call(loop.time() + 0.02)
        async with until_deadline(call):
            await asyncio.sleep(0)
            time.sleep(0.1)  # noqa: ASYNC251 - the whole process stands still, past the deadline
            loop.call_later(0.01, answer.set_result, "answered")
            return await answer

    assert asyncio.run(paused()) == "answered"


def test_a_silent_endpoint_meets_the_deadline() -> None:
    """Without a pause, the deadline is what it was."""

    async def silent() -> None:
        loop = asyncio.get_running_loop()
        async with until_deadline(a_call(loop.time())):
            await loop.create_future()

    with pytest.raises(TimeoutError):
        asyncio.run(silent())
