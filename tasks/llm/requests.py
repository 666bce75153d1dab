"""The Chat Completions request for a question: its body, and how many tokens it can take."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from typing import Any

from prefect_llm_reports.tasks.contract.calls import Ask, Message
from prefect_llm_reports.tasks.contract.records import canonical_json
from prefect_llm_reports.tasks.llm.strict_schemas import with_enums

SCHEMA_IN_WORDS = """

Answer with one JSON object and nothing else. It must fit this JSON Schema:
{schema}
"""

_GPT = re.compile(r"(?:^|[/:])gpt-(\d{1,2})(?:\.(\d{1,2}))?(?![\d.])", re.I)


def input_bound(ask: Ask, talk: Sequence[Message]) -> int:
    """An upper bound of a request's input tokens: no tokenizer makes more than one of each byte."""
    schema = 0
    if ask.output_schema:
        schema = len(canonical_json(ask.output_schema)) + len(_in_words(ask.output_schema))
    texts = sum(
        len(m.content.encode("utf-8", "surrogatepass")) + 16 for m in (*ask.messages, *talk)
    )
    extra = len(canonical_json(ask.extra_body)) if ask.extra_body else 0
    return texts + schema + extra + 256


def request_body(
    ask: Ask, model: str, talk: Sequence[Message], output_tokens: int, left_out: Collection[str]
) -> dict[str, Any]:
    """The Chat Completions request for a question, in the endpoint's dialect.

    Args:
        ask: The question.
        model: The model to name.
        talk: Messages after the question's own: an unusable answer and its problem.
        output_tokens: Tokens that the answer may have.
        left_out: Parameters that the endpoint does not take.
    """
    messages = [{"role": m.role, "content": m.content} for m in (*ask.messages, *talk)]
    if "system" in left_out:
        messages = _without_system(messages)
    body: dict[str, Any] = {"model": model, "messages": messages}
    if "stream" not in left_out:
        body["stream"] = False
    limit = "max_tokens" if "max_completion_tokens" in left_out else "max_completion_tokens"
    body[limit] = output_tokens
    if ask.temperature is not None and "temperature" not in left_out:
        body["temperature"] = ask.temperature
    if ask.reasoning_effort is not None and "reasoning_effort" not in left_out:
        body["reasoning_effort"] = ask.reasoning_effort
    if writes_cache(model) and not ask.shares_prefix and "prompt_cache_options" not in left_out:
        body["prompt_cache_options"] = {"mode": "explicit"}
    body |= {name: value for name, value in ask.extra_body.items() if name not in left_out}
    if ask.output_schema is not None:
        if "json_schema" not in left_out:
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {
                    "name": ask.output_name or "answer",
                    "schema": _sent_schema(ask, left_out),
                    "strict": True,
                },
            }
        else:
            messages[0]["content"] += _in_words(ask.output_schema)
            if "json_object" not in left_out:
                body["response_format"] = {"type": "json_object"}
    return body


def writes_cache(model: str) -> bool:
    """Whether a model bills what it writes to its cache of prompts: GPT-5.6 and later.

    In explicit mode, without marks in the prompt, nothing is written that nobody reads.
    """
    found = _GPT.search(model)
    return found is not None and (int(found[1]), int(found[2] or 0)) >= (5, 6)


def _sent_schema(ask: Ask, left_out: Collection[str]) -> dict[str, Any]:
    """The form with its bounds, as far as the endpoint takes them.

    A decoder that is bound by the form alone would otherwise answer scores of thousands.
    """
    assert ask.output_schema is not None
    bounded = ask.bounded_schema
    if bounded is None or "enums" in left_out:
        return ask.output_schema
    return with_enums(bounded) if "bounds" in left_out else bounded


def _without_system(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """The messages with the text of system messages before that of the first user message."""
    said = "\n\n".join(m["content"] for m in messages if m["role"] == "system")
    others = [dict(m) for m in messages if m["role"] != "system"]
    if not others or others[0]["role"] != "user":
        return [{"role": "user", "content": said}, *others]
    others[0]["content"] = f"{said}\n\n{others[0]['content']}".lstrip()
    return others


def _in_words(schema: dict[str, Any]) -> str:
    return SCHEMA_IN_WORDS.format(schema=json.dumps(schema, indent=1))
