"""Replies of the fake endpoint: the `Reply` type and a factory for every fault.

What lives here: what can be sent and how it is put on the wire, by name. What does not: the server
(`tests.harness.endpoint`) and the ordinary answers (`tests.harness.answers`).

    whole answers     error, status, rate_limited, quota, unauthorized, forbidden, model_not_found,
                      schema_unsupported, max_completion_tokens_unsupported,
                      context_length_exceeded, error_in_200, html, not_json, invalid_utf8, redirect
    odd completions   answer, critique, no_choices, null_content, content_parts, cut_off, filtered,
                      refusal, no_usage, usage; CRITIQUES holds raw critique texts by name
    time              slow, held, hang, drip, stall
    the socket        truncated, reset, disconnect, endless, gzip_bomb
    scripts           no_json_schema, no_max_completion_tokens: reject only what they do not know

Two faults are combined with `dataclasses.replace(html(), latency=0.2)`. A refused connection is the
`base_url` of an endpoint that has been closed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from tests.harness.endpoint import Request

Completion = dict[str, Any]
Delivery = Literal[
    "whole",
    "hang",
    "held",
    "drip",
    "stall",
    "endless",
    "bomb",
    "truncated",
    "reset",
    "cut",
    "close",
]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer; `Reply()` is the default answer to the request, and each field changes a part.

    Attributes:
        status: HTTP status.
        headers: Added to the response, or in place of the standard ones.
        latency: Seconds before the first byte; None: the endpoint's own latency.
        text: The message's content in place of the default text.
        edit: Changes the completion (a dict) in place before it is sent.
        body: These bytes in place of any completion.
        delivery: How the bytes leave: `whole`; `hang` never; `held` whole, but only after
            `Endpoint.release()`; `drip` one byte every `interval` seconds; `stall` half, then
            nothing; `endless` a chunked body without end; `bomb` the same, gzip, 1000 times larger
            once decoded; `truncated` half, then close; `reset` RST before any byte; `cut` half,
            then RST; `close` an orderly close before any byte.
        interval: Seconds between two dripped bytes.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    latency: float | None = None
    text: str | None = None
    edit: Callable[[Completion], object] | None = None
    body: bytes | None = None
    delivery: Delivery = "whole"
    interval: float = 0.05


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


# Whole answers -----------------------------------------------------------------------------------


def error(
    status: int,
    message: str,
    *,
    code: str | None = None,
    kind: str = "invalid_request_error",
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """An error status with the usual JSON error body."""
    body = _json({"error": {"message": message, "type": kind, "param": param, "code": code}})
    return Reply(status=status, headers=headers or {}, body=body)


def status(code: int, *, headers: Mapping[str, str] | None = None) -> Reply:
    """A bare 408, 409, 500, 502, 503, 529 and the like."""
    kind = "server_error" if code >= 500 else "invalid_request_error"
    phrase = HTTPStatus(code).phrase if code in set(HTTPStatus) else "Overloaded"
    return error(code, phrase, kind=kind, headers=headers)


def rate_limited(
    retry_after: float | datetime | None = None,
    *,
    retry_after_ms: float | None = None,
    limits: Mapping[str, str | int] | None = None,
) -> Reply:
    """A plain 429.

    Args:
        retry_after: Seconds, or an aware datetime that is sent as an HTTP date.
        retry_after_ms: Milliseconds for the `retry-after-ms` header.
        limits: `{"remaining-requests": 0, "reset-requests": "1s"}` as x-ratelimit-* headers.
    """
    headers: dict[str, str] = {f"x-ratelimit-{k}": str(v) for k, v in (limits or {}).items()}
    if isinstance(retry_after, datetime):
        headers["retry-after"] = format_datetime(retry_after.astimezone(UTC), usegmt=True)
    elif retry_after is not None:
        headers["retry-after"] = f"{retry_after:g}"
    if retry_after_ms is not None:
        headers["retry-after-ms"] = f"{retry_after_ms:g}"
    message = "Rate limit reached for requests"
    return error(429, message, code="rate_limit_exceeded", kind="requests", headers=headers)


def quota(
    name: str = "insufficient_quota", *, where: Literal["code", "type", "both"] = "both"
) -> Reply:
    """A 429 that no retry helps; the name stands in `code`, in `type` or in both."""
    return error(
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        code=None if where == "type" else name,
        kind="billing_error" if where == "code" else name,
    )


def unauthorized() -> Reply:
    """A 401: the key is not known."""
    return error(401, "Incorrect API key provided.", code="invalid_api_key")


def forbidden() -> Reply:
    """A 403: the key may not do this."""
    return error(403, "Country, region, or territory not supported.", kind="request_forbidden")


def model_not_found(model: str = "model-x") -> Reply:
    """A 404: the model does not exist here."""
    message = f"The model `{model}` does not exist or you do not have access to it."
    return error(404, message, code="model_not_found")


def schema_unsupported() -> Reply:
    """A 400: response_format json_schema is not known."""
    message = (
        "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this "
        "model."
    )
    return error(400, message, param="response_format")


def max_completion_tokens_unsupported() -> Reply:
    """A 400: max_completion_tokens is not known, max_tokens is."""
    message = (
        "Unsupported parameter: 'max_completion_tokens' is not supported with this model. "
        "Use 'max_tokens' instead."
    )
    return error(400, message, code="unsupported_parameter", param="max_completion_tokens")


def context_length_exceeded() -> Reply:
    """A 400: the prompt is longer than the model's context."""
    message = "This model's maximum context length is 8192 tokens. Please reduce the messages."
    return error(400, message, code="context_length_exceeded", param="messages")


def error_in_200(message: str = "upstream provider failed") -> Reply:
    """An error body under status 200."""
    return Reply(body=_json({"error": {"message": message, "type": "upstream", "code": 502}}))


def html(status: int = 200) -> Reply:
    """A proxy's login page."""
    page = b"<!doctype html><html><head><title>Sign in</title></head><body>Sign in</body></html>"
    return Reply(status=status, headers={"content-type": "text/html; charset=utf-8"}, body=page)


def not_json() -> Reply:
    """A 200 that says application/json and breaks off inside a value."""
    return Reply(body=b'{"id": "chatcmpl-1", "choices": [{"message": {"content": ')


def invalid_utf8() -> Reply:
    """A 200 that says application/json and holds bytes that are no UTF-8."""
    return Reply(body=b'{"id": "chatcmpl-\xff\xfe\x80", "choices": []}')


def redirect(location: str, status: int = 307) -> Reply:
    """A redirect; 302, 307 or 308."""
    return Reply(status=status, headers={"location": location}, body=b"")


# Odd completions ---------------------------------------------------------------------------------


def answer(text: str) -> Reply:
    """An ordinary completion with this text as its content."""
    return Reply(text=text)


def critique(score: Any, **fields: Any) -> Reply:
    """A critique with this score; further fields replace the ordinary ones."""
    return answer(json.dumps({**_CRITIQUE, "score": score, **fields}))


def _message(finish_reason: str = "stop", **changes: Any) -> Reply:
    def edit(completion: Completion) -> None:
        completion["choices"][0]["finish_reason"] = finish_reason
        completion["choices"][0]["message"].update(changes)

    return Reply(edit=edit)


def no_choices() -> Reply:
    """A completion whose `choices` is empty."""
    return Reply(edit=lambda completion: completion.update(choices=[]))


def null_content() -> Reply:
    """A completion whose content is null."""
    return _message(content=None)


def content_parts() -> Reply:
    """A completion whose content is a list of parts, none of them text."""
    return _message(content=[{"type": "image_url", "image_url": {"url": "https://h/x.png"}}])


def cut_off() -> Reply:
    """Half of the ordinary text, `finish_reason` length, counted as all the tokens asked for."""
    return cut_at(None)


def cut_at(tokens: int | None) -> Reply:
    """The same with a count of tokens; None: as many as the request allows."""

    def edit(completion: Completion) -> None:
        choice = completion["choices"][0]
        choice["finish_reason"] = "length"
        text = choice["message"]["content"]
        choice["message"]["content"] = text[: len(text) // 2]
        completion["usage"]["completion_tokens"] = tokens

    return Reply(edit=edit)


def filtered() -> Reply:
    """A completion stopped by the provider's content filter."""
    return _message("content_filter", content="")


def refusal(text: str = "I can't help with that.") -> Reply:
    """A completion in which the model refuses."""
    return _message(content=None, refusal=text)


def no_usage() -> Reply:
    """A completion without a usage block."""
    return Reply(edit=lambda completion: completion.pop("usage"))


def usage(input_tokens: int, output_tokens: int) -> Reply:
    """An ordinary completion that reports these token counts."""
    counts = {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
    }
    return Reply(edit=lambda completion: completion["usage"].update(counts))


_CRITIQUE: dict[str, Any] = {
    "score": 8,
    "strengths": ["clear"],
    "improvements": ["more examples"],
    "summary": "Good.",
}
_GOOD = json.dumps(_CRITIQUE)

CRITIQUES: Mapping[str, str] = {
    "fenced": f"```json\n{_GOOD}\n```",
    "prose": f"Here is my judgement:\n\n{_GOOD}\n\nI hope it helps.",
    "two objects": f"{_GOOD}\n{_GOOD.replace('8', '3')}",
    "score is text": _GOOD.replace("8", '"8"'),
    "score is true": _GOOD.replace("8", "true"),
    "score is a fraction": _GOOD.replace("8", "8.5"),
    "score is null": _GOOD.replace("8", "null"),
    "score is NaN": _GOOD.replace("8", "NaN"),
    "score is 11": _GOOD.replace("8", "11"),
    "score is 0": _GOOD.replace("8", "0"),
    "duplicate keys": _GOOD.replace('"score": 8', '"score": 3, "score": 8'),
    "missing fields": '{"score": 8}',
    "unknown field": _GOOD.replace('"score": 8', '"score": 8, "approved": true'),
    "list": f"[{_GOOD}]",
    "broken": _GOOD[:-5],
    "empty": "",
}


# Time and the socket -----------------------------------------------------------------------------


def slow(seconds: float) -> Reply:
    """The ordinary answer after this many seconds."""
    return Reply(latency=seconds)


def held() -> Reply:
    """The ordinary answer once the test calls `Endpoint.release()`."""
    return Reply(delivery="held")


def hang() -> Reply:
    """No answer until the client goes away or the endpoint closes."""
    return Reply(delivery="hang")


def drip(interval: float = 0.05) -> Reply:
    """The ordinary answer, one byte of the body every `interval` seconds."""
    return Reply(delivery="drip", interval=interval)


def stall() -> Reply:
    """Half of the ordinary answer, then nothing."""
    return Reply(delivery="stall")


def truncated() -> Reply:
    """Half of the announced Content-Length, then an orderly close."""
    return Reply(delivery="truncated")


def reset(*, midway: bool = False) -> Reply:
    """RST in place of an answer, or in the middle of it."""
    return Reply(delivery="cut" if midway else "reset")


def disconnect() -> Reply:
    """An orderly close in place of an answer."""
    return Reply(delivery="close")


def endless() -> Reply:
    """A chunked 200 that goes on for ever at about 3 MB/s."""
    return Reply(delivery="endless")


def gzip_bomb() -> Reply:
    """A chunked gzip 200 that goes on for ever: about 1 MB/s sent, 800 MB/s decoded."""
    return Reply(delivery="bomb")


# Scripts -----------------------------------------------------------------------------------------


def no_json_schema(request: Request) -> Reply | None:
    """An endpoint that knows JSON mode but no schemas."""
    wanted = ((request.body or {}).get("response_format") or {}).get("type")
    return schema_unsupported() if wanted == "json_schema" else None


def no_max_completion_tokens(request: Request) -> Reply | None:
    """An endpoint that knows only the older name of the limit."""
    known = "max_completion_tokens" not in (request.body or {})
    return None if known else max_completion_tokens_unsupported()
