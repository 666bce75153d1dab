"""Differences between two texts, for people: by paragraph, and by word in a changed paragraph.

Here: comparison in bounded time; a text that is too long is not compared. Not here: how pages show
differences (`pages.reader`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rapidfuzz.distance import LCSseq

MAX_CHARS = 200_000
MAX_BLOCKS = 4_000
MAX_WORDS = 4_000
NEAR = 5
SIMILAR, KEPT = 0.35, 0.3
SHORT = 4

Kind = Literal["same", "changed", "added", "removed"]
Part = tuple[str, str]

_WIDE = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\U00020000-\U0003ffff"
_UNSPACED = re.compile(f"[{_WIDE}]")
_WORD = re.compile(r"\S+\s*")
_ANY_WORD = re.compile(rf"[{_WIDE}]\s*|[^\s{_WIDE}]+\s*")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


@dataclass(frozen=True)
class Passage:
    """Neighbouring paragraphs that are the same in both texts, or one that differs.

    Attributes:
        kind: How the new text differs here.
        blocks: The paragraphs; for a changed one, the new text.
        parts: For a changed paragraph, its words in order, each run marked `same`, `del` or `ins`.
    """

    kind: Kind
    blocks: tuple[str, ...]
    parts: tuple[Part, ...] = ()


def differences(old: str, new: str) -> list[Passage] | None:
    """How each paragraph differs, in order; None: a text is too long to compare."""
    if max(len(old), len(new)) > MAX_CHARS:
        return None
    before, after = blocks(old), blocks(new)
    if max(len(before), len(after)) > MAX_BLOCKS:
        return None
    passages: list[Passage] = []
    same: list[str] = []
    i = j = 0
    for here, there in [*matches(before, after), (len(before), len(after))]:
        if here > i or there > j:
            if same:
                passages.append(Passage("same", tuple(same)))
                same = []
            passages.extend(_rewritten(before[i:here], after[j:there]))
        if there < len(after):
            same.append(after[there])
        i, j = here + 1, there + 1
    if same:
        passages.append(Passage("same", tuple(same)))
    return passages


def blocks(text: str) -> list[str]:
    """Split at blank lines, but not inside fenced code."""
    if "```" not in text and "~~~" not in text:
        return [
            part.strip("\n") for part in re.split(r"\n[ \t]*(?:\n[ \t]*)+", text) if part.strip()
        ]
    found: list[str] = []
    lines: list[str] = []
    fence = ""
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        if line.strip() or fence:
            lines.append(line)
        elif lines:
            found.append("\n".join(lines))
            lines = []
    return [*found, "\n".join(lines)] if lines else found


def matches(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """The longest common subsequence, as pairs of places in both."""
    return [
        (block.a + n, block.b + n)
        for block in LCSseq.opcodes(old, new).as_matching_blocks()
        for n in range(block.size)
    ]


def _rewritten(old: Sequence[str], new: Sequence[str]) -> Iterator[Passage]:
    """Match paragraphs by the words they share; the others are added or removed."""
    known = [_vocabulary(text) for text in old]
    at = 0
    for n, text in enumerate(new):
        words = _vocabulary(text)
        reach = min(len(old), at + NEAR + max(0, min(20, len(old) - at - (len(new) - n))))
        scored = [
            (2 * len(words & known[i]) / (len(words) + len(known[i]) or 1), -i)
            for i in range(at, reach)
        ]
        likeness, place = max(scored, default=(0.0, 0))
        parts = _by_word(old[-place], text) if likeness >= SIMILAR else ()
        if not parts:
            yield Passage("added", (text,))
            continue
        for gone in old[at:-place]:
            yield Passage("removed", (gone,))
        yield Passage("changed", (text,), parts)
        at = 1 - place
    for gone in old[at:]:
        yield Passage("removed", (gone,))


def _vocabulary(text: str) -> set[str]:
    """The distinct words of a text; the characters of a script without spaces."""
    if text.isascii() or not _UNSPACED.search(text):
        return set(text.split())
    return {word.rstrip() for word in _ANY_WORD.findall(text)}


def _by_word(old: str, new: str) -> tuple[Part, ...]:
    """The words of both in order; nothing if they are too many or share too little."""
    plain = old.isascii() and new.isascii()
    cut = _WORD if plain else _ANY_WORD
    before, after = cut.findall(old.lstrip()), cut.findall(new.lstrip())
    if max(len(before), len(after)) > MAX_WORDS:
        return ()
    if plain:
        pairs = matches(old.split(), new.split())
    else:
        pairs = matches([w.rstrip() for w in before], [w.rstrip() for w in after])
    if len(pairs) < KEPT * min(len(before), len(after)):
        return ()
    runs: list[Part] = []
    i = j = 0
    start = end = -1
    for here, there in [*pairs, (len(before), len(after))]:
        if here == i and there == j:
            start, end = (there if start < 0 else start), there + 1
        else:
            if start >= 0:
                runs.append(("same", "".join(after[start:end])))
            runs.append(("del", "".join(before[i:here])))
            runs.append(("ins", "".join(after[j:there])))
            start, end = there, there + 1
        i, j = here + 1, there + 1
    if start >= 0:
        runs.append(("same", "".join(after[start:end])))
    return tuple(_joined([run for run in runs if run[1]]))


def _joined(runs: list[Part]) -> Iterator[Part]:
    """Merge changes that only a word or two separates, and leave spaces at their ends unmarked."""
    gone = come = kept = ""
    for n, (kind, text) in enumerate([*runs, ("same", "")]):
        if kind == "del":
            gone += text
        elif kind == "ins":
            come += text
        elif (gone or come) and n + 1 < len(runs) and len(text.strip()) < SHORT:
            gone, come = gone + text, come + text
        else:
            for marked, words in (("del", gone), ("ins", come)):
                if words:
                    if kept:
                        yield "same", kept
                    shown = words.rstrip()
                    yield marked, shown
                    kept = words[len(shown) :]
            kept += text
            gone = come = ""
    if kept:
        yield "same", kept
