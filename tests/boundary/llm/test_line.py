"""The line to an endpoint without Prefect: spans, shared paces, and bodies on the wire."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from pydantic import SecretStr

from prefect_llm_reports.tasks.contract.calls import Answer, Ask, Message
from prefect_llm_reports.tasks.contract.errors import (
    CallError,
    CallsStopped,
    Interrupted,
)
from prefect_llm_reports.tasks.contract.options import ReportOptions
from prefect_llm_reports.tasks.llm import tracing
from prefect_llm_reports.tasks.llm.endpoint import Endpoint as Address
from prefect_llm_reports.tasks.llm.faults import BodyTooLarge
from prefect_llm_reports.tasks.llm.session import Session
from prefect_llm_reports.tasks.llm.transport import CappedTransport
from tests.harness import faults
from tests.harness.endpoint import Endpoint
from tests.harness.pace import PATIENCE_S, within

KEY = "canary-7Qz9vK2mX4tR8wL1"
PROMPT = "Write about <topic> tidal power, at length."


def question(url: str, **changes: Any) -> Ask:
    messages = (Message(role="system", content="You write."), Message(role="user", content=PROMPT))
    fields: dict[str, Any] = {
        "step": "draft",
        "label": "draft \u00b7 tidal",
        "item": "tidal",
        "endpoint": url,
        "model": "gpt-5-mini",
        "messages": messages,
        "max_output_tokens": 1000,
    }
    return Ask(**{**fields, **changes})


async def answered(session: Session, ask: Ask) -> Answer:
    """Ask until the answer is there, as the task around a session does."""
    async with session.until_kept(ask):
        while True:
            try:
                return await session.answer(ask)
            except CallError as error:
                if error.reach != "retry":
                    raise


def one_session(endpoint: Endpoint, **options: Any) -> Session:
    address = Address(endpoint.base_url, SecretStr(KEY))
    return Session([address], ReportOptions(**options), backoff_s=0)


# Spans -------------------------------------------------------------------------------------------


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Spans of the code under test, kept in memory."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("tests"))
    yield exporter
    provider.shutdown()


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def requests_of(spans: InMemorySpanExporter) -> list[ReadableSpan]:
    """The spans of requests."""
    return [span for span in spans.get_finished_spans() if span.kind is SpanKind.CLIENT]


async def _one_call(endpoint: Endpoint, **options: Any) -> Answer:
    async with one_session(endpoint, **options) as session:
        return await answered(session, question(endpoint.base_url, temperature=0.5))


def test_every_request_is_a_span_by_the_conventions(spans: InMemorySpanExporter) -> None:
    """A failed attempt and the one that succeeded are two client spans, without any text."""
    with Endpoint() as endpoint:
        endpoint.fail(faults.status(503))
        answer = asyncio.run(_one_call(endpoint))
        [_, request] = endpoint.requests

    failed, fine = requests_of(spans)
    steps = [span for span in spans.get_finished_spans() if span.kind is not SpanKind.CLIENT]
    assert {(step.name, attributes(step)["llm_reports.step"]) for step in steps} == {
        ("draft", "draft")
    }
    assert [step.status.status_code for step in steps] == [StatusCode.ERROR, StatusCode.UNSET]
    port = int(endpoint.base_url.split(":")[2].split("/")[0])
    common = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5-mini",
        "gen_ai.request.max_tokens": 1000,
        "gen_ai.request.temperature": 0.5,
        "server.address": "127.0.0.1",
        "server.port": port,
        "llm_reports.step": "draft",
        "llm_reports.item": "tidal",
        "openinference.span.kind": "LLM",
        "llm.model_name": "gpt-5-mini",
    }
    assert (failed.name, failed.kind) == ("chat gpt-5-mini", SpanKind.CLIENT)
    assert failed.status.status_code is StatusCode.ERROR
    assert attributes(failed) == {
        **common,
        "llm_reports.attempt": 1,
        "http.response.status_code": 503,
        "error.type": "endpoint_overloaded",
    }
    assert fine.status.status_code is StatusCode.UNSET
    assert attributes(fine) == {
        **common,
        "llm_reports.attempt": 2,
        "http.response.status_code": 200,
        "gen_ai.response.id": f"chatcmpl-{request.key[:24]}",
        "gen_ai.response.model": "gpt-5-mini",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": request.input_tokens,
        "gen_ai.usage.output_tokens": request.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "llm.token_count.prompt": request.input_tokens,
        "llm.token_count.completion": request.output_tokens,
    }
    said = "".join(span.to_json() for span in spans.get_finished_spans())
    assert PROMPT not in said
    assert answer.text not in said
    assert KEY not in said


@pytest.mark.parametrize(
    ("reply", "kind", "deadline_s"),
    [
        (faults.hang(), "timeout", 0.2),
        (faults.unauthorized(), "key_rejected", PATIENCE_S),
        (faults.refusal("I will not."), "answer_refused", PATIENCE_S),
    ],
)
def test_a_failed_request_names_its_kind(
    spans: InMemorySpanExporter, reply: faults.Reply, kind: str, deadline_s: float
) -> None:
    """error.type is a short stable name; what the model said is not in the span."""
    with Endpoint() as endpoint:
        endpoint.fail(reply)
        with pytest.raises(CallError):
            asyncio.run(_one_call(endpoint, deadline_s=deadline_s))

    [span] = requests_of(spans)
    assert attributes(span)["error.type"] == kind
    assert "I will not" not in span.to_json()


def test_texts_are_traced_when_asked_for(
    spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the capture variable set, prompt and answer are in the span."""
    monkeypatch.setenv(tracing.CAPTURE, "true")
    with Endpoint() as endpoint:
        answer = asyncio.run(_one_call(endpoint))

    [span] = requests_of(spans)
    asked = json.loads(attributes(span)["gen_ai.input.messages"])
    said = json.loads(attributes(span)["gen_ai.output.messages"])
    assert asked[1] == {"role": "user", "parts": [{"type": "text", "content": PROMPT}]}
    assert said[0]["parts"][0]["content"].strip() == answer.text
    assert said[0]["finish_reason"] == "stop"


def test_a_span_costs_next_to_nothing_without_a_provider() -> None:
    """1000 spans that nobody wants take less than a tenth of a second."""
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    with within(0.1):
        for _ in range(1000):
            with tracing.chat_span(
                "http://127.0.0.1:1/v1",
                "m",
                step="draft",
                item="x",
                attempt=1,
                max_tokens=1,
                temperature=None,
                messages=[{"role": "user", "content": "x" * 10_000}],
            ) as span:
                tracing.describe_response(span, 200, {"id": "x", "usage": {"prompt_tokens": 1}})


# Two batches at one endpoint ---------------------------------------------------------------------


def test_the_end_of_one_batch_does_not_end_another_at_the_same_endpoint() -> None:
    """Calls of another batch that wait for their turn go on waiting."""

    async def both(endpoint: Endpoint) -> tuple[Any, Any]:
        asks = [question(endpoint.base_url, variant=str(n)) for n in range(3)]
        async with (
            one_session(endpoint, concurrency=1) as ending,
            one_session(endpoint, concurrency=1) as going_on,
        ):
            first = asyncio.ensure_future(answered(going_on, asks[0]))
            await asyncio.to_thread(endpoint.wait_until, lambda: len(endpoint.requests) == 1)
            waiting = [
                asyncio.ensure_future(answered(ending, asks[1])),
                asyncio.ensure_future(answered(going_on, asks[2])),
            ]
            while len(ending.lines[0].pace._waiting) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0)
            ending.stop(Interrupted("stopped by the user"))
            endpoint.release()
            await first
            return tuple(await asyncio.gather(*waiting, return_exceptions=True))

    with Endpoint() as endpoint:
        endpoint.fail(faults.held(), times=None)
        stopped, served = asyncio.run(both(endpoint))

    assert isinstance(stopped, CallsStopped)
    assert isinstance(served, Answer)


def test_a_refused_call_waits_for_its_turn_beyond_its_deadline() -> None:
    """Time in the queue is not the call's: it is asked again although others took long."""

    async def crowd(endpoint: Endpoint) -> list[Answer]:
        async with one_session(endpoint, concurrency=8, deadline_s=3) as session:
            asks = [question(endpoint.base_url, variant=str(n)) for n in range(8)]
            return await asyncio.gather(*(answered(session, ask) for ask in asks))

    with Endpoint(capacity=1, latency=0.6) as endpoint:
        answers = asyncio.run(crowd(endpoint))
        assert endpoint.count(status=429) > 0
    assert len(answers) == 8


# Attempts ----------------------------------------------------------------------------------------


def test_repeats_without_a_task_around_end_as_well() -> None:
    """The attempts of one question count together: a third failure is the last."""

    async def fails(endpoint: Endpoint) -> CallError:
        async with one_session(endpoint) as session:
            with pytest.raises(CallError) as raised:
                await answered(session, question(endpoint.base_url))
            return raised.value

    with Endpoint() as endpoint:
        endpoint.fail(faults.no_choices(), times=None)
        error = asyncio.run(fails(endpoint))
        assert len(endpoint.requests) == 3
    assert error.attempts == 3


# Bodies ------------------------------------------------------------------------------------------


class _Body(httpx2.AsyncByteStream):
    def __init__(self, *chunks: bytes) -> None:
        self.chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk


class _Sends(httpx2.AsyncBaseTransport):
    def __init__(self, encoding: str, *chunks: bytes) -> None:
        self.encoding, self.chunks = encoding, chunks

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        headers = {"content-encoding": self.encoding, "x-request-id": f"req-{KEY}"}
        return httpx2.Response(200, headers=headers, stream=_Body(*self.chunks))


def fetched(encoding: str, *chunks: bytes, key: str = "", cap: int = 1000) -> httpx2.Response:
    async def fetch() -> httpx2.Response:
        transport = CappedTransport(_Sends(encoding, *chunks), [key], cap)
        async with httpx2.AsyncClient(transport=transport) as client:
            return await client.get("http://x/")

    return asyncio.run(fetch())


def test_bodies_are_read_whole_up_to_the_cap() -> None:
    """A body of exactly the cap is read, plain or gzip; one byte more is too large."""
    for size, encode, encoding in ((1000, bytes, ""), (1000, gzip.compress, "gzip")):
        body = encode(b"x" * size)
        assert fetched(encoding, body[:5], body[5:]).content == b"x" * size
        with pytest.raises(BodyTooLarge):
            fetched(encoding, encode(b"x" * (size + 1)))


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", gzip.compress(b"x" * 500)[:-9]), ("gzip", b"plain"), ("br", b"x"), ("zstd", b"x")],
    ids=["cut gzip", "no gzip", "br", "zstd"],
)
def test_bodies_in_the_wrong_encoding_are_no_answer(encoding: str, body: bytes) -> None:
    """Broken gzip, and encodings that were not asked for, are decoding errors."""
    with pytest.raises(httpx2.DecodingError):
        fetched(encoding, body)


def test_a_repeated_key_is_taken_out_of_headers_and_body() -> None:
    """An endpoint that repeats the key does not get it into what is read."""
    response = fetched("", f'{{"said": "{KEY}"}}'.encode(), key=KEY)
    assert response.text == '{"said": "[key]"}'
    assert response.headers["x-request-id"] == "req-[key]"
