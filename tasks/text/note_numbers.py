"""Footnotes of an earlier text under the numbers that a later text gives them.

A new note at the top gives all others new numbers, which is no difference to readers. Here: which
notes of two texts are the same, and the earlier text with the later one's labels. Not here: the
comparison (`text.differences`, `text.changes`), what notes say (`citations.notes`).
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from prefect_llm_reports.tasks.text.fences import outside_fences

NOTE = re.compile(r" {0,3}\[\^[^\]\s]+\]:")
"""The beginning of a line that begins a footnote."""

_LABEL = re.compile(r"(\[\^)([^\]\s]+)(\])")
_INDENT = ("    ", "\t")
_PASSAGE = re.compile(r"\bs\d+-\d+\b")
_CONTEXT = 60
"""Characters before a mention; they tell which of several equal notes belong together."""


@dataclass(frozen=True)
class _Note:
    """A footnote.

    Attributes:
        line: The place of its first line.
        text: The text of that line.
        before: What precedes its first mention.
    """

    line: int
    text: str
    before: str

    @property
    def said(self) -> str:
        """Its text without ids of passages, which differ between prompts."""
        return " ".join(_PASSAGE.sub("", self.text).split())


class _Notes:
    """The footnotes of a text.

    Args:
        text: The text, as Markdown.
    """

    def __init__(self, text: str) -> None:
        self.lines = text.split("\n")
        self.by_label: dict[str, _Note] = {}
        self.labelled: list[int] = []
        found: dict[str, tuple[int, str]] = {}
        before: dict[str, str] = {}
        last = ""
        for at, line in outside_fences(self.lines):
            if "[^" not in line:
                last = line or last
                continue
            note = NOTE.match(line)
            mentions = [*_LABEL.finditer(line)]
            if note:
                found.setdefault(mentions.pop(0)[2], (at, line[note.end() :]))
            self.labelled.append(at)
            for mention in mentions:
                words = _LABEL.sub("", line[: mention.start()]) or last
                before.setdefault(mention[2], words[-_CONTEXT:])
            last = line
        for label, (at, text) in found.items():
            self.by_label[label] = _Note(at, text, before.get(label, ""))


def note_lines(lines: Sequence[str]) -> set[int]:
    """The places of the lines that belong to footnotes, with the indented lines after each.

    Args:
        lines: The lines of a text, as Markdown.
    """
    found: set[int] = set()
    for at, line in outside_fences(lines):
        if NOTE.match(line) or (at - 1 in found and line.startswith(_INDENT)):
            found.add(at)
    return found


def renumbered(old: str, new: str) -> str:
    """The earlier text, its footnotes labelled as in the later one.

    Two notes are the same if they say the same, or if the same words precede their first mention.
    Of several that say the same, those with the same words before them belong together.

    Args:
        old: The earlier text, as Markdown.
        new: The later text.
    """
    if "[^" not in old or "[^" not in new:
        return old
    before, now = _Notes(old), _Notes(new)
    labels = _matched(before.by_label, now.by_label)

    def labelled(found: re.Match[str]) -> str:
        return f"{found[1]}{labels.get(found[2], found[2])}{found[3]}"

    lines = list(before.lines)
    for at in before.labelled:
        lines[at] = _LABEL.sub(labelled, lines[at])
    for label, mine in before.by_label.items():
        theirs = now.by_label.get(labels.get(label, ""))
        if theirs and theirs.said == mine.said:
            lines[mine.line] = now.lines[theirs.line]
    return "\n".join(lines)


def _matched(old: dict[str, _Note], new: dict[str, _Note]) -> dict[str, str]:
    """The new label of each old note that the later text has as well."""
    labels: dict[str, str] = {}
    keys: tuple[Callable[[_Note], Hashable], ...] = (
        lambda note: (note.said, note.before),
        lambda note: note.said,
        lambda note: note.before or None,
    )
    for key in keys:
        taken = set(labels.values())
        waiting: defaultdict[Hashable, deque[str]] = defaultdict(deque)
        for label, note in new.items():
            if label not in taken and key(note) is not None:
                waiting[key(note)].append(label)
        for label, note in old.items():
            if label not in labels and waiting.get(key(note)):
                labels[label] = waiting[key(note)].popleft()
    return labels
