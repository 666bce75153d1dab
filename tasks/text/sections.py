"""Sections of a report.md: each heading with the text up to the next one.

Here: cutting a text at its headings. Not here: sections compared (`text.changes`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from prefect_llm_reports.tasks.text.anchors import anchors_of
from prefect_llm_reports.tasks.text.fences import outside_fences
from prefect_llm_reports.tasks.text.markdown import one_line
from prefect_llm_reports.tasks.text.mathematics import Hidden
from prefect_llm_reports.tasks.text.note_numbers import note_lines

MAX_HEADING = 2000
NOTES = "Notes"
"""Title of the section that holds the footnotes."""

_FRONT = re.compile(r"---\n.*?\n---\n", re.DOTALL)
_CONTENTS = re.compile(r"^\*\*Contents\*\*\n\n(?:- \[[^\n]*\)\n)+\n?", re.MULTILINE)
_HEADING = re.compile(r"(#{1,6}) +(\S.*)")
_MARKUP = re.compile(r"\\([\\`*_\[\]#~<>|])|[*_`]")
_LINK = re.compile(r"\[([^\]\n]*)\]\([^)\n]*\)")
_MENTION = re.compile(r"\[\^[^\]\s]+\]")


@dataclass(frozen=True)
class Section:
    """A heading and the text up to the next one.

    Attributes:
        anchor: The anchor of its heading; empty for the opening, which has the title.
        level: Level of its heading, 1 to 6.
        parent: The place of the section that it belongs to, in the list of all; None: none.
        notes: Whether it holds the footnotes of the others.
    """

    title: str
    anchor: str
    text: str
    level: int = 1
    parent: int | None = None
    notes: bool = False

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Its words; two sections are compared by these, without spaces and line ends."""
        return tuple(self.text.split())


def sections(markdown: str) -> list[Section]:
    """Split a report.md at its headings, without front matter and list of contents.

    Footnotes come last, as a section of their own: those of all sections.
    """
    front = _FRONT.match(markdown)
    body = markdown[front.end() :] if front else markdown
    lines = _CONTENTS.sub("", body, count=1).split("\n")
    notes = note_lines(lines)
    cut = list(_cut([line for at, line in enumerate(lines) if at not in notes]))
    title = [words for level, words, _ in cut[:1] if level and words]
    anchors = ["", *anchors_of([*title, *(words for _, words, _ in cut[1:])])[len(title) :]]
    above: list[tuple[int, int]] = []
    found: list[Section] = []
    for place, ((level, words, text), anchor) in enumerate(zip(cut, anchors, strict=True)):
        while above and above[-1][0] >= level:
            above.pop()
        parent = above[-1][1] if above else None
        above.append((level, place))
        found.append(Section(words, anchor, text, max(1, level), parent))
    if notes:
        text = "\n".join(lines[at] for at in sorted(notes))
        found.append(Section(NOTES, "", text, notes=True))
    return found


def _cut(body: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """Level, heading and text of each section; the opening comes first."""
    level, title, opening = 0, "", True
    lines: list[str] = []
    prose = dict(outside_fences(body))
    for at, line in enumerate(body):
        heading = _HEADING.match(line) if at in prose else None
        if heading is None:
            lines.append(line)
            continue
        words = _plain(heading[2])
        if heading[1] == "#" and opening:  # the title belongs to the opening
            level, title = 1, words
            continue
        yield level, title, "\n".join(lines).strip()
        level, title, lines, opening = len(heading[1]), words, [], False
    yield level, title, "\n".join(lines).strip()


def _plain(heading: str) -> str:
    hidden = Hidden(heading[:MAX_HEADING])
    words = _MARKUP.sub(r"\1", _MENTION.sub("", _LINK.sub(r"\1", hidden.text)))
    return one_line(hidden.shown(words, lambda formula: formula.tex))
