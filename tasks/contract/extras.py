"""Parameters that a person adds to every request, and which of them cannot be added.

Here: the checks of the option `extra_body`. Not here: where they enter a request (`llm.requests`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

MOST_CHARS = 20_000

_NOT_OURS = "it is not read here"
_FORM = "the form of an answer belongs to the step that asks for it"
RESERVED: dict[str, str] = {
    **dict.fromkeys(("model",), "name the model with `model`"),
    **dict.fromkeys(("models", "fallbacks"), "give the option `fallbacks`"),
    **dict.fromkeys(("messages", "prompt", "input"), "change prompts with your own `templates`"),
    **dict.fromkeys(
        (
            *("response_format", "guided_json", "guided_regex", "guided_choice", "grammar"),
            *("guided_grammar", "structured_outputs", "json_schema", "json_object", "format"),
        ),
        _FORM,
    ),
    **dict.fromkeys(
        ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens"),
        "give the option `max_output_tokens`",
    ),
    "temperature": "give the option `temperature`",
    "reasoning_effort": "give the option `reasoning_effort`",
    "service_tier": "give the option `price`",
    **dict.fromkeys(("stream", "stream_options"), "answers are read whole"),
    **dict.fromkeys(("n", "best_of"), "one answer is read; give the option `candidates`"),
    **dict.fromkeys(("background", "functions", "function_call", "tool_choice"), _NOT_OURS),
    **dict.fromkeys(("extra_headers", "headers"), "save headers in an LLM endpoint block"),
}
"""Parameters that an extra body may not name, and what to do instead."""

_SECRET = re.compile(
    r"api[-_]?key|secret|passw|credential|^(?:authorization|bearer|token|auth|pwd)$"
    r"|(?:access|auth|api|id|session|refresh|bearer|security)[-_]?token$",
    re.I,
)


def checked_extra_body(extra: Mapping[str, Any], *, effort: bool) -> None:
    """Refuse parameters that contradict the request they are added to, or hold a secret.

    Args:
        extra: The parameters by name.
        effort: The option `reasoning_effort` is set.

    Raises:
        ValueError: With the parameter, and what to do instead.
    """
    for name in extra:
        if wanted := RESERVED.get(name.strip().lower()):
            raise ValueError(f"names {name!r}, which this program sets; {wanted}")
    if effort and "reasoning" in extra:
        raise ValueError("names 'reasoning' beside the option reasoning_effort; keep one of them")
    for name in _names(extra):
        if _SECRET.search(name):
            raise ValueError(
                f"names {name!r}: a secret would be kept with the run; save it in an LLM endpoint"
                " block, as its key or among its extra headers"
            )
    try:
        written = json.dumps(extra, allow_nan=False)
        written.encode()
    except (TypeError, ValueError, RecursionError):
        raise ValueError("cannot be written as JSON; use texts, numbers, lists, objects") from None
    if len(written) > MOST_CHARS:
        raise ValueError(f"has {len(written):,} characters, at most {MOST_CHARS:,}; shorten it")


def _names(value: Any) -> Iterator[str]:
    """All names in objects, however deep."""
    within = [value]
    while within:
        one = within.pop()
        if isinstance(one, Mapping):
            known = cast("Mapping[Any, Any]", one)
            yield from map(str, known)
            within += known.values()
        elif isinstance(one, list | tuple):
            within += cast("list[Any]", one)
