"""OpenTelemetry: a span for each question and for each request, by the `gen_ai.*` conventions.

Only the API is imported; without a tracer provider a span costs microseconds and is dropped. Spans
hold no prompts and no answers, unless the environment variable named by `CAPTURE` is true.
Attributes of OpenInference stand beside them, for Phoenix. Not here: spans of runs and topics
(`runtime.traces`), where spans are sent (`runtime.trace_export`).
Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
SERVICE = "llm-reports"
_PROVIDERS = {
    "openai.azure.com": "azure.ai.openai",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.x.ai": "x_ai",
    "api.perplexity.ai": "perplexity",
    "offline.invalid": "offline",
}
_PORTS = {"https": 443, "http": 80}

_tracer = trace.get_tracer("prefect-llm-reports")
tracer_of_run: ContextVar[Tracer | None] = ContextVar("llm_reports_tracer", default=None)
"""The tracer of the present run; None: the program's own."""
session_of_spans: ContextVar[str] = ContextVar("llm_reports_session", default="")
"""The session that spans belong to: the present run."""

span_of_item: ContextVar[Span | None] = ContextVar("llm_reports_item_span", default=None)
"""The span that questions belong to. Prefect's engine may put one of its own between the two."""


def current_tracer() -> Tracer:
    """The tracer of the present run, else the program's own."""
    return tracer_of_run.get() or _tracer


@contextmanager
def step_span(step: str, label: str, item: str) -> Generator[None]:
    """Trace one question until its answer is accepted, however many requests that takes.

    Args:
        step: The step of the report, as `draft`.
        label: Which one it is, as `critique 2 · Tidal power`.
        item: The slug of the report, whose title the span's name leaves out, as its parent has it.
    """
    attributes = {
        "llm_reports.step": step,
        "llm_reports.item": item,
        "openinference.span.kind": "CHAIN",
        **_session(),
    }
    name, item_span = label.partition(" · ")[0], span_of_item.get()
    with current_tracer().start_as_current_span(
        name,
        context=trace.set_span_in_context(item_span) if item_span else None,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except BaseException as error:
            failed(span, getattr(error, "kind", type(error).__name__))
            raise


@contextmanager
def chat_span(
    base_url: str,
    model: str,
    *,
    step: str,
    item: str,
    attempt: int,
    max_tokens: int,
    temperature: float | None,
    messages: Sequence[dict[str, str]],
) -> Generator[Span]:
    """Trace one request to a model.

    Args:
        base_url: The endpoint's address.
        model: The model that is asked for.
        step: The step of the report, as `draft`.
        item: Slug of the report.
        attempt: Number of the request within its call, from 1.
        max_tokens: Tokens that the answer may have.
        temperature: Sampling temperature; None: not sent.
        messages: Role and content of each message; kept only when `CAPTURE` is true.
    """
    address = urlsplit(base_url)
    host = address.hostname or ""
    attributes: dict[str, str | int | float] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": next(
            (name for ending, name in _PROVIDERS.items() if host.endswith(ending)), "openai"
        ),
        "gen_ai.request.model": model,
        "gen_ai.request.max_tokens": max_tokens,
        "server.address": host,
        "server.port": address.port or _PORTS.get(address.scheme, 0),
        "llm_reports.step": step,
        "llm_reports.item": item,
        "llm_reports.attempt": attempt,
        "openinference.span.kind": "LLM",
        "llm.model_name": model,
        **_session(),
    }
    if temperature is not None:
        attributes["gen_ai.request.temperature"] = temperature
    with current_tracer().start_as_current_span(
        f"chat {model}",
        kind=SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        if span.is_recording() and captures():
            said = [_message(m["role"], m["content"]) for m in messages]
            span.set_attribute("gen_ai.input.messages", json.dumps(said))
            span.set_attribute("input.value", json.dumps(list(messages)))
            span.set_attribute("input.mime_type", "application/json")
        try:
            yield span
        except BaseException as error:
            failed(span, getattr(error, "kind", type(error).__name__))
            raise


def failed(span: Span, kind: str) -> None:
    """Mark a request as failed; the first kind is kept.

    Args:
        span: The request's span.
        kind: The error's stable name. Its text stays out, since it may quote an answer.
    """
    if span.is_recording() and "error.type" not in (getattr(span, "attributes", None) or {}):
        span.set_attribute("error.type", kind)
        span.set_status(StatusCode.ERROR)


def describe_response(span: Span, status: int, body: dict[str, Any]) -> None:
    """Add the facts of a response to a span.

    Args:
        span: The request's span.
        status: HTTP status.
        body: The parsed body; empty when it is not a JSON object.
    """
    if not span.is_recording():
        return
    span.set_attribute("http.response.status_code", status)
    for name, key in (("gen_ai.response.id", "id"), ("gen_ai.response.model", "model")):
        if isinstance(said := body.get(key), str):
            span.set_attribute(name, said)
    usage = _dict(body.get("usage"))
    details = _dict(usage.get("prompt_tokens_details"))
    for name, count in (
        ("gen_ai.usage.input_tokens", usage.get("prompt_tokens")),
        ("gen_ai.usage.output_tokens", usage.get("completion_tokens")),
        ("llm.token_count.prompt", usage.get("prompt_tokens")),
        ("llm.token_count.completion", usage.get("completion_tokens")),
        ("gen_ai.usage.cache_read.input_tokens", details.get("cached_tokens")),
    ):
        if type(count) is int:
            span.set_attribute(name, count)
    choices = body.get("choices")
    found = [_dict(c) for c in cast("list[Any]", choices)] if isinstance(choices, list) else []
    reasons = [str(c["finish_reason"]) for c in found if c.get("finish_reason")]
    if reasons:
        span.set_attribute("gen_ai.response.finish_reasons", reasons)
    if found and captures():
        said = [
            {
                **_message("assistant", str(_dict(c.get("message")).get("content") or "")),
                "finish_reason": str(c.get("finish_reason") or ""),
            }
            for c in found
        ]
        span.set_attribute("gen_ai.output.messages", json.dumps(said))
        answers = [str(_dict(c.get("message")).get("content") or "") for c in found]
        span.set_attribute("output.value", "\n".join(answers))


def captures() -> bool:
    """Whether spans hold texts: what was asked, and what was answered."""
    return os.environ.get(CAPTURE, "").strip().lower() == "true"


def _session() -> dict[str, str]:
    """The attributes that say which run a span belongs to."""
    run = session_of_spans.get()
    return {"session.id": run, "gen_ai.conversation.id": run} if run else {}


def _message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def _dict(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
