"""What an error response means: its status and its body, read into one error class.

Source of the codes: the error objects of OpenAI and compatible servers.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple, Self

from prefect_llm_reports.tasks.contract.errors import (
    CallError,
    CallRejected,
    EndpointOverloaded,
    EndpointUnavailable,
    KeyRejected,
    ModelNotFound,
    NotAnEndpoint,
    QuotaExhausted,
)
from prefect_llm_reports.tasks.llm.hints import retry_after_s
from prefect_llm_reports.tasks.llm.response import Response, as_object
from prefect_llm_reports.tasks.text.foreign import shown

OVERLOADED = frozenset({503, 529})
TRANSIENT = frozenset({408, 409, 500, 502, 504}) | OVERLOADED
LIMITED = frozenset({429, 498})
"""The account's limits, or the capacity for its tier, do not allow a request now."""

_NO_CAPACITY = re.compile(r"resource[_ ]unavailable|no[_ ]capacity|capacity[_ ]exceeded", re.I)
_RATE = re.compile(
    r"rate.?limit|too many|per (?:second|minute)|\b[rt]pm\b|(?:try|retry) again", re.I
)
_MONEY = re.compile(r"billing|credit|balance|payment|spend|top.?up|purchase|plan\b", re.I)
_QUOTA = re.compile(
    r"insufficient_quota|_spend_limit_exceeded$|^credit_balance_exhausted$|_usage_limit_exceeded$"
    r"|billing_hard_limit_reached|insufficient_balance"
)
_PARAMETERS = {
    "json_schema": re.compile(r"response_format|json_schema|structured output|\bschema\b", re.I),
    "max_completion_tokens": re.compile(r"max_completion_tokens", re.I),
    "max_tokens": re.compile(r"max_tokens", re.I),
    "temperature": re.compile(r"\btemperature\b", re.I),
}
"""Parameters that a request can go without, and how endpoints name them; the first that fits."""
_TOO_LONG = re.compile(r"context[_ ](?:length|window)", re.I)
_TOO_MUCH = re.compile(r"max\w*_tokens\b.*\b(?:too large|at most|exceed|less than|<=)", re.I)


class Unsupported(CallError):
    """The endpoint does not take a parameter; asked again without it, the call may succeed.

    Args:
        parameter: The parameter.
        rejected: The error in case the request did not carry it.
    """

    def __init__(self, parameter: str, rejected: CallRejected) -> None:
        super().__init__(rejected.message, status=rejected.status, request_id=rejected.request_id)
        self.parameter = parameter
        self.rejected = rejected


class ErrorBody(NamedTuple):
    """The fields of an error body; empty where it has none."""

    code: str = ""
    kind: str = ""
    message: str = ""
    parameter: str = ""

    @classmethod
    def of(cls, body: Any) -> Self:
        """Read a parsed body: an error object, inside `error` or bare, or `error` as text."""
        outer = as_object(body)
        error = outer.get("error")
        if isinstance(error, str):
            return cls(message=error)
        fields = as_object(error) if isinstance(error, dict) else outer
        return cls(*(str(fields.get(name) or "") for name in ("code", "type", "message", "param")))

    @property
    def name(self) -> str:
        """The code, or the type where there is no code."""
        return self.code or self.kind


def refusal(
    response: Response, host: str, model: str, *, stands_for: int | None = None
) -> CallError:
    """The error that a response stands for.

    Args:
        response: A response that is no completion.
        host: The endpoint's host, for messages.
        model: The model that was asked for.
        stands_for: The status that the body means, where the response's own is 200.
    """
    status = stands_for or response.status
    body = ErrorBody.of(response.json)
    where: dict[str, Any] = {"status": response.status, "request_id": response.request_id}
    said = f"{response.status}" + (f" {shown(body.name, 60)}" if body.name else "")
    if 300 <= status < 400:
        return _redirect(response, host, where)
    wait = retry_after_s(response.headers, body=response.json)
    short = wait is not None or _RATE.search(body.message)
    throttled = status == 429 and body.name == "insufficient_quota" and short
    if throttled and not _MONEY.search(body.message):
        said += f": {shown(body.message)}" if body.message else ""
        return EndpointOverloaded(
            f"{host} answered {said}", limited=True, about_quota=True, retry_after=wait, **where
        )
    if status == 402 or _QUOTA.search(body.code) or _QUOTA.search(body.kind):
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
    if body.message:
        said += f": {shown(body.message)}"
    if status in LIMITED or (status < 500 and _NO_CAPACITY.search(f"{body.name} {body.message}")):
        return EndpointOverloaded(
            f"{host} answered {said}", limited=True, retry_after=wait, **where
        )
    if status in TRANSIENT:
        overloaded = status in OVERLOADED
        return (EndpointOverloaded if overloaded else EndpointUnavailable)(
            f"{host} answered {said}", retry_after=wait, **where
        )
    if status >= 500:
        return EndpointUnavailable(f"{host} answered {said}", **where)
    return _rejection(status, body, f"{host} rejected the request ({said})", where)


def _redirect(response: Response, host: str, where: dict[str, Any]) -> CallError:
    address = response.headers.get("location", "elsewhere").split("?")[0]
    to = shown(re.sub(r"//[^/]*@", "//", address), 100)
    return NotAnEndpoint(
        f"{host} redirects to {to} ({response.status}), which is not followed; set the base URL to"
        " the endpoint's own address",
        **where,
    )


def _rejection(status: int, body: ErrorBody, said: str, where: dict[str, Any]) -> CallError:
    """The error for a request that the endpoint refuses as it stands."""
    if _TOO_MUCH.search(f"{body.parameter} {body.message}"):
        return CallRejected(f"{said}; choose a smaller max_output_tokens", **where)
    if _TOO_LONG.search(f"{body.code} {body.message}"):
        advice = "choose a model with a longer context, or ask for a shorter report"
        return CallRejected(f"{said}; {advice}", **where)
    rejected = CallRejected(
        f"{said}; change what it names, then run the same command again", **where
    )
    parameter = _unsupported(body) if status in (400, 422) else None
    return Unsupported(parameter, rejected) if parameter else rejected


def _unsupported(body: ErrorBody) -> str | None:
    """The parameter that the endpoint does not take; None: it names none of ours."""
    if body.parameter in _PARAMETERS:
        return body.parameter
    named = f"{body.parameter} {body.message}"
    return next((name for name, known in _PARAMETERS.items() if known.search(named)), None)
