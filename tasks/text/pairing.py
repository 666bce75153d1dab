"""Sections of two reports paired: by parent and heading, then by their text.

Here: the pairs, and which of them stand in another place. Not here: sections (`text.sections`),
their differences as people read them (`text.changes`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence

from prefect_llm_reports.tasks.text.anchors import slug
from prefect_llm_reports.tasks.text.sections import Section
from prefect_llm_reports.tasks.text.wording import Likest

LIKE, LIKE_OF_ONE_NAME = 0.4, 0.2


class Pairing:
    """The pairs of two lists of sections.

    Args:
        old: Sections of the old report, the opening first.
        new: Those of the new one.

    Attributes:
        old_of: The place of the old section, by the place of the new one.
        moved: Places of new sections that stood elsewhere in the old report.
    """

    def __init__(self, old: Sequence[Section], new: Sequence[Section]) -> None:
        self._old, self._new = old, new
        self._old_names = [slug(section.title) for section in old]
        self._new_names = [slug(section.title) for section in new]
        self.old_of: dict[int, int] = {}
        self._new_of: dict[int, int] = {}
        self._pair(0, 0)
        self._by_heading()
        self._equal(lambda name, section: (name, section.words) if section.words else None)
        self._equal(lambda name, section: section.words or None)
        self._by_heading()
        self._alike()
        self._by_heading()
        self._by_parts()
        self._equal(lambda name, section: name or None, once=True)
        self.moved = self._moved()

    def _pair(self, old: int, new: int) -> None:
        self.old_of[new], self._new_of[old] = old, new

    def _left(self) -> tuple[list[int], list[int]]:
        """Old and new sections without a pair."""
        old = [i for i in range(len(self._old)) if i not in self._new_of]
        return old, [j for j in range(len(self._new)) if j not in self.old_of]

    def _by_heading(self) -> None:
        """Pair sections of one name under one parent; parents come before their parts."""
        old, new = self._left()
        waiting: defaultdict[Hashable, list[int]] = defaultdict(list)
        for i in old:
            waiting[self._old[i].parent, self._old_names[i]].append(i)
        level: dict[int, list[int]] = defaultdict(list)
        for j in new:
            level[self._new[j].level].append(j)
        for _, places in sorted(level.items()):
            coming: defaultdict[Hashable, list[int]] = defaultdict(list)
            for j in places:
                parent = self._new[j].parent
                if parent is None or parent in self.old_of:
                    above = None if parent is None else self.old_of[parent]
                    coming[above, self._new_names[j]].append(j)
            for key, group in coming.items():
                self._pair_group(waiting.get(key, []), group)

    def _pair_group(self, old: list[int], new: list[int]) -> None:
        """Pair sections of one name: those with equal text, those with like text, the others."""
        if len(old) > 1 or len(new) > 1:
            self._equal(lambda name, section: section.words, among=(old, new))
            self._alike(LIKE_OF_ONE_NAME, among=(old, new))
        left = (i for i in old if i not in self._new_of)
        for i, j in zip(left, [j for j in new if j not in self.old_of], strict=False):
            self._pair(i, j)

    def _equal(
        self,
        key: Callable[[str, Section], Hashable],
        *,
        among: tuple[list[int], list[int]] | None = None,
        once: bool = False,
    ) -> None:
        """Pair sections that have the same key, in order.

        Args:
            key: The key, of a section's name and the section; None: it has none.
            among: Old and new sections that count; None: all without a pair.
            once: Whether a key counts only if one section has it on each side.
        """
        old, new = among or self._left()
        waiting: defaultdict[Hashable, list[int]] = defaultdict(list)
        for i in reversed(old):
            if i not in self._new_of:
                waiting[key(self._old_names[i], self._old[i])].append(i)
        many: Counter[Hashable] = Counter(key(self._new_names[j], self._new[j]) for j in new)
        for j in new:
            found = key(self._new_names[j], self._new[j])
            places = waiting.get(found, []) if found is not None else []
            if j not in self.old_of and places and not (once and max(len(places), many[found]) > 1):
                self._pair(places.pop(), j)

    def _alike(self, least: float = LIKE, among: tuple[list[int], list[int]] | None = None) -> None:
        """Pair sections with similar text."""
        old, new = among or self._left()
        old = [i for i in old if i not in self._new_of]
        new = [j for j in new if j not in self.old_of]
        if not old or not new:
            return
        likest = Likest(f"{self._old[i].title}\n{self._old[i].text}" for i in old)
        for j in new:
            place = likest.find(f"{self._new[j].title}\n{self._new[j].text}", least)
            if place is not None:
                self._pair(old[place], j)
                likest.take(place)

    def _by_parts(self) -> None:
        """Pair sections by the sections in them: the heading over the same parts was renamed."""
        votes: defaultdict[int, Counter[int]] = defaultdict(Counter)
        for j, i in self.old_of.items():
            above, before = self._new[j].parent, self._old[i].parent
            if above is not None and before is not None:
                votes[above][before] += 1
        for j in sorted(votes, reverse=True):
            [(before, _)] = votes[j].most_common(1)
            if j not in self.old_of and before not in self._new_of:
                self._pair(before, j)

    def _moved(self) -> set[int]:
        """Sections under another parent than before, or out of order among their neighbours."""
        moved: set[int] = set()
        order: defaultdict[int | None, list[int]] = defaultdict(list)
        for j in sorted(self.old_of):
            above = self._new[j].parent
            while above is not None and above not in self.old_of:
                above = self._new[above].parent
            before = self._old[self.old_of[j]].parent
            while before is not None and before not in self._new_of:
                before = self._old[before].parent
            if (None if above is None else self.old_of[above]) == before:
                order[above].append(j)
            else:
                moved.add(j)
        for places in order.values():
            kept = _rising([self.old_of[j] for j in places])
            moved |= {j for n, j in enumerate(places) if n not in kept}
        return moved


def _rising(numbers: Sequence[int]) -> set[int]:
    """Places of the longest rising subsequence of distinct numbers."""
    ends: list[int] = []
    places: list[int] = []
    before: list[int] = []
    for place, number in enumerate(numbers):
        at = bisect_left(ends, number)
        before.append(places[at - 1] if at else -1)
        ends[at : at + 1] = [number]
        places[at : at + 1] = [place]
    kept: set[int] = set()
    place = places[-1] if places else -1
    while place >= 0:
        kept.add(place)
        place = before[place]
    return kept
