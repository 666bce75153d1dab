"""Differences between two texts, for people: by paragraph, and by word in a changed paragraph.

Here: comparison in bounded time; a text that is too long is not compared. Not here: words
(`text.wording`), how pages show differences (`pages.reader`).
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rapidfuzz.distance import LCSseq

from prefect_llm_reports.tasks.text.fences import outside_fences
from prefect_llm_reports.tasks.text.note_numbers import NOTE
from prefect_llm_reports.tasks.text.wording import (
    Likest,
    bare_words,
    pairs_among,
    pairs_of,
    words_of,
)

MAX_CHARS = 200_000
MAX_BLOCKS = 4_000
MAX_WORDS = 4_000
NEAR = 5
SIMILAR, KEPT, MOVED = 0.35, 0.3, 0.4
SHORT = 4
MOST_PARTS = 8
"""Paragraphs that one paragraph may have been split into."""
WITHIN, COVERED = 0.5, 0.6
"""Share of a part's pairs of words that the whole has, and of the whole's that the parts have."""

Kind = Literal["same", "changed", "split", "joined", "moved", "away", "added", "removed"]
Part = tuple[str, str]
Pairs = frozenset[tuple[str, str]]
NO_PAIRS: Pairs = frozenset()

_BORDER = re.compile(rf"\n[ \t]*(?:\n[ \t]*)+|\n(?={NOTE.pattern})")
_WORDY = re.compile(r"\w")


@dataclass(frozen=True)
class Passage:
    """Neighbouring paragraphs that are the same in both texts or have moved, or one that differs.

    Attributes:
        kind: How the new text differs here: `split` and `joined` paragraphs have other borders,
            `moved` ones stood elsewhere, and `away` marks where they stood.
        blocks: The paragraphs; for a changed one, the new text.
        parts: For a changed, split, joined or moved one, its words in order, each run marked
            `same`, `del` or `ins`.
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
    found = matches(before, after)
    moved = _moved(before, after, found)
    arrived = set(moved.values())
    passages: list[Passage] = []
    i = j = 0
    for here, there in [*found, (len(before), len(after))]:
        if here > i or there > j:
            gone = [(before[n], n in moved) for n in range(i, here)]
            come = [(after[n], n in arrived) for n in range(j, there)]
            passages += _rewritten(gone, come)
        if there < len(after):
            passages.append(Passage("same", (after[there],)))
        i, j = here + 1, there + 1
    return list(_gathered(_moved_and_changed(passages)))


def blocks(text: str) -> list[str]:
    """Split at blank lines and before footnotes, but not inside fenced code."""
    if "```" not in text and "~~~" not in text:
        return [part.strip("\n") for part in _BORDER.split(text) if part.strip()]
    found: list[str] = []
    now: list[str] = []
    lines = text.split("\n")
    prose = dict(outside_fences(lines))
    for at, line in enumerate(lines):
        ends = at in prose and (not line.strip() or NOTE.match(line))
        if ends and now:
            found.append("\n".join(now))
            now = []
        if line.strip() or at not in prose:
            now.append(line)
    return [*found, "\n".join(now)] if now else found


def matches(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """The longest common subsequence, as pairs of places in both."""
    return [
        (block.a + n, block.b + n)
        for block in LCSseq.opcodes(old, new).as_matching_blocks()
        for n in range(block.size)
    ]


def _moved(
    old: Sequence[str], new: Sequence[str], found: Sequence[tuple[int, int]]
) -> dict[int, int]:
    """Paragraphs that stand elsewhere unchanged: their old places, each with its new one."""
    still, there = {i for i, _ in found}, {j for _, j in found}
    places: defaultdict[str, deque[int]] = defaultdict(deque)
    for i, text in enumerate(old):
        if i not in still and _WORDY.search(text):
            places[text].append(i)
    return {
        places[text].popleft(): j
        for j, text in enumerate(new)
        if j not in there and places.get(text)
    }


def _rewritten(
    old: Sequence[tuple[str, bool]], new: Sequence[tuple[str, bool]]
) -> Iterator[Passage]:
    """Match paragraphs by the words they share; the others are added or removed.

    Args:
        old: Paragraphs of the old text in this place, and whether each has been moved away.
        new: Those of the new text, and whether each has been moved here.
    """
    words_before = [list[str]() if moved else bare_words(text) for text, moved in old]
    words_now = [list[str]() if moved else bare_words(text) for text, moved in new]
    known = [set(words) for words in words_before]
    single = len(old) < 2 and len(new) < 2
    leaving = [NO_PAIRS if single else pairs_among(words) for words in words_before]
    coming = [NO_PAIRS if single else pairs_among(words) for words in words_now]
    at = n = 0
    while n < len(new):
        text, is_moved = new[n]
        if is_moved:
            yield Passage("moved", (text,), (("same", text),))
            n += 1
            continue
        reach = min(len(old), at + NEAR + max(0, min(20, len(old) - at - (len(new) - n))))
        found = _other_borders(leaving, coming, range(at, reach), n) or (0, 0, 1)
        place, olds, news = found
        if not olds:
            words = set(words_now[n])
            scored = [
                (2 * len(words & known[i]) / (len(words) + len(known[i]) or 1), -i)
                for i in range(at, reach)
            ]
            likeness, back = max(scored, default=(0.0, 0))
            place, olds = -back, int(likeness >= SIMILAR)
        was = "\n\n".join(text for text, _ in old[place : place + olds])
        now = tuple(text for text, _ in new[n : n + news])
        parts = _by_word(was, "\n\n".join(now)) if olds else ()
        if parts:
            yield from map(_gone, old[at:place])
            yield Passage("split" if news > 1 else "joined" if olds > 1 else "changed", now, parts)
            at = place + olds
        else:
            yield from (Passage("added", (text,)) for text in now)
        n += news
    yield from map(_gone, old[at:])


def _gone(paragraph: tuple[str, bool]) -> Passage:
    text, moved = paragraph
    return Passage("away" if moved else "removed", (text,))


def _other_borders(
    old: Sequence[Pairs], new: Sequence[Pairs], near: range, n: int
) -> tuple[int, int, int] | None:
    """Where one paragraph has become several, or several one.

    Args:
        old: Pairs of words of each old paragraph.
        new: Those of each new one.
        near: The old paragraphs that count.
        n: The new paragraph.

    Returns:
        The first old paragraph, the number of old ones, the number of new ones.
    """
    for place in near:
        if len(new[n]) < len(old[place]):
            if parts := _parts_within(old[place], new, n, len(new)):
                return place, 1, parts
        elif parts := _parts_within(new[n], old, place, near.stop):
            return place, parts, 1
    return None


def _parts_within(whole: Pairs, parts: Sequence[Pairs], first: int, end: int) -> int:
    """How many of the next paragraphs, two or more, are made of one; 0: they are not."""
    covered = count = 0
    for place in range(first, min(end, first + MOST_PARTS)):
        part = parts[place]
        shared = len(part & whole)
        if not shared or shared < WITHIN * len(part) or len(part) >= len(whole):
            break
        covered += shared
        count += 1
    return count if count > 1 and covered >= COVERED * len(whole) else 0


def _moved_and_changed(passages: Sequence[Passage]) -> Iterator[Passage]:
    """Take an added paragraph that is like a removed one for the same paragraph, moved."""
    removed = [n for n, passage in enumerate(passages) if passage.kind == "removed"]
    added = [n for n, passage in enumerate(passages) if passage.kind == "added"]
    found: dict[int, Passage] = {}
    taken: set[int] = set()
    if removed and added:
        likest = Likest(passages[n].blocks[0] for n in removed)
        for n in added:
            [text] = passages[n].blocks
            place = None if n in taken else likest.find(text, MOVED)
            if place is None:
                continue
            [was] = passages[removed[place]].blocks
            texts = _parts_of(was, passages, n)
            if parts := _by_word(was, "\n\n".join(texts)):
                likest.take(place)
                found[n] = Passage("moved", texts, parts)
                found[removed[place]] = Passage("away", (was,))
                taken |= set(range(n + 1, n + len(texts)))
    for n, passage in enumerate(passages):
        if n not in taken:
            yield found.get(n, passage)


def _parts_of(was: str, passages: Sequence[Passage], n: int) -> tuple[str, ...]:
    """The added paragraphs that a removed one was split into, or only the first of them."""
    texts: list[str] = []
    for passage in passages[n : n + MOST_PARTS]:
        if passage.kind != "added":
            break
        texts += passage.blocks
    count = _parts_within(pairs_of(was), [pairs_of(text) for text in texts], 0, len(texts))
    return tuple(texts[: max(1, count)])


def _gathered(passages: Iterator[Passage]) -> Iterator[Passage]:
    """Put neighbours together that are shown as one: the same, moved unchanged, or moved away."""
    held: Passage | None = None
    for passage in passages:
        alone = passage.kind == "moved" and any(kind != "same" for kind, _ in passage.parts)
        if held is not None and held.kind == passage.kind and not alone:
            texts = (*held.blocks, *passage.blocks)
            parts = (("same", "\n\n".join(texts)),) if held.parts else ()
            held = Passage(held.kind, texts, parts)
            continue
        if held is not None:
            yield held
        held = None
        if passage.kind in ("same", "away", "moved") and not alone:
            held = passage
        else:
            yield passage
    if held is not None:
        yield held


def _by_word(old: str, new: str) -> tuple[Part, ...]:
    """The words of both in order; nothing if they are too many or share too little."""
    before, after = words_of(old.lstrip()), words_of(new.lstrip())
    if max(len(before), len(after)) > MAX_WORDS:
        return ()
    pairs = matches(bare_words(old), bare_words(new))
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
