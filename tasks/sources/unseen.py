"""Characters that no reader sees, and what is said of text that was left out.

Not here: how each file format hides text (`css`, `pdf_file`, `word_file`, `workbook_file`).
"""

from __future__ import annotations

import re
from collections import Counter

_TAGS = re.compile("[\U000e0000-\U000e007f]+")
"""Tag characters, which spell a text that nothing shows."""
_INVISIBLE = re.compile(
    "[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\u115f\u1160\u3164\uffa0\ufffc"
    "\U000e0000-\U000e0fff\U0001d173-\U0001d17a]+"
)
"""Characters without a width, and such as turn the direction of writing."""
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]+")


class Unseen:
    """Text that a reader of the file does not see, counted by the way in which it is hidden."""

    def __init__(self) -> None:
        self._words: Counter[str] = Counter()

    def __call__(self, text: str, how: str) -> None:
        """Note a text that is left out.

        Args:
            text: The text.
            how: How it is hidden: `display: none`.
        """
        if words := len(text.split()):
            self._words[how] += words

    def add(self, other: Unseen) -> None:
        """Add what another one has noted.

        Args:
            other: For a part of the same file.
        """
        self._words.update(other._words)

    def said(self) -> list[str]:
        """One sentence about all of it; none where nothing was left out. The text is not shown."""
        if not self._words:
            return []
        count = sum(self._words.values())
        ways = ", ".join(sorted(self._words))
        words = f"{count:,} word{'' if count == 1 else 's'}"
        return [f"{words} left out that a reader of the file does not see ({ways})"]

    def clean(self, text: str) -> str:
        """A text without characters that nothing shows.

        Args:
            text: As it is stored.
        """
        if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
            return text
        text = _CONTROLS.sub("", text)
        if text.isascii():
            return text
        for found in _TAGS.findall(text):
            spelt = "".join(chr(ord(sign) - 0xE0000) for sign in found)
            if len(spelt) > 8:  # shorter ones are parts of flags
                self(spelt, "tag characters")
        return _INVISIBLE.sub("", text)
