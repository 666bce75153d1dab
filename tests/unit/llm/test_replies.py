"""What responses mean, row by row."""

from __future__ import annotations

import json
from typing import Any

import pytest

from prefect_llm_reports.tasks.contract import errors
from prefect_llm_reports.tasks.contract.errors import CallError
from prefect_llm_reports.tasks.llm.replies import read_reply
from prefect_llm_reports.tasks.llm.response import Response
from prefect_llm_reports.tasks.llm.size_limits import TooLarge
from prefect_llm_reports.tasks.llm.unsupported import Unsupported

HOST, MODEL = "llm.example", "fake-large"
SECRET = "sk-proj-abcdefghijklmnop0123456789"
JSON = {"content-type": "application/json"}


def completion(**message: Any) -> dict[str, Any]:
    return {
        "model": "fake-large-2025",
        "created": 1_700_000_000,
        "choices": [{"finish_reason": "stop", "message": {"content": "# A", **message}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5},
    }


def ended(reason: str, **message: Any) -> dict[str, Any]:
    body = completion(**message)
    body["choices"][0]["finish_reason"] = reason
    return body


def failing(
    status: int, code: Any = None, message: str = "", kind: Any = None, param: Any = None
) -> Response:
    error = {"code": code, "type": kind, "message": message, "param": param}
    return Response(status, JSON, json.dumps({"error": error}).encode())


def ok(body: Any) -> Response:
    return Response(200, JSON, body if isinstance(body, bytes) else json.dumps(body).encode())


def error_of(response: Response) -> CallError:
    with pytest.raises(CallError) as raised:
        read_reply(response, HOST, MODEL)
    return raised.value


def test_a_completion_is_read() -> None:
    """A completion gives its text, model, time and request id."""
    body = completion()
    reply = read_reply(
        Response(200, {**JSON, "x-request-id": "req-1"}, json.dumps(body).encode()), HOST, MODEL
    )
    assert (reply.text, reply.truncated, reply.model) == ("# A", False, "fake-large-2025")
    assert (reply.created, reply.request_id) == (1_700_000_000, "req-1")


def test_a_completion_without_usage_or_names_is_still_an_answer() -> None:
    """Missing or odd usage, model, time and tier leave the answer usable."""
    body = completion() | {"usage": None, "model": 3, "created": True, "service_tier": []}
    reply = read_reply(ok(body), HOST, MODEL)
    assert (reply.text, reply.model, reply.created) == ("# A", MODEL, 0)


def test_a_cut_answer_is_marked_also_when_it_is_empty() -> None:
    """An answer cut at its limit is marked as such, also when reasoning left no text at all."""
    for text in ("# A", "", None, "\ud800"):
        assert read_reply(ok(ended("length", content=text)), HOST, MODEL).truncated


UNAVAILABLE, OVERLOADED = errors.EndpointUnavailable, errors.EndpointOverloaded
ROWS: list[tuple[str, Response, type[CallError], str]] = [
    *((str(s), failing(s), UNAVAILABLE, f"answered {s}") for s in (408, 409, 500, 502, 504, 599)),
    *((str(s), failing(s), OVERLOADED, f"answered {s}") for s in (429, 503, 529)),
    ("html 502", Response(502, {"content-type": "text/html"}, b"<h1>"), UNAVAILABLE, "502"),
    *(
        (code, failing(429, code), errors.QuotaExhausted, "top it up")
        for code in (
            "insufficient_quota",
            "org_spend_limit_exceeded",
            "credit_balance_exhausted",
            "weekly_usage_limit_exceeded",
        )
    ),
    ("quota in type", failing(429, kind="insufficient_quota"), errors.QuotaExhausted, "429"),
    ("402", failing(402), errors.QuotaExhausted, "top it up"),
    ("401", failing(401, "invalid_api_key", SECRET), errors.KeyRejected, "key rejected by llm"),
    ("403", failing(403), errors.KeyRejected, "check OPENAI_API_KEY"),
    ("404", failing(404), errors.ModelNotFound, "model fake-large not found at llm.example"),
    ("too long", failing(400, "context_length_exceeded", "max_tokens"), TooLarge, "400"),
    (
        "too long in words",
        failing(400, message="maximum context length is 8192; reduce max_tokens"),
        TooLarge,
        "8192",
    ),
    ("413", failing(413, message="too big"), errors.CallRejected, "413: too big"),
    ("418 text", Response(418, {}, b"teapot"), errors.CallRejected, "(418: teapot)"),
    ("schema", failing(400, message="response_format not supported"), Unsupported, "400"),
    ("redirect", Response(308, {"location": "https://u:p@x/y?k=1"}, b""), errors.NotAnEndpoint,
     "redirects to https://x/y (308)"),
    ("html", Response(200, {"content-type": "text/html"}, b"<p>"), errors.NotAnEndpoint, "login"),
    ("text", Response(200, {"content-type": "text/plain"}, b"hi"), errors.NotAnEndpoint, "proxy"),
    ("unnamed html", Response(200, {}, b" \n<!doctype html>"), errors.NotAnEndpoint, "no type"),
    ("no json", ok(b"{"), UNAVAILABLE, "broken JSON"),
    ("empty", ok(b""), UNAVAILABLE, "broken JSON"),
    ("bytes", ok(b'{"a": "\xff"}'), UNAVAILABLE, "broken JSON"),
    ("nan", ok(b'{"a": NaN}'), UNAVAILABLE, "without a choice"),
    ("list", ok([]), UNAVAILABLE, "without a completion"),
    ("no choices", ok({"choices": []}), UNAVAILABLE, "without a choice"),
    ("choices a dict", ok({"choices": {"0": 1}}), UNAVAILABLE, "without a choice"),
    ("choice a text", ok({"choices": ["x"]}), UNAVAILABLE, "without a choice"),
    ("null content", ok(completion(content=None)), UNAVAILABLE, "without text"),
    ("blank content", ok(completion(content=" \n")), UNAVAILABLE, "without text"),
    ("parts", ok(completion(content=[{"type": "thinking", "thinking": "x"}])), UNAVAILABLE,
     "without text"),
    ("surrogate", ok(completion(content="a\ud800b")), UNAVAILABLE, "lone surrogate"),
    ("refusal", ok(completion(refusal="I will not")), errors.AnswerRefused, "refused: I will not"),
    ("filter", ok(ended("content_filter", content="x")), errors.AnswerRefused, "content filter"),
    ("error in 200", ok({"error": {"message": "boom"}}), UNAVAILABLE, "answered 200: boom"),
    ("429 in 200", ok({"error": {"type": "rate_limit_error"}}), OVERLOADED, "200 rate_limit_error"),
    ("quota in 200", ok({"error": {"code": "insufficient_quota"}}), errors.QuotaExhausted, "200"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("response", "kind", "says"), [pytest.param(*row[1:], id=row[0]) for row in ROWS]
)
def test_every_response_has_its_class_and_message(
    response: Response, kind: type[CallError], says: str
) -> None:
    """Every response that is no usable completion raises its class and says what was seen."""
    error = error_of(response)
    assert type(error) is kind
    assert says in str(error)
    assert HOST in str(error) or kind is errors.AnswerRefused
    assert SECRET not in str(error)
    assert len(str(error)) < 500


def test_a_model_name_that_cannot_be_kept_is_replaced() -> None:
    """A response that names its model in half a character is booked under the model asked for."""
    assert read_reply(ok(completion() | {"model": "\udc00"}), HOST, MODEL).model == MODEL
