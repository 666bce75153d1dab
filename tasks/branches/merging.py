"""Merging the outputs of branches: joining fields, counting votes, ranking by a judge's verdicts.

Pure functions over plain JSON values; asking the judge is `branches.asking`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from prefect_llm_reports.tasks.contract.branch_results import Tally
from prefect_llm_reports.tasks.contract.records import canonical_json
from prefect_llm_reports.tasks.llm.strict_schemas import Json

_QUOTES = "\"'`*_\u2018\u2019\u201c\u201d"
_EDGES = re.compile(rf"^[\s{_QUOTES}(\[]+|[\s{_QUOTES})\].,;:!?]+$")


def joined(names: Sequence[str], fields: Mapping[str, Sequence[str]]) -> dict[str, dict[str, str]]:
    """What each branch's fields are called where all are joined into one object.

    A field that more than one branch declares gets each branch's name as a suffix, whether or not
    the others have answered, so that the joined form depends on the program alone.

    Args:
        names: The branches in order.
        fields: Names of the fields that each declares.
    """
    count = Counter(field for name in names for field in fields[name])
    taken = {field for field, n in count.items() if n == 1}
    called: dict[str, dict[str, str]] = {}
    for name in names:
        called[name] = {}
        for field in fields[name]:
            new = field
            if count[field] > 1:
                new = suffixed = f"{field}_{name}"
                number = 2
                while new in taken:
                    new = f"{suffixed}_{number}"
                    number += 1
                taken.add(new)
            called[name][field] = new
    return called


def concatenated(
    names: Sequence[str], fields: Mapping[str, Sequence[str]], outputs: Mapping[str, Json]
) -> Json | None:
    """The fields of all outputs in one object; branches without one are left out.

    Args:
        names: The branches in order.
        fields: Names of the fields that each declares.
        outputs: What has been answered, by branch; None is returned when nothing has.
    """
    called = joined(names, fields)
    merged = {
        called[name].get(field, field): value
        for name in names
        if name in outputs
        for field, value in outputs[name].items()
    }
    return merged if outputs else None


def normalized(value: Any) -> str:
    """A value's spelling for counting votes: equal for what people would call the same answer.

    Texts lose case, width, surrounding quotes and punctuation, and repeated blanks; a text that is
    a number is that number; lists count without regard to order.
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
    try:
        grouped = re.fullmatch(r"-?\d{1,3}(,\d{3})+", text)
        found = Decimal(text.replace(",", "") if grouped else text)
    except InvalidOperation:
        return None
    return f"number {found.normalize():f}" if found.is_finite() else None


def tallied(votes: Sequence[tuple[str, Any]]) -> tuple[Tally, ...]:
    """Votes counted by value, most first; of equals the one that was cast first.

    Args:
        votes: Branch and value, in branch order.
    """
    counted: dict[str, list[tuple[str, Any]]] = {}
    for name, value in votes:
        counted.setdefault(normalized(value), []).append((name, value))
    return tuple(
        Tally(value=cast_[0][1], votes=len(cast_), branches=tuple(name for name, _ in cast_))
        for cast_ in sorted(counted.values(), key=lambda found: -len(found))
    )
