"""Error responses, read by status and body into one error class each.

Not here: the shapes of bodies (`llm.error_bodies`), the words that servers use
(`llm.refusal_words`), parameters (`llm.unsupported`) and sizes (`llm.size_limits`) that a refusal
names.
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
from prefect_llm_reports.tasks.llm import refusal_words as words
from prefect_llm_reports.tasks.llm.error_bodies import MESSAGES, ErrorBody
from prefect_llm_reports.tasks.llm.hints import retry_after_s
from prefect_llm_reports.tasks.llm.response import Response, as_object
from prefect_llm_reports.tasks.llm.size_limits import (
    is_about_size,
    is_never_taken,
    limits_named,
)
from prefect_llm_reports.tasks.llm.unsupported import Unsupported, names_a_part, unsupported
from prefect_llm_reports.tasks.text.foreign import shown

__all__ = ["Unsupported", "failed_generation", "hidden_status", "refusal", "was_cut"]

OVERLOADED = frozenset({503, 529})
TRANSIENT = frozenset({408, 409, 424, 425, 500, 502, 504}) | OVERLOADED
LIMITED = frozenset({429, 498})
"""The account's limits, or the capacity for its tier, do not allow a request now."""


def failed_generation(response: Response) -> str | None:
    """The answer that a server refused because it misses the form asked for; None: it did not."""
    error = as_object(response.fields.get("error")) or response.fields
    if response.ok and response.fields.get("choices"):
        return None
    written = error.get("failed_generation")
    if isinstance(written, str):
        return written
    return "" if error.get("code") == "json_validate_failed" else None


def was_cut(response: Response) -> bool:
    """Whether a server refuses its own answer because that reached the limit of its length."""
    return not response.ok and words.CUT.search(ErrorBody.of(response).words) is not None


def hidden_status(response: Response) -> int:
    """The status that an error inside a 200 stands for; 0: it is no error."""
    found = response.json
    fields = response.fields
    choices: Any = fields.get("choices")
    first = cast("list[Any]", choices)[0] if isinstance(choices, list) and choices else None
    told = as_object(first).get("error") or fields.get("error")
    if not choices and isinstance(found, dict):
        names = {str(name).lower() for name in fields}
        told = told or fields.get("errors") or fields.get("object") == "error"
        told = told or not names.isdisjoint((*MESSAGES, "error")) or fields.get("success") is False
    elif not isinstance(found, dict):
        told = isinstance(found, str) or (isinstance(found, list) and "error" in response.text)
    body = ErrorBody.of(response)
    if not told or (choices and not body.words.strip() and not body.status):
        return 0
    return body.status or _status_meant(body)


def _status_meant(body: ErrorBody) -> int:
    """The status that an error without one would have had."""
    said = body.words
    meanings = (
        (words.KEY.search(said), 401),
        (words.QUOTA.search(said), 402),
        (words.OVERLOAD.search(said), 503),
        (words.WITHHELD.search(said) or is_about_size(body), 400),
        (words.RATE.search(said), 429),
        (words.MODEL.search(said) or words.ADDRESS.search(said), 404),
        (names_a_part(body), 400),
    )
    return next((status for known, status in meanings if known), 500)


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
    limited = EndpointOverloaded(f"{host} answered {said}", limited=True, retry_after=wait, **where)
    if status in LIMITED and not _is_about_money(body, wait) and not _is_another(status, body):
        limited.about_quota = words.QUOTA.search(body.words) is not None
        too_large = limits_named(body, said, host, where) if is_never_taken(body) else None
        return too_large or limited
    rejected = CallRejected(
        f"{host} rejected the request ({said}); change what it names, then run the same command"
        " again",
        **where,
    )
    flagged = words.WITHHELD.search(body.words) is not None
    judged = body._replace(message=words.QUOTED.sub("", body.message)) if flagged else body
    concerns_all = _for_all(status, judged, host, model, said, where)
    adaptable = unsupported(status, body, concerns_all or rejected)
    if isinstance(concerns_all, ModelNotFound):
        return adaptable if adaptable and _is_no_model(status, body, adaptable) else concerns_all
    if concerns_all is not None:
        return concerns_all
    if status < 500 and words.NO_CAPACITY.search(f"{body.name} {body.message}"):
        return limited
    broken = status < 500 and words.BROKEN.search(body.message)
    if status in TRANSIENT or status >= 500 or broken:
        kind = EndpointOverloaded if status in OVERLOADED else EndpointUnavailable
        away = kind(f"{host} answered {said}", retry_after=wait, **where)
        return away if broken else adaptable or away
    named = adaptable is not None and adaptable.sure and body.parameter
    if flagged and not named:
        return CallRejected(
            f"{host} refused this prompt ({said}); reword the topic or its guidance", **where
        )
    return limits_named(body, said, host, where) or adaptable or rejected


def _is_about_money(body: ErrorBody, wait: float | None) -> bool:
    """Whether a refusal by the account's limits means its quota or credit, and no throttle.

    Some servers call a throttle `insufficient_quota`: it asks to wait, or speaks of a rate, or has
    words of its own and none about money.
    """
    if not words.QUOTA.search(body.words):
        return False
    if words.MONEY.search(body.message):
        return True
    named = body.message and body.name.lower() == "insufficient_quota"
    return not (wait is not None or words.RATE.search(body.message) or named)


def _is_another(status: int, body: ErrorBody) -> bool:
    """Whether a 498 says something else than a lack of capacity: a bad token, a blocked prompt."""
    another = words.KEY.search(body.words) or words.WITHHELD.search(body.words)
    return status == 498 and another is not None


def _is_no_model(status: int, body: ErrorBody, adaptable: Unsupported) -> bool:
    """Whether a refusal that looks like a missing model is about a part of the request."""
    if body.parameter == "model" or words.MODEL.search(f"{body.code} {body.kind}"):
        return False
    about_parts = words.ABOUT_PARAMETERS.search(body.message) is not None
    return adaptable.sure or (status == 404 and about_parts)


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
    if words.QUOTA.search(body.words) and sure:
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
    elif _is_model(status, body):
        error = ModelNotFound(
            f"model {shown(model, 80)} not found at {host} ({said}); check the model's name and"
            " that the base URL ends as the provider says, often in /v1",
            **where,
        )
    elif status in (401, 403, 407) or (sure and words.KEY.search(body.words)):
        error = KeyRejected(
            f"key rejected by {host} ({said}); check OPENAI_API_KEY or the endpoint block", **where
        )
    if error is not None:
        error.alone = alone
    return error


def _is_model(status: int, body: ErrorBody) -> bool:
    """Whether a refusal means the model, or an address where there is none."""
    if status in (404, 410):
        return True
    if not 400 <= status < 500:
        return status >= 500 and words.MODEL.search(body.code) is not None
    if status in (401, 403, 407) or words.KEY.search(body.words):
        return words.NO_ACCESS.search(body.words) is not None
    return body.parameter == "model" or words.MODEL.search(body.words) is not None


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
