"""The passages that fit a topic: all where there is room, else the best by fused ranks.

Here: which passages, and how many. Not here: terms (`queries`), the index (`shelf`), ids
(`library`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate

from prefect_llm_reports.tasks.sources.queries import Query
from prefect_llm_reports.tasks.sources.shelf import Ref, Shelf, Span

RANKED = 60
"""Passages of each query that count."""
_FLAT = 60
"""The larger, the less the first ranks of one query count against those of several."""
_FREQUENT = 1000
"""Passages from which a term is frequent: it is looked up only where no other is left. Rare terms
are looked up as long as they are in fewer passages together."""
_LEAST = 2
"""Terms that are looked up in any case, the rarest."""


class Ranking:
    """Ranks the passages of a shelf.

    Args:
        shelf: The passages.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._frequency = lru_cache(maxsize=50_000)(self._counted)

    def _counted(self, table: str, term: str) -> int:
        return self._shelf.frequency(table, term, _FREQUENT)

    def ranked(self, queries: Iterable[Query], spans: Sequence[Span]) -> list[Ref]:
        """Passages in the order in which they fit, those that several queries find first.

        Args:
            queries: What is looked for.
            spans: The files to look in.
        """
        self._shelf.index()
        asked = list(queries)
        found = [self._found(query, spans) for query in asked]
        if not any(found):  # only words that are everywhere
            found = [self._found(query, spans, least=_LEAST) for query in asked]
        scores: dict[int, float] = {}
        for rows in found:
            for rank, row in enumerate(rows, 1):
                scores[row] = scores.get(row, 0.0) + 1 / (_FLAT + rank)
        order = sorted(scores, key=lambda row: (-round(scores[row], 12), row))
        return [Ref.of(row) for row in order]

    def _found(self, query: Query, spans: Sequence[Span], least: int = 0) -> list[int]:
        """The rows that fit one query, the best first; those of both indexes in turn."""
        lists = [self._looked_up("words", query.words, spans, least)]
        if self._shelf.has_signs:
            lists.append(self._looked_up("signs", query.grams, spans, least))
            lists += [self._shelf.holding(text, spans, RANKED) for text in query.short]
        lists = [found for found in lists if found]
        if len(lists) == 1:
            return lists[0]
        places: dict[int, tuple[int, int]] = {}
        for number, found in enumerate(lists):
            for rank, row in enumerate(found):
                places[row] = min(places.get(row, (rank, number)), (rank, number))
        return sorted(places, key=lambda row: (places[row], row))[:RANKED]

    def _looked_up(
        self, table: str, terms: Sequence[str], spans: Sequence[Span], least: int
    ) -> list[int]:
        """The rows that hold a query's rarest terms.

        Args:
            table: `words` or `signs`.
            terms: The terms.
            spans: The files to look in.
            least: Terms that are looked up where all are frequent.
        """
        quoted = [f'"{term}"' for term in terms]
        counted = sorted((self._frequency(table, term), term) for term in quoted)
        rare = [(count, term) for count, term in counted if 0 < count < _FREQUENT]
        mentions = accumulate(count for count, _ in rare)
        chosen = [
            term
            for at, ((_, term), seen) in enumerate(zip(rare, mentions, strict=True))
            if at < _LEAST or seen < _FREQUENT
        ]
        chosen = chosen or [term for count, term in counted if count][:least]
        return self._shelf.search(table, " OR ".join(chosen), spans, RANKED) if chosen else []


def spans_of(numbers: Sequence[int]) -> list[Span]:
    """Files as runs of numbers that follow each other.

    Args:
        numbers: The numbers of files, in any order.
    """
    spans: list[Span] = []
    for number in sorted(set(numbers)):
        if spans and spans[-1].last == number - 1:
            spans[-1] = Span(spans[-1].first, number)
        else:
            spans.append(Span(number, number))
    return spans
