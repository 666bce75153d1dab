"""What an error response means: its status and its body, read into one error class.

Not here: the shapes of bodies (`llm.error_bodies`), parameters and limits that a refusal names
(`llm.unsupported`). Source of the codes: the error objects of OpenAI and compatible servers.
"""

from __future__ import annotations

import re
from typing import Any, cast

from prefect_llm_reports.tasks.contract.errors import (
    CallError,
    CallRejected,
    EndpointOverloaded,
    EndpointUnavailable,
    FatalCallError,
    KeyRejected,
    ModelNotFound,
    NotAnEndpoint,
    QuotaExhausted,
)
from prefect_llm_reports.tasks.llm.error_bodies import ErrorBody
from prefect_llm_reports.tasks.llm.hints import retry_after_s
from prefect_llm_reports.tasks.llm.response import Response, as_object
from prefect_llm_reports.tasks.llm.size_limits import is_never_taken, limits_named
from prefect_llm_reports.tasks.llm.unsupported import Unsupported, unsupported
from prefect_llm_reports.tasks.text.foreign import shown

__all__ = ["Unsupported", "failed_generation", "hidden_status", "refusal"]

OVERLOADED = frozenset({503, 529})
TRANSIENT = frozenset({408, 409, 425, 500, 502, 504}) | OVERLOADED
LIMITED = frozenset({429, 498})
"""The account's limits, or the capacity for its tier, do not allow a request now."""

_NO_CAPACITY = re.compile(r"resource[_ ]unavailable|no[_ ]capacity|capacity[_ ]exceeded", re.I)
_RATE = re.compile(
    r"rate.?limit|too many|per (?:second|minute)|\b[rt]pm\b|(?:try|retry) again"
    r"|RESOURCE_EXHAUSTED|throttl",
    re.I,
)
_MONEY = re.compile(r"billing|credit|balance|payment|spend|top.?up|purchase|plan\b", re.I)
_QUOTA = re.compile(
    r"insufficient_quota|_spend_limit_exceeded\b|\bcredit_balance_exhausted\b"
    r"|_usage_limit_exceeded\b|billing_hard_limit_reached|insufficient_balance|budget_exceeded"
    r"|insufficient (?:balance|credits?|funds)|credit balance is too low|exceeded (?:your )?budget"
    r"|budget has been exceeded|payment required",
    re.I,
)
_KEY = re.compile(
    r"\b(?:api[ _-]?key|access token|auth\w* token|credentials?)\b.{0,40}"
    r"\b(?:not valid|invalid|incorrect|missing|expired|revoked|not found|required)"
    r"|\b(?:invalid|incorrect|missing|expired|revoked|unknown|no)[ _](?:\w+[ _])?api[ _-]?key"
    r"|invalid_api_key|authentication_error|invalid authentication|no connected db",
    re.I,
)
_MODEL = re.compile(
    r"model_not_found|model_not_supported|invalid_model|unknown_model"
    r"|\bmodel\b.{0,80}\b(?:does not exist|not found|not exist|is not supported|not available"
    r"|unknown|not a valid)|\b(?:unknown|invalid|no such|unsupported)\s+model\b"
    r"|not a valid model|invalid model name",
    re.I,
)
_OVERLOAD = re.compile(r"overloaded|over capacity|server is busy|at capacity|try again later", re.I)
_WITHHELD = re.compile(
    r"content[_ ]?(?:policy|filter|management)|moderation|flagged|safety system|responsible.?ai"
    r"|data policy|invalid_prompt|prohibited content|usage policies",
    re.I,
)


def failed_generation(response: Response) -> str | None:
    """The answer that a server refused because it misses the form asked for; None: it did not."""
    error = as_object(response.fields.get("error")) or response.fields
    if response.status == 200 and response.fields.get("choices"):
        return None
    written = error.get("failed_generation")
    if isinstance(written, str):
        return written
    return "" if error.get("code") == "json_validate_failed" else None


def hidden_status(response: Response) -> int:
    """The status that an error inside a 200 stands for; 0: it is no error."""
    fields = response.fields
    choices: Any = fields.get("choices")
    first = cast("list[Any]", choices)[0] if isinstance(choices, list) and choices else None
    inside = as_object(first).get("error")
    if inside is None and choices:
        return 0
    found = inside or fields.get("error") or fields.get("errors")
    told = fields.get("object") == "error" or (found is None and "message" in fields)
    listed = isinstance(response.json, list) and "error" in response.text
    if not found and not told and not listed:
        return 0
    body = ErrorBody.of(response)
    if body.status:
        return body.status
    meanings = [(_KEY, 401), (_QUOTA, 402), (_RATE, 429), (_OVERLOAD, 503), (_MODEL, 404)]
    return next((status for known, status in meanings if known.search(body.words)), 500)


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
    body = ErrorBody.of(response)
    where: dict[str, Any] = {"status": response.status, "request_id": response.request_id}
    said = f"{response.status}" + (f" {shown(body.name, 60)}" if body.name else "")
    if 300 <= status < 400:
        return _redirect(response, host, where)
    if body.message:
        said += f": {shown(body.message)}"
    wait = retry_after_s(response.headers, body=response.json)
    if status == 429 and _QUOTA.search(body.words):
        short = wait is not None or _RATE.search(body.message)
        if short and not _MONEY.search(body.message):
            return EndpointOverloaded(
                f"{host} answered {said}",
                limited=True,
                about_quota=True,
                retry_after=wait,
                **where,
            )
    limited = EndpointOverloaded(f"{host} answered {said}", limited=True, retry_after=wait, **where)
    if status in LIMITED and not _QUOTA.search(body.words):
        too_large = limits_named(body, said, host, where) if is_never_taken(body) else None
        return too_large or limited
    concerns_all = _for_all(status, body, host, model, said, where)
    if concerns_all is not None:
        return concerns_all
    if status < 500 and _NO_CAPACITY.search(f"{body.name} {body.message}"):
        return limited
    rejected = CallRejected(
        f"{host} rejected the request ({said}); change what it names, then run the same command"
        " again",
        **where,
    )
    adaptable = unsupported(status, body, rejected)
    if status in TRANSIENT or status >= 500:
        kind = EndpointOverloaded if status in OVERLOADED else EndpointUnavailable
        return adaptable or kind(f"{host} answered {said}", retry_after=wait, **where)
    names_a_part = adaptable is not None and adaptable.sure and body.parameter
    if _WITHHELD.search(body.words) and not names_a_part:
        return CallRejected(
            f"{host} refused this prompt ({said}); reword the topic or its guidance", **where
        )
    if named := limits_named(body, said, host, where):
        return named
    return adaptable or rejected


def _for_all(
    status: int, body: ErrorBody, host: str, model: str, said: str, where: dict[str, Any]
) -> FatalCallError | None:
    """A refusal that concerns key, account or model, in whatever status; None: it does not.

    Where a gateway may mean one prompt by it, `alone` is the error for that prompt.
    """
    alone = CallRejected(
        f"{host} refused this request ({said}); reword the topic or its guidance, or ask another"
        " model",
        **where,
    )
    sure = status < 500 or stands_alone(body)
    error: FatalCallError | None = None
    if _QUOTA.search(body.words) and sure:
        error = QuotaExhausted(
            f"{host} says the quota or credit is used up ({said}); top it up or use another key,"
            " then run the same command again",
            **where,
        )
        alone = None
    elif status == 402:
        error = QuotaExhausted(
            f"{host} asks for payment ({said}); top it up or use another key, then run"
            " the same command again",
            **where,
        )
    elif status in (401, 403, 407) or (sure and _KEY.search(body.words)):
        error = KeyRejected(
            f"key rejected by {host} ({said}); check OPENAI_API_KEY or the endpoint block", **where
        )
    elif status == 404 or (400 <= status < 500 and _MODEL.search(body.words)):
        error = ModelNotFound(
            f"model {shown(model, 80)} not found at {host} ({said}); check the model's name and"
            " that the base URL ends as the provider says, often in /v1",
            **where,
        )
    if error is not None:
        error.alone = alone
    return error


def stands_alone(body: ErrorBody) -> bool:
    """Whether a body of a server error names its cause by a code."""
    return bool(body.code or body.kind)


def _redirect(response: Response, host: str, where: dict[str, Any]) -> CallError:
    address = response.headers.get("location", "elsewhere").split("?")[0]
    to = shown(re.sub(r"//[^/]*@", "//", address), 100)
    return NotAnEndpoint(
        f"{host} redirects to {to} ({response.status}), which is not followed; set the base URL to"
        " the endpoint's own address",
        **where,
    )
