"""What a response or a broken connection means: pure reading, no waiting, no counting.

`read_reply` turns a response into a `Reply` that can be used, or raises the error that says what
to do about it. Source of the codes: the error objects of OpenAI and compatible servers.
"""

from __future__ import annotations

import math
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast

from prefect_llm_reports.tasks.contract.errors import (
    AnswerRefused,
    CallError,
    CallRejected,
    CertificateRefused,
    EndpointOverloaded,
    EndpointUnavailable,
    KeyRejected,
    ModelNotFound,
    NotAnEndpoint,
    QuotaExhausted,
)
from prefect_llm_reports.tasks.contract.records import Usage
from prefect_llm_reports.tasks.text.foreign import shown, strict_json

OVERLOADED = frozenset({429, 503, 529})
TRANSIENT = frozenset({408, 409, 500, 502, 504}) | OVERLOADED
_QUOTA = re.compile(
    r"insufficient_quota|_spend_limit_exceeded$|^credit_balance_exhausted$|_usage_limit_exceeded$"
    r"|billing_hard_limit_reached|insufficient_balance"
)
_QUIRKS = {
    "json_schema": re.compile(r"response_format|json_schema|structured output|\bschema\b", re.I),
    "max_completion_tokens": re.compile(r"max_completion_tokens", re.I),
    "max_tokens": re.compile(r"max_tokens", re.I),
    "temperature": re.compile(r"\btemperature\b", re.I),
}
_TOO_LONG = re.compile(r"context[_ ](?:length|window)", re.I)
_TOO_MUCH = re.compile(r"max\w*_tokens\b.*\b(?:too large|at most|exceed|less than|<=)", re.I)
_DURATION = re.compile(
    r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?", re.ASCII
)


class BodyTooLarge(Exception):
    """The decoded body went on past the cap."""


class Unsupported(CallError):
    """The endpoint does not take a parameter; asked again without it, the call may succeed."""

    def __init__(self, parameter: str, rejected: CallRejected) -> None:
        super().__init__(rejected.message, status=rejected.status, request_id=rejected.request_id)
        self.parameter = parameter


@dataclass(frozen=True)
class Response:
    """An HTTP response as it arrived, its body decoded and capped."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def request_id(self) -> str | None:
        """The endpoint's id of the request, as far as it can be shown."""
        said = self.headers.get("x-request-id") or self.headers.get("request-id")
        return shown(said, 100) or None if said else None


@dataclass(frozen=True)
class Reply:
    """A completion that can be used: its text and what it took."""

    text: str
    truncated: bool
    model: str
    created: int
    usage: Usage | None
    tier: str | None
    request_id: str | None


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds the endpoint asks to wait, from `retry-after-ms` or `Retry-After`; None: not said."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    said = headers.get("retry-after")
    if said is None:
        return None
    if (seconds := _number(said)) is not None:
        return seconds
    try:
        until = parsedate_to_datetime(said)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - (now or datetime.now(UTC))).total_seconds())


def used_up_s(headers: Mapping[str, str]) -> float:
    """Seconds until a used-up rate limit has room again, by the `x-ratelimit-*` headers; else 0."""
    wait = 0.0
    for kind in ("requests", "tokens"):
        if headers.get(f"x-ratelimit-remaining-{kind}") == "0":
            reset = headers.get(f"x-ratelimit-reset-{kind}", "").strip()
            match = _DURATION.fullmatch(reset)
            if (seconds := _number(reset)) is not None:
                wait = max(wait, seconds)
            elif reset and match:
                hours, minutes, secs, millis = (float(part or 0) for part in match.groups())
                wait = max(wait, hours * 3600 + minutes * 60 + secs + millis / 1000)
    return wait


def _number(said: str | None) -> float | None:
    try:
        value = float(said) if said is not None else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def broken_connection(
    error: BaseException, host: str, handled: BaseException | None = None
) -> CallError:
    """The error for a request that got no complete response.

    Args:
        error: What the request ended with.
        host: The endpoint's host.
        handled: What was being handled before; Python links it to `error`, but it says nothing.
    """
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link is not handled and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    for link in chain:
        if isinstance(link, BodyTooLarge):
            return CallRejected(f"{host} sent a body without end; {link}")
        if isinstance(link, ssl.SSLCertVerificationError):
            return CertificateRefused(
                f"the TLS certificate of {host} is not trusted ({shown(_verdict(link), 80)});"
                " correct the address or add its authority to SSL_CERT_FILE"
            )
    seen = next((str(link) for link in reversed(chain) if str(link)), type(error).__name__)
    return EndpointUnavailable(f"no answer from {host}: {shown(seen, 120)}")


def _verdict(error: ssl.SSLCertVerificationError) -> str:
    return getattr(error, "verify_message", "") or str(error)


def read_reply(response: Response, host: str, model: str) -> Reply:
    """Read a response.

    Args:
        response: What arrived.
        host: The endpoint's host, for messages.
        model: The model that was asked for.

    Raises:
        CallError: No usable completion; the class says what to do about it.
    """
    if response.status != 200:
        raise _status_error(response, host, model)
    kind = response.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind.startswith("text/") or response.body.lstrip()[:1] == b"<":
        raise NotAnEndpoint(
            f"a proxy or login page answers at {host} (200, {kind or 'no type'});"
            " check the base URL and whether this network needs a proxy",
            status=200,
            request_id=response.request_id,
        )
    try:
        body = strict_json(response.body)
    except ValueError as error:
        raise EndpointUnavailable(
            f"{host} answered 200 with broken JSON ({shown(str(error), 80)})",
            status=200,
            request_id=response.request_id,
        ) from None
    if not isinstance(body, dict):
        raise EndpointUnavailable(f"{host} answered 200 without a completion", status=200)
    return _completion(cast("dict[str, Any]", body), response, host, model)


def usage_of(body: Any) -> Usage | None:
    """Tokens named in a response body, also of a failed one; None when it names none."""
    found: Any = cast("dict[str, Any]", body).get("usage") if isinstance(body, dict) else None
    if not isinstance(found, dict):
        return None
    usage = cast("dict[str, Any]", found)
    counts: list[Any] = [usage.get("prompt_tokens"), usage.get("completion_tokens")]
    if not all(type(count) is int and count >= 0 for count in counts):
        return None
    details = usage.get("prompt_tokens_details")
    cached = (
        cast("dict[str, Any]", details).get("cached_tokens") if isinstance(details, dict) else 0
    )
    cached = cached if type(cached) is int and 0 <= cached <= counts[0] else 0
    return Usage(input_tokens=counts[0], output_tokens=counts[1], cached_input_tokens=cached)


def _completion(body: dict[str, Any], response: Response, host: str, model: str) -> Reply:
    if isinstance(body.get("error"), dict) and not body.get("choices"):
        stands_for = 429 if "rate_limit" in str(body["error"]) else 500
        raise _status_error(
            Response(stands_for, response.headers, response.body), host, model, seen=200
        )
    choices = body.get("choices")
    choice: Any = cast("list[Any]", choices)[0] if isinstance(choices, list) and choices else None
    message: Any = (
        cast("dict[str, Any]", choice).get("message") if isinstance(choice, dict) else None
    )
    if not isinstance(message, dict):
        raise EndpointUnavailable(
            f"{host} answered 200 without a choice", status=200, request_id=response.request_id
        )
    said = cast("dict[str, Any]", message)
    finish = cast("dict[str, Any]", choice).get("finish_reason")
    if refusal := said.get("refusal"):
        raise AnswerRefused(
            f"{model} refused: {shown(str(refusal), 300)}; reword the topic or its guidance",
            status=200,
            request_id=response.request_id,
        )
    if finish == "content_filter":
        raise AnswerRefused(
            f"the content filter at {host} withheld the answer; reword the topic or its guidance",
            status=200,
            request_id=response.request_id,
        )
    text = said.get("content")
    if (not isinstance(text, str) or not text.strip()) and finish != "length":
        raise EndpointUnavailable(
            f"{host} answered 200 without text", status=200, request_id=response.request_id
        )
    if isinstance(text, str) and finish != "length" and not _is_unicode(text):
        raise EndpointUnavailable(
            f"{host} answered 200 with text that is not Unicode (a lone surrogate)",
            status=200,
            request_id=response.request_id,
        )
    created, named, tier = body.get("created"), body.get("model"), body.get("service_tier")
    return Reply(
        text=text if isinstance(text, str) else "",
        truncated=finish == "length",
        model=named if isinstance(named, str) and named and _is_unicode(named) else model,
        created=created if type(created) is int and created > 0 else 0,
        usage=usage_of(body),
        tier=tier if isinstance(tier, str) else None,
        request_id=response.request_id,
    )


def _is_unicode(text: str) -> bool:
    """Whether the text can be sent and kept: JSON escapes can spell half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _status_error(
    response: Response, host: str, model: str, *, seen: int | None = None
) -> CallError:
    status = response.status
    code, kind, message, parameter = _error_fields(response.body)
    where: dict[str, Any] = {"status": seen or status, "request_id": response.request_id}
    said = f"{seen or status}" + (f" {shown(code or kind, 60)}" if code or kind else "")
    detail = f": {shown(message)}" if message else ""
    if 300 <= status < 400:
        address = response.headers.get("location", "elsewhere").split("?")[0]
        to = shown(re.sub(r"//[^/]*@", "//", address), 100)
        return NotAnEndpoint(
            f"{host} redirects to {to} ({status}), which is not followed; set the base URL to"
            " the endpoint's own address",
            **where,
        )
    if status == 402 or _QUOTA.search(code) or _QUOTA.search(kind):
        return QuotaExhausted(
            f"{host} says the quota or credit is used up ({said}); top it up or use another key,"
            " then run the same command again",
            **where,
        )
    if status in (401, 403):
        return KeyRejected(
            f"key rejected by {host} ({said}); check OPENAI_API_KEY or the endpoint block", **where
        )
    if status == 404:
        return ModelNotFound(
            f"model {shown(model, 80)} not found at {host} ({said}); check the model's name and"
            " that the base URL ends as the provider says, often in /v1",
            **where,
        )
    if status in TRANSIENT:
        overloaded = status in OVERLOADED
        return (EndpointOverloaded if overloaded else EndpointUnavailable)(
            f"{host} answered {said}{detail}",
            retry_after=retry_after_s(response.headers),
            **where,
        )
    if status >= 500:
        return EndpointUnavailable(f"{host} answered {said}{detail}", **where)
    advice = "change what it names, then run the same command again"
    if _TOO_MUCH.search(f"{parameter} {message}"):
        advice = "choose a smaller max_output_tokens"
    elif _TOO_LONG.search(f"{code} {message}"):
        advice = "choose a model with a longer context, or ask for a shorter report"
    rejected = CallRejected(f"{host} rejected the request ({said}{detail}); {advice}", **where)
    adaptable = status in (400, 422) and not _TOO_LONG.search(f"{code} {message}")
    if adaptable and not _TOO_MUCH.search(f"{parameter} {message}"):
        if parameter in _QUIRKS:
            return Unsupported(parameter, rejected)
        for quirk, pattern in _QUIRKS.items():
            if pattern.search(f"{parameter} {message}"):
                return Unsupported(quirk, rejected)
    return rejected


def _error_fields(body: bytes) -> tuple[str, str, str, str]:
    """Code, type, message and parameter of an error body; empty where it has none."""
    try:
        found = strict_json(body)
    except ValueError:
        return "", "", "", ""
    error: Any = cast("dict[str, Any]", found).get("error") if isinstance(found, dict) else None
    if isinstance(error, str):
        return "", "", error, ""
    if not isinstance(error, dict):
        error = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    fields = cast("dict[str, Any]", error)
    code, kind, message, parameter = (
        str(fields.get(name) or "") for name in ("code", "type", "message", "param")
    )
    return code, kind, message, parameter
