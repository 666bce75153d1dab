"""Joining: the fields of all branches' outputs in one object.

Here: pure functions over names and plain JSON values. Not here: the other merges.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from prefect_llm_reports.tasks.llm.strict_schemas import Json


def joined(names: Sequence[str], fields: Mapping[str, Sequence[str]]) -> dict[str, dict[str, str]]:
    """Name the fields of all branches in one object: for each branch, its fields' new names.

    A field that more than one branch declares gets each branch's name as a suffix. That does not
    depend on who has answered, so the joined form is the same in every run of a program.

    Args:
        names: The branches in order.
        fields: The fields that each branch declares.
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
    """Join the fields of all outputs in one object; None without any output.

    Args:
        names: The branches in order.
        fields: The fields that each branch declares.
        outputs: The branches' outputs; a branch without one is left out.
    """
    called = joined(names, fields)
    merged = {
        called[name].get(field, field): value
        for name in names
        if name in outputs
        for field, value in outputs[name].items()
    }
    return merged if outputs else None
