"""Names of sources, as people write them in one text or as a list.

Not here: which files they name, and whether those may be read (`sources`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

BETWEEN = ";"
"""Stands between the names in one text, since names may hold commas."""


def source_names(value: Any) -> Any:
    """Split a text into names, and leave blank and repeated names out; other values stay.

    Args:
        value: As given: `notes.md; data/costs.csv`, or a list of names. None: no names.
    """
    if value is None:
        return ()
    given = value.replace("\n", BETWEEN).split(BETWEEN) if isinstance(value, str) else value
    if not isinstance(given, list | tuple):
        return given
    names = cast("Sequence[Any]", given)
    if not all(isinstance(name, str) for name in names):
        return names
    stripped = (cast("str", name).strip() for name in names)
    return tuple(dict.fromkeys(name for name in stripped if name))
