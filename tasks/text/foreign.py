"""Text and JSON from endpoints and files of others.

Here: such text made short enough for a message and free of keys; JSON parsed strictly. Not here:
what an answer must hold (`llm.answer_forms`).
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any

HIDDEN = "[key]"
"""Stands for a key in foreign text."""

_SECRET = re.compile(
    r"\b(?:bearer|basic)\s+[\w.~+/=*-]{8,}|\b(?:sk|pk|rk|gsk|xai|hf)[-_][\w*.-]{8,}"
    r"|\bAIza[\w-]{8,}",
    re.I,
)


def shown(text: str, limit: int = 200) -> str:
    """Shorten foreign text to one line for a message, and hide everything that looks like a key."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split())
    line = _SECRET.sub(HIDDEN, line)
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def strict_json(text: str | bytes) -> Any:
    """Parse JSON; NaN, infinities and duplicate keys are errors.

    Raises:
        ValueError: The text is not such JSON; the message says why.
    """

    def no_constant(name: str) -> Any:
        raise ValueError(f"{name} is not a JSON number")

    def finite(number: str) -> float:
        value = float(number)
        return value if math.isfinite(value) else no_constant(shown(number, 40))

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            counts = Counter(name for name, _ in pairs)
            twice = counts.most_common(1)[0][0]
            raise ValueError(f"the key {shown(twice, 40)!r} appears twice")
        return found

    if isinstance(text, bytes):
        text = text.decode("utf-8")
    try:
        return json.loads(
            text, parse_constant=no_constant, parse_float=finite, object_pairs_hook=unique
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
