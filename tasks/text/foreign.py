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
"""Replaces a key in foreign text."""

_AUTHORIZATION = re.compile(r"\b(?:bearer|basic)\s+[\w.~+/=*-]{8,}", re.I)
_SECRET = re.compile(r"\b(?:sk|pk|rk|gsk|xai|hf)[-_][\w*.-]{8,}|\bAIza[\w-]{8,}", re.I)
_CREDENTIALS = re.compile(r"(?<=://)[^\s\"'<>]*@")
_IN_QUERY = re.compile(
    r"(?<=[?&;])([\w.%-]*(?:key|token|secret|signature|passw|pwd|credential|auth)[\w.%-]*|sig|sas"
    r"|code|pass|jwt)=[^\s&;\"'<>]+",
    re.I,
)
_OBEYED = re.compile(r"[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Characters that JSON does not escape, and that a terminal may obey."""


def shown(text: str, limit: int = 200) -> str:
    """Shorten foreign text to one line for a message, and hide everything that looks like a key."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split())
    line = without_secrets(_AUTHORIZATION.sub(HIDDEN, line))
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def without_secrets(text: str) -> str:
    """Hide keys, and the users, passwords and keys in addresses, in a text of any length."""
    text = _CREDENTIALS.sub(f"{HIDDEN}@", text) if "://" in text else text
    text = _IN_QUERY.sub(rf"\1={HIDDEN}", text) if "=" in text else text
    return _SECRET.sub(HIDDEN, text)


def printable(text: str, keep: str = "") -> str:
    """Replace each character that a terminal may obey with its Python escape.

    Args:
        text: Text from a file, a folder or a person.
        keep: Unprintable characters to keep, such as the line end.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else ascii(c)[1:-1] for c in text)


def printable_json(text: str) -> str:
    """Write the characters of a JSON document that a terminal may obey as JSON escapes.

    Args:
        text: A JSON document; its line ends stay.
    """
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


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
