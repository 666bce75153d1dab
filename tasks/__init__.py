"""The parts that flows are made of, in rooms.

Here: the rooms alone, each with a docstring that says what lives there and what does not, in this
order from the ground up: contract; text, templates, storage, offline; llm, answers; inputs,
citations, pages, runtime, sources; calls, results; reports, branches; shards. A room imports rooms
of lower floors only.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazily(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Make a package's `__getattr__`, which imports a public name when it is first used.

    Args:
        package: The package's full name.
        homes: The module of each name: one of the package's own, or a full name.
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = homes[name]
        module = import_module(home if "." in home else f"{package}.{home}")
        found = getattr(module, name)
        setattr(sys.modules[package], name, found)
        return found

    return find
