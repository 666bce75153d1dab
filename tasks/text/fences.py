"""Code fences among the lines of a Markdown text.

Not here: text without them (`wrappers`), parsing (`markdown`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)\Z")
"""A line that may open or close a block of code: its run of marks, and the rest."""


def outside_fences(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The lines that are no code and border none, each with its place."""
    fence = ""
    for at, line in enumerate(lines):
        mark = FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence) and not mark[2].strip():
            fence = ""
        elif not fence:
            yield at, line


def balanced(lines: Iterable[str]) -> bool:
    """Whether every code fence in these lines is closed."""
    fence = ""
    for line in lines:
        found = FENCE.match(line)
        if not found:
            continue
        run, rest = found[1], found[2].strip()
        if not fence:
            fence = run
        elif run[0] == fence[0] and len(run) >= len(fence) and not rest:
            fence = ""
    return not fence
