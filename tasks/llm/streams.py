"""A completion that a server streams although it was not asked to, joined into one.

Source: server-sent events with chunks of Chat Completions, or one chunk a line. A comment may stand
before a completion that is no stream.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, cast

UNFINISHED = "unfinished stream"
"""Finish reason of a stream that broke off: neither a reason nor an end was sent."""


_FIELDS = ("data:", "event:", "id:", "retry:", ":")
_LINE = re.compile(r"\r\n|\r|\n")
"""The ends of lines in a stream: other characters that end lines may stand in a chunk's text."""


def is_stream(text: str) -> bool:
    """Whether a body is a stream of server-sent events."""
    return text.lstrip()[:6].startswith(_FIELDS)


def is_lines(text: str) -> bool:
    """Whether a body is a stream of chunks, one a line."""
    lines = [line for line in _LINE.split(text) if line.strip()]
    whole = all(line.startswith("{") and line.rstrip().endswith("}") for line in lines)
    return len(lines) > 1 and whole and '"choices"' in lines[0]


def completion_of(text: str) -> dict[str, Any]:
    """The completion that the chunks of a stream spell.

    Raises:
        ValueError: A chunk is not JSON, or there is none.
    """
    whole: dict[str, Any] = {}
    message: dict[str, Any] = {"role": "assistant"}
    finish: Any = None
    seen = ended = False
    for chunk in _chunks(text):
        if chunk is None:
            ended = True
            continue
        seen = True
        whole.update({k: v for k, v in chunk.items() if k != "choices" and v is not None})
        choices = chunk.get("choices")
        first = cast("list[Any]", choices)[0] if isinstance(choices, list) and choices else None
        if not isinstance(first, dict):
            continue
        choice = cast("dict[str, Any]", first)
        if choice.get("index", 0):
            continue
        if choice.get("error"):
            whole["error"] = choice["error"]
        finish = choice.get("finish_reason") or finish
        part: Any = choice.get("delta") or choice.get("message")
        if isinstance(part, dict):
            _join(message, cast("dict[str, Any]", part), whole_message="message" in choice)
    if not seen:
        raise ValueError("a stream without a chunk")
    reason = finish if finish or ended else UNFINISHED
    if whole.get("error"):  # what was sent before it is no answer
        return whole
    if "content" in message or "tool_calls" in message or finish:
        whole["choices"] = [{"index": 0, "message": message, "finish_reason": reason}]
    return whole


def _chunks(text: str) -> Iterator[dict[str, Any] | None]:
    """The chunks in order; None: the stream says that it is over."""
    data: list[str] = []
    rest: list[str] = []
    for line in [*_LINE.split(text), ""]:
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line.strip() and data:
            said = "\n".join(data).strip()
            data = []
            yield None if said == "[DONE]" else _object(said)
        elif line.strip() and not line.startswith(_FIELDS):
            rest.append(line)
    if is_lines("\n".join(rest)):
        yield from map(_object, rest)
    elif rest:
        yield _object("\n".join(rest))


def _object(said: str) -> dict[str, Any]:
    """A chunk; empty when it is JSON, and no object."""
    found = json.loads(said)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _join(message: dict[str, Any], part: dict[str, Any], *, whole_message: bool) -> None:
    """Add a chunk's part to the message."""
    for name, value in part.items():
        if name == "tool_calls" and isinstance(value, list):
            _join_calls(message.setdefault("tool_calls", []), cast("list[Any]", value))
        elif isinstance(value, str) and isinstance(message.get(name, ""), str) and name != "role":
            message[name] = value if whole_message else message.get(name, "") + value
        elif isinstance(value, list) and isinstance(message.get(name, []), list):
            message[name] = [*message.get(name, []), *cast("list[Any]", value)]
        elif value is not None:
            message[name] = value


def _join_calls(calls: list[dict[str, Any]], parts: list[Any]) -> None:
    for part in parts:
        if not isinstance(part, dict):
            continue
        call = cast("dict[str, Any]", part)
        index = call.get("index", 0)
        at = index if type(index) is int and 0 <= index < 100 else 0
        while len(calls) <= at:
            calls.append({"function": {"name": "", "arguments": ""}})
        function: Any = call.get("function")
        if isinstance(function, dict):
            for name in ("name", "arguments"):
                calls[at]["function"][name] += str(cast("dict[str, Any]", function).get(name) or "")
