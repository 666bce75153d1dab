"""The options of a run as its page shows them: model, threshold, audience, then what was chosen.

Here: names and values for people, made from the options in batch.json. Not here: the options
themselves (`contract.options`), the page (`pages.runs`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from prefect_llm_reports.tasks.contract.options import ReportOptions

MAX_VALUE = 600
"""Characters of a value that a page shows; batch.json holds all of it."""

_NAMES = {
    "model": "Model",
    "quality_threshold": "Threshold",
    "audience": "Audience",
    "max_iterations": "Most rounds",
    "language": "Language",
    "length_words": "Length, words",
    "budget_usd": "Budget, USD",
    "deadline_s": "Deadline, s",
    "patience_s": "Patience, s",
    "pages_url": "Address of the pages",
}
"""The names of options; the first ones stand first on the page."""

_ALWAYS = ("audience", "language", "length_words")
"""Options that every reader of a report asks for; shown with their defaults, too."""


def shown_options(options: Mapping[str, Any]) -> list[dict[str, str]]:
    """The options of a run as names and values; none where a run has not recorded them.

    Args:
        options: The options as batch.json holds them, without those at their defaults.
    """
    if not options:
        return []
    fields = ReportOptions.model_fields
    known = {**{name: fields[name].default for name in _ALWAYS}, **options}
    order = [name for name in _NAMES if name in known] + [n for n in known if n not in _NAMES]
    return [
        {"name": _NAMES.get(name, _spoken(name)), "value": _value(known[name])} for name in order
    ]


def _spoken(name: str) -> str:
    """The name of an option in words."""
    return name.replace("_", " ").capitalize()


def _value(value: Any) -> str:
    if value is None or value == "":
        text = "none"
    elif isinstance(value, bool):
        text = "yes" if value else "no"
    elif isinstance(value, list):
        text = ", ".join(_item(item) for item in cast("list[Any]", value)) or "none"
    else:
        text = _item(value)
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 1]}…"


def _item(value: Any) -> str:
    """One value: the name of a critic or the like, a number, a text, else JSON."""
    if isinstance(value, dict):
        named = cast("dict[str, Any]", value)
        return str(named["name"]) if "name" in named else json.dumps(named, ensure_ascii=False)
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)
