"""Anchors of headings, as GitHub makes them, so that links in report.md work there.

Here: the anchor of one heading, and anchors that are unique in a text. Not here: headings found in
a text (`text.markdown`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

NAMELESS = "section"
"""The anchor of a heading without letters and numbers, which has none on GitHub."""

_KEPT = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "Pc"})


def slug(text: str) -> str:
    """Name a heading the way GitHub does.

    Small letters; letters, marks, decimal and letter numbers, connectors such as `_`, hyphens and
    spaces stay, and each space becomes a hyphen.

    Args:
        text: The words of the heading, without markup.
    """
    small = text.strip().lower()
    if small.isascii():
        return "".join(c for c in small if c.isalnum() or c in "_- ").replace(" ", "-")
    kept = (c for c in small if c in "- " or unicodedata.category(c) in _KEPT)
    return "".join(kept).replace(" ", "-")


def anchors_of(texts: Sequence[str]) -> list[str]:
    """The anchors of all headings of a text, in order; a repeated name gets -1, -2 and so on.

    Args:
        texts: The words of each heading.
    """
    anchors: list[str] = []
    taken: set[str] = set()
    again: dict[str, int] = {}

    def unique(base: str) -> str:
        anchor = base
        while anchor in taken:
            again[base] = again.get(base, 0) + 1
            anchor = f"{base}-{again[base]}"
        taken.add(anchor)
        return anchor

    for text in texts:
        base = slug(text)
        anchors.append(unique(base) if base else "")
    # Last, so that a heading without a name takes no other heading's anchor.
    return [anchor or unique(NAMELESS) for anchor in anchors]
