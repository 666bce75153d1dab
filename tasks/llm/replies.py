"""A completion read from a response: its text and what it took, or the error that it stands for.

Pure reading: nothing waits or counts here. Not here: error bodies (`llm.refusals`), limits named in
headers (`llm.hints`), tokens (`llm.usage`), reasoning inside a text (`llm.thinking`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast

from prefect_llm_reports.tasks.contract.errors import (
    AnswerRefused,
    EndpointUnavailable,
    NotAnEndpoint,
)
from prefect_llm_reports.tasks.llm.refusals import (
    failed_generation,
    hidden_status,
    refusal,
    was_cut,
)
from prefect_llm_reports.tasks.llm.response import Response, as_object
from prefect_llm_reports.tasks.llm.thinking import without_reasoning
from prefect_llm_reports.tasks.llm.usage import usage_of
from prefect_llm_reports.tasks.text.foreign import shown

WHOLE = frozenset(
    {"", "stop", "stopped", "stop_sequence", "stop_token", "eos", "eos_token", "end", "end_turn"}
    | {
        "end_of_text",
        "end_of_sequence",
        "complete",
        "completed",
        "finish",
        "finished",
        "done",
        "normal",
        "success",
    }
    | {"none", "null", "tool_calls", "tool_call", "tool_use", "function_call", "stop_str"}
)
"""Finish reasons of whole answers, in small letters; an absent one counts as one."""
CUT = frozenset(
    {"length", "max_tokens", "max_output_tokens", "max_completion_tokens", "max_new_tokens"}
    | {"max_length", "model_length", "token_limit", "context_length", "model_context_window"}
    | {"context_length_exceeded", "model_context_window_exceeded", "incomplete", "limit"}
)
"""Finish reasons of answers that were cut at the token limit."""
WITHHELD = frozenset(
    {"content_filter", "content_filtered", "safety", "blocklist", "recitation"}
    | {"prohibited_content", "spii", "refusal", "guardrail_intervened", "sensitive", "moderation"}
    | {"image_safety", "error_toxic", "policy_violation", "responsible_ai_policy_violation"}
)
"""Finish reasons of answers that a filter withheld."""


@dataclass(frozen=True)
class Reply:
    """A completion that can be used.

    Attributes:
        text: The answer, without the reasoning before it.
        truncated: The answer was cut at the token limit.
        model: The model that answered, as the endpoint names it.
        created: Unix time given by the endpoint; 0: none.
        request_id: The endpoint's id of the request.
        output_tokens: Tokens of the answer, as the endpoint counted them; None: it did not.
        elsewhere: Texts in other fields; one counts if it fits the form that was asked for, and
            there is no text.
    """

    text: str
    truncated: bool
    model: str
    created: int
    request_id: str | None
    output_tokens: int | None = None
    elsewhere: tuple[str, ...] = ()


def read_reply(response: Response, host: str, model: str) -> Reply:
    """Read a response.

    Args:
        response: The response.
        host: The endpoint's host, for messages.
        model: The model that was asked for.

    Raises:
        CallError: No usable completion; the class says what to do about it.
    """
    if (misfit := failed_generation(response)) is not None:
        return _reply(response, model, misfit)
    if was_cut(response):
        return _reply(response, model, "", truncated=True)
    if not response.ok:
        raise refusal(response, host, model)
    kind = response.headers.get("content-type", "").split(";")[0].strip().lower()
    if response.json_error and (
        response.body.lstrip()[:1] == b"<" or (kind.startswith("text/") and response.body.strip())
    ):
        raise NotAnEndpoint(
            f"a proxy or login page answers at {host} (200, {kind or 'no type'});"
            " check the base URL and whether this network needs a proxy",
            status=200,
            request_id=response.request_id,
        )
    if response.json_error:
        raise _unusable(response, host, f"with broken JSON ({shown(response.json_error, 80)})")
    if status := hidden_status(response):
        raise refusal(response, host, model, stands_for=status)
    if not isinstance(response.json, dict):
        raise _unusable(response, host, "without a completion")
    return _completion(response, host, model)


def _completion(response: Response, host: str, model: str) -> Reply:
    choices = response.fields.get("choices")
    first = cast("list[Any]", choices)[0] if isinstance(choices, list) and choices else None
    choice = as_object(first)
    said = _message(choice)
    if not said and _is_blocked(response):
        raise _withheld(response, host)
    if said is None:
        raise _unusable(response, host, "without a choice")
    finish = _finish(choice.get("finish_reason"))
    refused = said.get("refusal") or _refused_part(said.get("content"))
    if refused:
        raise AnswerRefused(
            f"{model} refused: {shown(str(refused), 300)}; reword the topic or its guidance",
            status=200,
            request_id=response.request_id,
        )
    if finish in WITHHELD:
        raise _withheld(response, host)
    written = _text(said.get("content"))
    text = without_reasoning(written)
    if finish in CUT:
        return _reply(response, model, text, truncated=True)
    if finish not in WHOLE:
        raise _unusable(
            response, host, f"an answer that ended as {shown(finish, 40)!r}, which is not whole"
        )
    elsewhere = () if text.strip() else _elsewhere(said)
    if not text.strip() and not elsewhere:
        seen = "with reasoning and no answer" if written.strip() else "without text"
        raise _unusable(response, host, seen)
    if not all(map(_is_unicode, (text, *elsewhere))):
        raise _unusable(response, host, "with text that is not Unicode (a lone surrogate)")
    return _reply(response, model, text, elsewhere=elsewhere)


def _reply(
    response: Response,
    model: str,
    text: str,
    *,
    truncated: bool = False,
    elsewhere: tuple[str, ...] = (),
) -> Reply:
    created, named = response.fields.get("created"), response.fields.get("model")
    usage = usage_of(response.fields)
    return Reply(
        text=text,
        model=named if isinstance(named, str) and named and _is_unicode(named) else model,
        created=created if type(created) is int and created > 0 else 0,
        request_id=response.request_id,
        output_tokens=usage.output_tokens if usage else None,
        truncated=truncated,
        elsewhere=elsewhere,
    )


def _message(choice: dict[str, Any]) -> dict[str, Any] | None:
    """The message of a choice, under whatever name; None: there is none."""
    for name in ("message", "delta"):
        if isinstance(choice.get(name), dict):
            return as_object(choice[name])
    text = choice.get("text")
    return {"content": text} if isinstance(text, str) else None


def _is_blocked(response: Response) -> bool:
    """Whether Gemini says that it blocked the prompt."""
    names = ("promptFeedback", "prompt_feedback")
    fields = response.fields
    told = [as_object(fields.get(name)) for name in names if name in fields]
    found: Any = told[0] if told else {}
    return bool(found.get("blockReason") or found.get("block_reason"))


def _withheld(response: Response, host: str) -> AnswerRefused:
    return AnswerRefused(
        f"the content filter at {host} withheld the answer; reword the topic or its guidance",
        status=200,
        request_id=response.request_id,
    )


def _finish(said: Any) -> str:
    """A finish reason in small letters, without the name of its enumeration or its filter."""
    if said is None:
        return ""
    parts = [_reason(part) for part in str(said).split(":")]
    return next((part for part in parts if part in WITHHELD), parts[-1])


def _reason(said: str) -> str:
    plain = said.strip().lower().rpartition(".")[2].replace(" ", "_").replace("-", "_")
    return plain.removeprefix("finish_reason_")


def _text(content: Any) -> str:
    """The text of a message's content: a string, or parts without those of reasoning."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        return _part(cast("Any", content))
    if isinstance(content, list):
        return "".join(map(_part, cast("list[Any]", content)))
    return ""


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    fields = as_object(part)
    if str(fields.get("type", "text")).lower() not in ("text", "output_text", "message"):
        return ""
    text = fields.get("text", fields.get("content"))
    if isinstance(text, dict):
        text = as_object(cast("Any", text)).get("value")
    return text if isinstance(text, str) else ""


def _refused_part(content: Any) -> str:
    """The refusal among the parts of a content; empty: there is none."""
    parts = cast("list[Any]", content) if isinstance(content, list) else []
    said = [as_object(part).get("refusal") for part in parts]
    return " ".join(text for text in said if isinstance(text, str))


def _elsewhere(message: dict[str, Any]) -> tuple[str, ...]:
    """Texts in which servers hide a structured answer: reasoning, and arguments of a tool call."""
    called: Any = message.get("tool_calls")
    calls = cast("list[Any]", called) if isinstance(called, list) else []
    functions = [as_object(call).get("function") for call in calls]
    arguments = [as_object(f).get("arguments") for f in (*functions, message.get("function_call"))]
    others = [message.get(name) for name in ("reasoning_content", "reasoning", "parsed")]
    if isinstance(message.get("content"), dict):
        others.insert(0, message["content"])
    found = [json.dumps(x) if isinstance(x, dict) else x for x in (*arguments, *others)]
    texts = [without_reasoning(x) or x for x in found if isinstance(x, str) and x.strip()]
    return tuple(dict.fromkeys(texts))


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
