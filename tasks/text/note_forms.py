"""Footnotes that models write in other forms than Markdown's, put into that form.

Models that were asked for `[^1]: s1-3 "exact words"` also write `[1]: s1-3 "…"`, which Markdown
takes for the address of a link, or a list of sources below marks such as `¹`, or `^[s1-3 "…"]`.
Here: notes that name a passage, so that what is meant is certain. Not here: what a note says
(`citations.notes`), numbers of notes compared (`text.note_numbers`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import count, pairwise

from prefect_llm_reports.tasks.text.fences import FENCE, outside_fences
from prefect_llm_reports.tasks.text.note_numbers import note_lines

_PASSAGE = r"s\d{1,6}[-\u2010\u2011]\d{1,6}\b"
_NAMES_PASSAGE = re.compile(rf"(?<![\w-]){_PASSAGE}", re.IGNORECASE)
_SAYS = re.compile(rf"[\[(<*_`\"“„«【 ]*(?:{_PASSAGE}|own\b.{{0,60}}\Z)", re.IGNORECASE)
"""How the text of a note begins, in the asked form and near it."""
_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_LOWERED = str.maketrans(_RAISED, "0123456789")
_LABEL = r"[\w.-]{1,20}"
_SUP = r"<sup>\s*\[?(?P<sup>\d{1,3})\]?\s*</sup>"
_NOTE = re.compile(
    rf" {{0,3}}(?:[-*+] +)?(?:\*\*|__)?(?:\[\^(?P<label>{_LABEL})\]|\[(?P<mark>{_LABEL})\]"
    rf"|(?P<number>\d{{1,3}})[.)](?=\s)|(?P<raised>[{_RAISED}]{{1,3}})|{_SUP})"
    r"(?:\*\*|__)?[ \t]*:?(?:\*\*|__)?[ \t]*(?P<says>\S.*)"
)
_WELL_FORMED = re.compile(rf" {{0,3}}(?:[-*+] +)?\[\^({_LABEL})\]:")
_MENTION = re.compile(
    rf"(?<!!)\[(?P<words>[^\[\]\n]{{1,200}})\]\[(?P<reference>{_LABEL})\](?![(:\[])"
    r"|【(?P<wide>\d{1,3})】"
    rf"|(?<![\]!\\])(?P<marks>(?:\[\^?{_LABEL}(?:\s?[,;]\s?\^?{_LABEL})*\])+)(?![(:\[])"
    rf"|(?:(?<=[^\W\d_]{{4}})|(?<=[.,;:!?)\]\"'\u201d\u2019»。]))(?P<raised>[{_RAISED}]{{1,3}})|{_SUP}"
)
_ID = re.compile(r"s\d{1,6}-\d{1,6}")
_IDS = re.compile(
    rf" ?(?<![\]!\\])[\[(【]\^?({_ID.pattern}(?:\s?[,;]\s?\^?{_ID.pattern})*)[\])】](?![(:\[])"
)
_FOOTNOTE = re.compile(r" ?\[\^[^\]\s]{1,60}\]")
_ALONE = re.compile(rf" {{0,3}}\[\^?{_LABEL}\]:[ \t]*")
_WORD = re.compile(_LABEL)
_INLINE = re.compile(r"\^\[((?:[^\[\]\n]|\[[^\[\]\n]*\]){1,4000})\]")
_CODE = re.compile(r"((`+)(?!`).*?(?<!`)\2(?!`))")


def with_notes(text: str) -> str:
    """A text whose footnotes have the form `[^label]: text`.

    Args:
        text: Markdown as a model wrote it; without the id of any passage it stays as it is.
    """
    if not _NAMES_PASSAGE.search(text):
        return text
    lines = _unfenced(_joined(text.split("\n")))
    labels = _rewritten(lines)
    if labels:
        _in_prose(lines, lambda part: _MENTION.sub(lambda one: _mention(one, labels), part))
    return "\n".join(_defined(_lifted(lines)))


def without_notes(text: str) -> str:
    """A text without its footnotes and their mentions, as a summary is shown.

    Args:
        text: Markdown as a model wrote it.
    """
    lines = with_notes(text).split("\n")
    notes = note_lines(lines)
    if not notes and "[^" not in text:
        return text
    kept = [line for at, line in enumerate(lines) if at not in notes]
    _in_prose(kept, lambda part: _FOOTNOTE.sub("", part))
    return "\n".join(kept)


def _joined(lines: list[str]) -> list[str]:
    """The lines, each label that stands alone with the note on the next line."""
    found = lines[:1]
    for before, line in pairwise(lines):
        if _ALONE.fullmatch(before) and _SAYS.match(line.strip()):
            found[-1] = f"{before.rstrip()} {line.strip()}"
        else:
            found.append(line)
    return found


def _unfenced(lines: list[str]) -> list[str]:
    """The lines without the fences around blocks of nothing but notes."""
    found: list[str] = []
    opened = 0
    fence = ""
    for line in lines:
        mark = FENCE.match(line)
        found.append(line)
        if mark and not fence:
            fence, opened = mark[1], len(found)
        elif mark and mark[1].startswith(fence) and not mark[2].strip():
            fence, inner = "", found[opened:-1]
            if any(map(_names, inner)) and all(_names(one) or not one.strip() for one in inner):
                found[opened - 1 :] = ["", *inner]
    return found


def _names(line: str) -> re.Match[str] | None:
    """The line as a note in whatever form, if it says what notes say."""
    note = _NOTE.fullmatch(line)
    return note if note and _SAYS.match(note["says"]) else None


def _rewritten(lines: list[str]) -> set[str]:
    """Rewrite the notes in other forms, and return their labels; each is mentioned somewhere."""
    notes: dict[int, tuple[str, str]] = {}
    formed: set[str] = set()
    mentioned: set[str] = set()
    for at, line in outside_fences(lines):
        note = _names(line)
        if form := _WELL_FORMED.match(line):
            formed.add(form[1])
        elif note:
            label = note["label"] or note["mark"] or note["number"] or note["sup"]
            notes[at] = label or note["raised"].translate(_LOWERED), note["says"]
        if not note:
            for one in _MENTION.finditer(_CODE.sub("", line)):
                mentioned |= set(_labels(one))
    labels: set[str] = set()
    for at, (label, says) in notes.items():
        if label in mentioned and label not in formed:
            labels.add(label)
            lines[at] = f"[^{label}]: {says}"
    return labels


def _labels(mention: re.Match[str]) -> list[str]:
    """The labels that a mention may mean."""
    if mention["reference"]:
        return [*_WORD.findall(mention["words"])[-1:], mention["reference"]]
    if alone := mention["sup"] or mention["wide"]:
        return [alone]
    if mention["marks"]:
        return _WORD.findall(mention["marks"])
    lowered = mention["raised"].translate(_LOWERED)
    return [lowered, *lowered]


def _mention(mention: re.Match[str], labels: set[str]) -> str:
    """A mention in the form of Markdown; what means no note stays as it is."""
    found = _labels(mention)
    words = mention["words"] or ""
    if mention["raised"]:
        found = found[:1] if found[0] in labels else found[1:]
    elif words in labels:
        words = ""  # two mentions, and no link
    elif words:
        found = found[-1:]
    if not labels.issuperset(found):
        return mention[0]
    return words + "".join(f"[^{label}]" for label in found)


def _lifted(lines: list[str]) -> list[str]:
    """The lines with notes that stood inside sentences at the end."""
    notes: list[str] = []
    names = (f"note-{number}" for number in count(1))

    def lift(found: re.Match[str]) -> str:
        if not _SAYS.match(found[1]):
            return found[0]
        label = next(names)
        notes.append(f"[^{label}]: {found[1].strip()}")
        return f"[^{label}]"

    _in_prose(lines, lambda part: _INLINE.sub(lift, part))
    return [*lines, "", *notes, ""] if notes else lines


def _defined(lines: list[str]) -> list[str]:
    """The lines with a note for each passage that a sentence names by its id alone."""
    formed = {form[1] for _, line in outside_fences(lines) if (form := _WELL_FORMED.match(line))}
    named: dict[str, None] = {}

    def define(found: re.Match[str]) -> str:
        if found[0].lstrip()[0] == "(" and not formed:  # perhaps a name of something else
            return found[0]
        ids = _ID.findall(found[1])
        named.update(dict.fromkeys(ids))
        return "".join(f"[^{id}]" for id in ids)

    _in_prose(lines, lambda part: _IDS.sub(define, part))
    notes = [f"[^{id}]: {id}" for id in named if id not in formed]
    return [*lines, "", *notes, ""] if notes else lines


def _in_prose(lines: list[str], change: Callable[[str], str]) -> None:
    """Change what is neither code nor a note, line by line."""
    notes = note_lines(lines)
    for at, line in [*outside_fences(lines)]:
        if at not in notes:
            lines[at] = "".join(_uncoded(_CODE.split(line), change))


def _uncoded(parts: list[str], change: Callable[[str], str]) -> Iterable[str]:
    for at in range(0, len(parts), 3):
        yield change(parts[at])
        yield from parts[at + 1 : at + 2]
