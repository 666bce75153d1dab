"""What the formulas of PDF and DOCX have in common: accents, and brackets that grow.

Not here: the formats (`pages.typst_math`, `pages.omml`), the tree (`text.mathml`).
"""

from __future__ import annotations

from collections.abc import Sequence

from prefect_llm_reports.tasks.text.mathml import Math

ACCENTS = {
    "^": "\u0302", "\u02c6": "\u0302", "~": "\u0303", "\u02dc": "\u0303", "\u00af": "\u0304",
    "\u02c9": "\u0304", "\u02d9": "\u0307", ".": "\u0307", "\u00a8": "\u0308", "\u02c7": "\u030c",
    "\u00b4": "\u0301", "`": "\u0300", "\u02d8": "\u0306", "\u2192": "\u20d7", "\u2190": "\u20d6",
    "\u20d7": "\u20d7", "\u02da": "\u030a", "\u20db": "\u20db",
}  # fmt: skip
"""Signs over a letter, each as the mark that combines with it."""
PRIME = "\u2032"
CLOSING = frozenset(")]}⟩⌉⌋⟧|‖")
_OPENING = frozenset("([{⟨⌈⌊⟦|‖")


def fenced_until(parts: Sequence[Math], at: int) -> int:
    """Where brackets end that open at a place and grow with what they hold; 0: none do.

    Args:
        parts: Neighbours.
        at: The place of the first one that is looked at.
    """
    first = parts[at]
    if first.tag != "mo" or first.text not in _OPENING:
        return 0
    if first.attributes.get("form") == "prefix":
        return len(parts)
    more = len(parts) - at
    grown = more > 1 and (parts[at + 1].tag == "mtable" or "minsize" in first.attributes)
    return at + 3 if grown and more > 2 and parts[at + 2].text in CLOSING else 0


class MathReader:
    """Builds the tree of a formula from the tags that a reader of HTML meets."""

    def __init__(self) -> None:
        self._open: list[tuple[str, dict[str, str], list[Math]]] = []
        self._text = ""

    @property
    def reading(self) -> bool:
        """Whether a formula is open."""
        return bool(self._open)

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        """Open an element."""
        self._open.append((tag, attributes, []))
        self._text = ""

    def say(self, text: str) -> None:
        """Take text of the element that is open."""
        self._text += text

    def end(self) -> Math | None:
        """Close an element; the whole formula, once its root is closed."""
        tag, attributes, parts = self._open.pop()
        made = Math(tag, tuple(parts), "" if parts else self._text, attributes)
        self._text = ""
        if not self._open:
            return made
        self._open[-1][2].append(made)
        return None
