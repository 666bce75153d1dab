"""A completion read from a response: its text and what it took, or the error that it stands for.

Pure reading: nothing waits or counts here. Not here: error bodies (`llm.refusals`), limits named in
headers (`llm.hints`), tokens (`llm.usage`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from prefect_llm_reports.tasks.contract.errors import (
    AnswerRefused,
    EndpointUnavailable,
    NotAnEndpoint,
)
from prefect_llm_reports.tasks.llm.refusals import refusal
from prefect_llm_reports.tasks.llm.response import Response, as_object
from prefect_llm_reports.tasks.text.foreign import shown


@dataclass(frozen=True)
class Reply:
    """A completion that can be used.

    Attributes:
        text: The answer.
        truncated: The answer was cut at the token limit.
        model: The model that answered, as the endpoint names it.
        created: Unix time given by the endpoint; 0: none.
        request_id: The endpoint's id of the request.
    """

    text: str
    truncated: bool
    model: str
    created: int
    request_id: str | None


def read_reply(response: Response, host: str, model: str) -> Reply:
    """Read a response.

    Args:
        response: The response.
        host: The endpoint's host, for messages.
        model: The model that was asked for.

    Raises:
        CallError: No usable completion; the class says what to do about it.
    """
    if response.status != 200:
        raise refusal(response, host, model)
    kind = response.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind.startswith("text/") or response.body.lstrip()[:1] == b"<":
        raise NotAnEndpoint(
            f"a proxy or login page answers at {host} (200, {kind or 'no type'});"
            " check the base URL and whether this network needs a proxy",
            status=200,
            request_id=response.request_id,
        )
    if response.json_error:
        raise _unusable(response, host, f"with broken JSON ({shown(response.json_error, 80)})")
    if not isinstance(response.json, dict):
        raise _unusable(response, host, "without a completion")
    error = as_object(response.fields.get("error"))
    if error and not response.fields.get("choices"):
        limited = "rate_limit" in str(error)
        raise refusal(response, host, model, stands_for=429 if limited else 500)
    return _completion(response, host, model)


def _completion(response: Response, host: str, model: str) -> Reply:
    body = response.fields
    choices = body.get("choices")
    first = cast("list[Any]", choices)[0] if isinstance(choices, list) and choices else None
    choice = as_object(first)
    message = choice.get("message")
    if not isinstance(message, dict):
        raise _unusable(response, host, "without a choice")
    text, cut = _text(as_object(message), choice.get("finish_reason"), response, host, model)
    created, named = body.get("created"), body.get("model")
    return Reply(
        text=text,
        truncated=cut,
        model=named if isinstance(named, str) and named and _is_unicode(named) else model,
        created=created if type(created) is int and created > 0 else 0,
        request_id=response.request_id,
    )


def _text(
    message: dict[str, Any], finish: Any, response: Response, host: str, model: str
) -> tuple[str, bool]:
    """The text of an answer, and whether it was cut at the token limit."""
    if refused := message.get("refusal"):
        raise AnswerRefused(
            f"{model} refused: {shown(str(refused), 300)}; reword the topic or its guidance",
            status=200,
            request_id=response.request_id,
        )
    if finish == "content_filter":
        raise AnswerRefused(
            f"the content filter at {host} withheld the answer; reword the topic or its guidance",
            status=200,
            request_id=response.request_id,
        )
    content = message.get("content")
    text = content if isinstance(content, str) else ""
    if finish == "length":
        return text, True
    if not text.strip():
        raise _unusable(response, host, "without text")
    if not _is_unicode(text):
        raise _unusable(response, host, "with text that is not Unicode (a lone surrogate)")
    return text, False


def _unusable(response: Response, host: str, seen: str) -> EndpointUnavailable:
    return EndpointUnavailable(
        f"{host} answered 200 {seen}", status=200, request_id=response.request_id
    )


def _is_unicode(text: str) -> bool:
    """Whether the text can be sent and kept: JSON escapes can spell half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
