"""Values of JSON as text that people read: fields by name, lists by points.

Not here: how values look on pages (`branches.pages`).
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any, cast

INDENT = "  "


def readable(value: Any) -> str:
    """A value as plain text: `name: value` a line, lists as points, what is nested indented.

    Args:
        value: A value of JSON; a text stays as it is.
    """
    return "\n".join(_lines(value))


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, one in cast("dict[str, Any]", value).items():
            yield from _labelled(f"{_label(name)}:", one)
    elif isinstance(value, list):
        for one in cast("list[Any]", value):
            first, *rest = list(_lines(one)) or [""]
            yield f"- {first}"
            yield from (f"{INDENT}{line}" if line else "" for line in rest)
    else:
        yield from (_plain(value).splitlines() or [""])


def _labelled(label: str, value: Any) -> Iterator[str]:
    lines = list(_lines(value))
    if _is_plain(value) and len(lines) == 1:
        yield f"{label} {lines[0]}".rstrip()
        return
    yield label if lines else f"{label} none"
    yield from textwrap.indent("\n".join(lines), INDENT).splitlines()


def _label(name: str) -> str:
    return name.replace("_", " ")


def _is_plain(value: Any) -> bool:
    return not isinstance(value, dict | list)


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return json.dumps(value, ensure_ascii=False)
