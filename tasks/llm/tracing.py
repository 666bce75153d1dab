"""OpenTelemetry: one span for each HTTP request to a model, by the `gen_ai.*` conventions.

Only the API is imported; without a tracer provider a span costs microseconds and is dropped. Spans
hold no prompts and no answers, unless the environment variable named by `CAPTURE` is true.
Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, cast
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.trace import ProxyTracerProvider, Span, SpanKind, StatusCode

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

logger = logging.getLogger(__name__)
_tracer = trace.get_tracer("prefect-llm-reports")


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
    }
    if temperature is not None:
        attributes["gen_ai.request.temperature"] = temperature
    with _tracer.start_as_current_span(
        f"chat {model}",
        kind=SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        if span.is_recording() and _captures():
            said = [_message(m["role"], m["content"]) for m in messages]
            span.set_attribute("gen_ai.input.messages", json.dumps(said))
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
        ("gen_ai.usage.cache_read.input_tokens", details.get("cached_tokens")),
    ):
        if type(count) is int:
            span.set_attribute(name, count)
    choices = body.get("choices")
    found = [_dict(c) for c in cast("list[Any]", choices)] if isinstance(choices, list) else []
    reasons = [str(c["finish_reason"]) for c in found if c.get("finish_reason")]
    if reasons:
        span.set_attribute("gen_ai.response.finish_reasons", reasons)
    if found and _captures():
        said = [
            {
                **_message("assistant", str(_dict(c.get("message")).get("content") or "")),
                "finish_reason": str(c.get("finish_reason") or ""),
            }
            for c in found
        ]
        span.set_attribute("gen_ai.output.messages", json.dumps(said))


def configure_exporter() -> None:
    """Send spans by OTLP if the environment says so and the program has no tracer provider yet.

    Needs the extra `otel`. `OTEL_EXPORTER_OTLP_ENDPOINT` (or `..._TRACES_ENDPOINT`) names the
    collector; all other `OTEL_*` variables mean what OpenTelemetry says.
    """
    wanted = any(
        os.environ.get(name)
        for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    )
    if not wanted or os.environ.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp":
        return
    if not isinstance(trace.get_tracer_provider(), ProxyTracerProvider):
        return
    try:
        exporting: Any = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
        sdk: Any = import_module("opentelemetry.sdk.trace")
        batching: Any = import_module("opentelemetry.sdk.trace.export")
        resources: Any = import_module("opentelemetry.sdk.resources")
    except ImportError as error:
        logger.warning(
            "an OTLP endpoint is set, but spans are not sent: %s; install"
            " 'prefect-llm-reports[otel]'",
            error,
        )
        return
    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    resource = resources.Resource.create({} if named else {"service.name": SERVICE})
    provider = sdk.TracerProvider(resource=resource)
    provider.add_span_processor(batching.BatchSpanProcessor(exporting.OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def _captures() -> bool:
    return os.environ.get(CAPTURE, "").strip().lower() == "true"


def _message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def _dict(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
