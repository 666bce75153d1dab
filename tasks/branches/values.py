"""Values of branches as a page shows them: each as what it is.

Here: texts as cleaned Markdown, code with its indentation, lists as points, lists of objects as
tables or cards, objects as fields. Not here: the page (`branches.pages`), values as plain text
(`text.readable`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, cast

from prefect_llm_reports.tasks.templates.sandbox import Html
from prefect_llm_reports.tasks.text.cleaning import cleaned
from prefect_llm_reports.tasks.text.html import html_of
from prefect_llm_reports.tasks.text.markdown import well_formed

MAX_DEPTH = 6
"""Values that are nested deeper are shown as JSON."""
MAX_SHOWN = 500
"""Items of a list that a page shows."""
MAX_COLUMNS, MAX_CELL = 6, 160
"""Columns of a list of objects as a table, and characters of a cell; others become cards."""

_CODE_NAMES = re.compile(
    r"(?:^|_)(?:code|source_code|snippet|script|sql|regex|command|commands|program|patch|diff|css|"
    r"html|xml|yaml|toml|json|config|stacktrace|traceback|implementation|pseudocode|dockerfile)$",
    re.IGNORECASE,
)
_CODE_LINE = re.compile(
    r"[ \t]+\S|.*[;{}()\[\],]\s*$|\s*(?:#!|//|/\*|@\w|</?\w|import |from \w+ import |def |class |"
    r"function |const |let |var |return\b|public |private |#include|package |use |fn |SELECT "
    r"|INSERT |UPDATE |CREATE |WITH |\w+ ?= ?\S)",
)
_MARKDOWN_LINE = re.compile(r"\s*(?:[-*+] |\d+[.)] |#{1,6} |>|\||```|~~~)")
_TITLE = "\ufdd0"
"""Stands for the title that a value does not have; no text holds this character."""

Shown = dict[str, Any]


class Values:
    """The values of one page; each text has anchors of its own."""

    def __init__(self) -> None:
        self._texts = count(1)

    def fields(self, output: Any) -> list[Shown]:
        """The fields of an output by name, in order; another value is one field without a name.

        Args:
            output: The output of a branch, or what was merged; None: there is none.
        """
        if output is None:
            return []
        if isinstance(output, dict):
            return self._fields(cast("dict[str, Any]", output), 1)
        return [{"name": "", "value": self._value("", output, 1)}]

    def _fields(self, found: dict[str, Any], depth: int) -> list[Shown]:
        return [
            {"name": _label(name), "value": self._value(name, value, depth)}
            for name, value in found.items()
        ]

    def _value(self, name: str, value: Any, depth: int) -> Shown:
        if isinstance(value, str):
            return self._text(name, value)
        if isinstance(value, dict | list) and value:
            if depth > MAX_DEPTH:
                text = json.dumps(value, ensure_ascii=False, indent=2)
                return {"kind": "code", "text": well_formed(text)}
            if isinstance(value, dict):
                fields = self._fields(cast("dict[str, Any]", value), depth + 1)
                return {"kind": "fields", "fields": fields}
            return self._list(name, cast("list[Any]", value), depth)
        return {"kind": "plain", "text": _plain(value)}

    def _list(self, name: str, items: list[Any], depth: int) -> Shown:
        more, items = max(0, len(items) - MAX_SHOWN), items[:MAX_SHOWN]
        if all(isinstance(item, dict) for item in items):
            objects = cast("list[dict[str, Any]]", items)
            columns = list(dict.fromkeys(key for item in objects for key in item))
            if len(columns) <= MAX_COLUMNS and all(map(_fits, _cells(objects))):
                rows = [
                    [self._value(key, item.get(key, ""), depth + 1) for key in columns]
                    for item in objects
                ]
                return {
                    "kind": "table",
                    "columns": [_label(key) for key in columns],
                    "rows": rows,
                    "more": more,
                }
            cards = [self._fields(item, depth + 1) for item in objects]
            return {"kind": "cards", "cards": cards, "more": more}
        points = [self._value(name, item, depth + 1) for item in items]
        return {"kind": "points", "points": points, "more": more}

    def _text(self, name: str, text: str) -> Shown:
        text = well_formed(text)
        if not text.strip():
            return {"kind": "plain", "text": "-"}
        if is_code(name, text):
            return {"kind": "code", "text": text.strip("\n")}
        parsed = cleaned(text, _TITLE)
        titled = bool(parsed.headings) and parsed.headings[0].text != _TITLE
        html = html_of(
            parsed,
            with_title=titled,
            place=f"v{next(self._texts)}-",
            deeper=2 if titled else 1,
        )
        return {"kind": "text", "html": Html(html)}


def is_code(name: str, text: str) -> bool:
    """Whether a text is code, by the name of its field or by its lines.

    Args:
        name: The name of the field; empty: none.
        text: The text.
    """
    lines = [line for line in text.strip().split("\n")[:400] if line.strip()]
    marked = sum(bool(_MARKDOWN_LINE.match(line)) for line in lines)
    if "```" in text or "~~~" in text:
        return False
    if _CODE_NAMES.search(name):
        return marked <= len(lines) / 2
    like = sum(bool(_CODE_LINE.match(line)) for line in lines)
    return len(lines) > 2 and like >= 0.6 * len(lines) and marked < 0.3 * len(lines)


def _cells(objects: Sequence[dict[str, Any]]) -> Iterator[Any]:
    for item in objects:
        yield from item.values()


def _fits(value: Any) -> bool:
    """Whether a value can stand in a cell."""
    if isinstance(value, str):
        return len(value) <= MAX_CELL and "\n" not in value.strip()
    return not isinstance(value, dict | list) or not value


def _label(name: str) -> str:
    return name.replace("_", " ")


def _plain(value: Any) -> str:
    if value is None or value == [] or value == {}:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return json.dumps(value, ensure_ascii=False)
