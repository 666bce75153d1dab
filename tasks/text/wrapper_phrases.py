"""Phrases by which models announce a report, or offer more after it, in many languages.

Here: whether a line is nothing but such a phrase. The patterns, by kind, are in
`wrapper_phrases.yaml`. Not here: where in an answer they are looked for (`text.wrappers`).
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import yaml

PATTERNS = Path(__file__).with_name("wrapper_phrases.yaml")


def announces(line: str) -> bool:
    """Whether a line announces the report that follows, and says nothing else.

    Args:
        line: One paragraph on one line, without marks of emphasis.
    """
    return _announcing().fullmatch(line) is not None


def agrees(line: str) -> bool:
    """Whether a line only agrees to write, such as `Sure!`.

    Args:
        line: One paragraph on one line, without marks of emphasis.
    """
    return _agreeing().fullmatch(line) is not None


def offers(line: str) -> bool:
    """Whether a line only offers the reader of an answer more.

    Args:
        line: One paragraph on one line, without marks of emphasis.
    """
    return _offering().fullmatch(line) is not None


def names_summary(line: str) -> bool:
    """Whether a line is only the name of a summary: `Executive summary`.

    Args:
        line: One paragraph on one line, without marks.
    """
    return _summarizing().fullmatch(line) is not None


@cache
def _announcing() -> re.Pattern[str]:
    signs = r"\s*[!,.:;\u2026\u060c\u3002\u3001\u2014\uff01\uff0c\uff1a-]*\s*"
    return _compiled(
        rf"(?:{_of('agree')}{signs})?{_of('announce')}.*?{_of('report')}.*?[:.!\u2026\u3002\uff1a\uff01]*"
    )


@cache
def _agreeing() -> re.Pattern[str]:
    return _compiled(rf"{_of('agree')}\s*[!.:\u2026\u3002\uff01\uff1a]+")


@cache
def _offering() -> re.Pattern[str]:
    return _compiled(_of("offer"))


@cache
def _summarizing() -> re.Pattern[str]:
    return _compiled(rf"{_of('summary')}\s*[:.\uff1a]?")


def _of(kind: str) -> str:
    return f"(?:{'|'.join(_patterns()[kind])})"


@cache
def _patterns() -> dict[str, list[str]]:
    return yaml.safe_load(PATTERNS.read_text("utf-8"))


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)
