"""What responses and broken connections mean, row by row."""

from __future__ import annotations

import json
import ssl
from datetime import UTC, datetime
from typing import Any

import pytest

from prefect_llm_reports.tasks.contract import errors
from prefect_llm_reports.tasks.contract.errors import CallError
from prefect_llm_reports.tasks.llm.replies import (
    BodyTooLarge,
    Response,
    Unsupported,
    broken_connection,
    read_reply,
    retry_after_s,
    usage_of,
    used_up_s,
)
from prefect_llm_reports.tasks.text.foreign import shown, strict_json

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


def test_a_completion_is_read_with_what_it_took() -> None:
    """A completion gives its text, model, time, tokens, tier and request id."""
    body = completion() | {"service_tier": "default"}
    reply = read_reply(
        Response(200, {**JSON, "x-request-id": "req-1"}, json.dumps(body).encode()), HOST, MODEL
    )
    assert (reply.text, reply.truncated, reply.model) == ("# A", False, "fake-large-2025")
    assert (reply.created, reply.tier, reply.request_id) == (1_700_000_000, "default", "req-1")
    assert reply.usage is not None
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (10, 5)


def test_a_completion_without_usage_or_names_is_still_an_answer() -> None:
    """Missing or odd usage, model, time and tier leave the answer usable."""
    body = completion() | {"usage": None, "model": 3, "created": True, "service_tier": []}
    reply = read_reply(ok(body), HOST, MODEL)
    assert (reply.usage, reply.model, reply.created, reply.tier) == (None, MODEL, 0, None)


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
    ("too long", failing(400, "context_length_exceeded", "max_tokens"), errors.CallRejected, "400"),
    (
        "too long in words",
        failing(400, message="maximum context length is 8192; reduce max_tokens"),
        errors.CallRejected,
        "8192",
    ),
    ("413", failing(413, message="too big"), errors.CallRejected, "413: too big"),
    ("418 text", Response(418, {}, b"teapot"), errors.CallRejected, "rejected the request (418)"),
    ("schema", failing(400, message="response_format not supported"), Unsupported, "400"),
    ("redirect", Response(308, {"location": "https://u:p@x/y?k=1"}, b""), errors.NotAnEndpoint,
     "redirects to https://x/y (308)"),
    ("html", Response(200, {"content-type": "text/html"}, b"<p>"), errors.NotAnEndpoint, "login"),
    ("text", Response(200, {"content-type": "text/plain"}, b"hi"), errors.NotAnEndpoint, "proxy"),
    ("unnamed html", Response(200, {}, b" \n<!doctype html>"), errors.NotAnEndpoint, "no type"),
    ("no json", ok(b"{"), UNAVAILABLE, "broken JSON"),
    ("empty", ok(b""), UNAVAILABLE, "broken JSON"),
    ("bytes", ok(b'{"a": "\xff"}'), UNAVAILABLE, "broken JSON"),
    ("nan", ok(b'{"a": NaN}'), UNAVAILABLE, "NaN is not a JSON number"),
    ("list", ok([]), UNAVAILABLE, "without a completion"),
    ("no choices", ok({"choices": []}), UNAVAILABLE, "without a choice"),
    ("choices a dict", ok({"choices": {"0": 1}}), UNAVAILABLE, "without a choice"),
    ("choice a text", ok({"choices": ["x"]}), UNAVAILABLE, "without a choice"),
    ("null content", ok(completion(content=None)), UNAVAILABLE, "without text"),
    ("blank content", ok(completion(content=" \n")), UNAVAILABLE, "without text"),
    ("parts", ok(completion(content=[{"text": "x"}])), UNAVAILABLE, "without text"),
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


@pytest.mark.parametrize(
    ("message", "param", "quirk"),
    [
        ("Invalid parameter: response_format json_schema", None, "json_schema"),
        ("'schema' is not permitted", None, "json_schema"),
        ("use 'max_tokens' instead of 'max_completion_tokens'", None, "max_completion_tokens"),
        ("use 'max_completion_tokens' instead", "max_tokens", "max_tokens"),
        ("Only the default (1) value is supported", "temperature", "temperature"),
        ("unknown field max_tokens", None, "max_tokens"),
    ],
)
@pytest.mark.parametrize("status", [400, 422])
def test_a_rejected_parameter_is_named(
    status: int, message: str, param: str | None, quirk: str
) -> None:
    """A 400 that says a parameter is not supported names the parameter to do without."""
    error = error_of(failing(status, "unsupported_parameter", message, param=param))
    assert isinstance(error, Unsupported)
    assert error.parameter == quirk


def test_a_400_about_the_prompt_is_no_rejected_parameter() -> None:
    """A 400 that names no parameter of ours ends the report."""
    assert type(error_of(failing(400, "invalid_prompt", "no."))) is errors.CallRejected


@pytest.mark.parametrize("status", [400, 413, 429, 500, 302])
def test_messages_hold_neither_keys_nor_long_foreign_text(status: int) -> None:
    """Whatever an endpoint sends back, a message holds no key, no header and no long text of it."""
    echo = f"Authorization: Bearer {SECRET}; \x1b[31m\n" + "blah " * 5000
    response = failing(status, code=echo, message=echo, kind=echo)
    headers = {**JSON, "location": f"https://{SECRET}@x/{'y' * 5000}", "x-request-id": echo}
    error = error_of(Response(status, headers, response.body))
    for text in (str(error), error.report().model_dump_json()):
        assert SECRET not in text
        assert len(text) < 900
        assert "\x1b" not in text


def test_foreign_text_is_shown_on_one_bounded_line() -> None:
    """Foreign text is shown printable, on one line, bounded and without what looks like a key."""
    assert shown("a\n\tb\x00c\u202ed") == "a b c d"
    assert len(shown("x" * 1000, 50)) == 50
    assert shown("\ud800") == ""
    for key in (SECRET, "gsk_abcdefgh12345678", "AIzaSyA1234567890", "Bearer abc.def-ghi123"):
        assert shown(f"key {key} is bad") == "key [key] is bad"
    assert shown("model gpt-5-mini, risk-averse") == "model gpt-5-mini, risk-averse"


def test_a_wait_is_carried_by_the_error() -> None:
    """A refusal carries the wait the endpoint asks for."""
    error = error_of(Response(429, {"retry-after": "7"}, b"{}"))
    assert error.retry_after == 7


NOW = datetime(2025, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "3"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "3"}, 3),
        ({"retry-after": "Wed, 01 Jan 2025 12:01:30 GMT"}, 90),
        ({"retry-after": "Wed, 01 Jan 2025 12:01:30 -0000"}, 90),
        ({"retry-after": "Wed, 01 Jan 2025 11:00:00 GMT"}, 0),
        *(({"retry-after": odd}, None) for odd in ("-1", "nan", "inf", "later", "", "1e999")),
    ],
)
def test_the_wait_is_read_in_all_three_forms(
    headers: dict[str, str], seconds: float | None
) -> None:
    """A wait is read from milliseconds, seconds or a date; nonsense is no wait."""
    assert retry_after_s(headers, NOW) == seconds


def used_up(reset: str, left: str = "0", kind: str = "tokens") -> dict[str, str]:
    return {f"x-ratelimit-remaining-{kind}": left, f"x-ratelimit-reset-{kind}": reset}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        (used_up("6m0s"), 360),
        (used_up("1h2m3.5s"), 3723.5),
        (used_up("20ms", kind="requests"), 0.02),
        (used_up("2m59.56s"), 179.56),
        (used_up("12"), 12),
        (used_up("12s", left="1"), 0),
        (used_up("1.2.3s"), 0),
        (used_up(""), 0),
        (used_up("soon"), 0),
        (used_up("1s") | used_up("2s", kind="requests"), 2),
    ],
)
def test_a_used_up_limit_tells_how_long(headers: dict[str, str], seconds: float) -> None:
    """Only a limit that is used up asks for a wait, in any of the forms in use."""
    assert used_up_s(headers) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("NaN", "NaN"),
        ('{"a": -Infinity}', "-Infinity"),
        ('{"a": 1e999}', "1e999"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "'c' appears twice"),
        ('{"a": 1, "\\u0061": 2}', "'a' appears twice"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        (b'"\xff"', "utf-8"),
        (b'"\xed\xa0\x80"', "utf-8"),
        ("{} {}", "Extra data"),
        ("9" * 5000, "digits"),
        ("", "Expecting value"),
    ],
)
def test_what_is_not_strictly_json_is_an_error(text: str | bytes, says: str) -> None:
    """NaN, infinities, duplicate keys, deep nesting and foreign bytes are errors that say so."""
    with pytest.raises(ValueError, match=says):
        strict_json(text)


def test_ordinary_json_is_read() -> None:
    """Ordinary JSON is read, from text and from UTF-8."""
    assert strict_json('{"a": [1, 2.5, null, true]}') == {"a": [1, 2.5, None, True]}
    assert strict_json('"é"'.encode()) == "é"


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


def test_broken_connections_have_their_classes() -> None:
    """An untrusted certificate is fatal, an endless body ends one report, the rest is retried."""
    certificate = ConnectionError("wrapped")
    certificate.__cause__ = ssl.SSLCertVerificationError(1, "self-signed certificate")
    assert type(broken_connection(certificate, HOST)) is errors.CertificateRefused
    endless = ConnectionError()
    endless.__context__ = BodyTooLarge("stopped at 8 MB")
    rejected = broken_connection(endless, HOST)
    assert type(rejected) is errors.CallRejected
    assert "8 MB" in str(rejected)
    reset = broken_connection(ConnectionResetError(104, "reset by peer"), HOST)
    assert type(reset) is errors.EndpointUnavailable
    assert "reset by peer" in str(reset)
    assert "TimeoutError" in str(broken_connection(TimeoutError(), HOST))


def test_a_model_name_that_cannot_be_kept_is_replaced() -> None:
    """A response that names its model in half a character is booked under the model asked for."""
    assert read_reply(ok(completion() | {"model": "\udc00"}), HOST, MODEL).model == MODEL
