"""Voting: votes for the same value are counted together, however branches spell it.

Here: pure functions over plain JSON values. Not here: quorum and majority (`branches.merging`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from prefect_llm_reports.tasks.contract.branch_results import Tally
from prefect_llm_reports.tasks.contract.records import canonical_json

_QUOTES = "\"'`*_\u2018\u2019\u201c\u201d"
_EDGES = re.compile(rf"^[\s{_QUOTES}(\[]+|[\s{_QUOTES})\].,;:!?]+$")


def normalized(value: Any) -> str:
    """Spell a value for counting: values that people would call the same answer are equal.

    Texts lose case, width, surrounding quotes and punctuation, and repeated blanks. A text that is
    a number counts as that number. The order of a list does not count.
    """
    if isinstance(value, bool) or value is None:
        return canonical_json(value)
    if isinstance(value, int | float):
        return _number(str(value)) or str(value)
    if isinstance(value, str):
        text = " ".join(unicodedata.normalize("NFKC", value).split())
        while (bare := _EDGES.sub("", text)) != text:
            text = bare
        text = text.casefold()
        return _number(text) or f"text {text}"
    if isinstance(value, list):
        return f"[{','.join(sorted(normalized(part) for part in cast('list[Any]', value)))}]"
    items = cast("dict[str, Any]", value).items()
    return canonical_json({name: normalized(part) for name, part in items})


def _number(text: str) -> str | None:
    """Spell a number by all its digits and its exponent, however large they are."""
    try:
        grouped = re.fullmatch(r"-?\d{1,3}(,\d{3})+", text)
        found = Decimal(text.replace(",", "") if grouped else text)
    except InvalidOperation:
        return None
    sign, digits, exponent = found.as_tuple()
    if not isinstance(exponent, int):  # infinite, or no number
        return None
    significant = "".join(map(str, digits)).rstrip("0")
    if not significant:
        return "number 0"
    exponent += len(digits) - len(significant)
    return f"number {'-' * sign}{significant}e{exponent}"


def tallied(votes: Sequence[tuple[str, Any]]) -> tuple[Tally, ...]:
    """Count votes by value, most votes first; among equals the earliest vote comes first.

    Args:
        votes: Branch and value, in branch order.
    """
    counted: dict[str, list[tuple[str, Any]]] = {}
    for name, value in votes:
        counted.setdefault(normalized(value), []).append((name, value))
    return tuple(
        Tally(value=same[0][1], votes=len(same), branches=tuple(name for name, _ in same))
        for same in sorted(counted.values(), key=lambda votes: -len(votes))
    )
