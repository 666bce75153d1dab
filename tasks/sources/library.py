"""The library of a run: its sources, read once, and the passages that each topic gets.

Here: sources and passages under a topic's own ids. Not here: which passages fit (`selection`), the
passages of all files (`shelf`), the files themselves (`opening`).
"""

from __future__ import annotations

import asyncio
import hashlib
from bisect import bisect_left
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache

from prefect_llm_reports.tasks.contract.errors import NothingToQuote
from prefect_llm_reports.tasks.contract.evidence import Passage, Source
from prefect_llm_reports.tasks.contract.reports import Topic
from prefect_llm_reports.tasks.sources.cutting import LEAST, Cut, cut
from prefect_llm_reports.tasks.sources.pieces import Piece
from prefect_llm_reports.tasks.sources.queries import queries_of
from prefect_llm_reports.tasks.sources.selection import Ranking, spans_of
from prefect_llm_reports.tasks.sources.shelf import Ref, Shelf

ROW = 0
"""The number that the row of a topic has among files."""
_REMEMBERED = 2000
"""Topics whose passages are remembered by number; those of others are chosen again."""
_AT_HAND = 100
"""Topics whose passages are held as texts."""

_Key = tuple[str, str, tuple[str, ...], tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Held:
    """A file of the library.

    Attributes:
        about: Its record; the id is its number in the library.
        passages: How many it has.
        words: Words of all of them.
    """

    about: Source
    passages: int
    words: int


class Library:
    """The sources of one run.

    Args:
        files: The files, in the order of their numbers.
        scopes: The numbers of a topic's files, by the sources that the topic names.
        shelf: The passages of the files.
        words: Words of sources that a prompt may hold.
        warnings: What was left out of files and folders.
    """

    def __init__(
        self,
        files: Sequence[Held],
        scopes: Mapping[tuple[str, ...], Sequence[int]],
        shelf: Shelf,
        words: int,
        warnings: Sequence[str] = (),
    ) -> None:
        self._files = files
        self._scopes = scopes
        self._shelf = shelf
        self._words = words
        self._ranking = Ranking(shelf)
        self._numbering = lru_cache(maxsize=_REMEMBERED)(self._numbered)
        self._at_hand = lru_cache(maxsize=_AT_HAND)(self._read)
        self.warnings = warnings

    def covers(self, topic: Topic) -> bool:
        """Whether a topic has sources; reports of other topics are written without."""
        return bool(self._scopes.get(topic.sources)) or bool(row_text(topic))

    async def passages(self, topic: Topic, extra: Sequence[str] = ()) -> tuple[Passage, ...]:
        """The passages that a topic's prompts show, in the order of the sources.

        Args:
            topic: A topic that has sources.
            extra: Further things to look for, such as the headings of a long report. Their
                passages follow those that the topic gets without; there may be half as many words.

        Raises:
            NothingToQuote: No passage fits the topic.
        """
        return await asyncio.to_thread(self._passages, topic, tuple(extra))

    def source(self, topic: Topic, id: str) -> Source:
        """A topic's source.

        Args:
            topic: A topic that has sources.
            id: The source's id in the prompts of this topic: `s2`.

        Raises:
            KeyError: The topic has no such source.
        """
        file = self._shown(topic).file(id)
        if file == ROW:
            return _row_source(topic, id)
        return self._files[file - 1].about.model_copy(update={"id": id})

    def marks(self, topics: Iterable[Topic]) -> dict[str, str]:
        """The SHA-256 of every file of topics, by its location.

        Args:
            topics: Some of the run's topics.
        """
        named = dict.fromkeys(topic.sources for topic in topics)
        numbers = sorted({n for own in named for n in self._scopes.get(own, ())})
        files = [self._files[number - 1].about for number in numbers]
        return {about.location: about.sha256 for about in files}

    def _passages(self, topic: Topic, extra: Sequence[str]) -> tuple[Passage, ...]:
        shown = self._shown(topic)
        if not shown.refs:
            raise NothingToQuote(
                f"no passage of its {len(self._scopes.get(topic.sources, ()))} sources fits the"
                " topic; add sources about it, or put the words of the sources into its guidance"
            )
        further = tuple(self._further(topic, extra, shown))
        return self._at_hand(_key(topic), ()) + (
            self._at_hand(_key(topic), further) if further else ()
        )

    def _read(self, key: _Key, further: tuple[Ref, ...]) -> tuple[Passage, ...]:
        """Passages of a topic from the shelf: those it gets in any case, or further ones."""
        topic, shown = _topic(key), self._numbering(key)
        refs = further or shown.refs
        cuts = self._shelf.read(ref for ref in refs if ref.file != ROW)
        cuts |= _row_cuts(topic)
        return tuple(_passage(shown, ref, cuts[ref]) for ref in refs)

    def _further(self, topic: Topic, extra: Sequence[str], shown: Shown) -> list[Ref]:
        """The passages that only the further queries find."""
        files = self._scopes.get(topic.sources, ())
        if not extra or self._fit(files):
            return []
        found = self._ranking.ranked(queries_of(topic, extra), spans_of(files))
        known = set(shown.refs)
        return self._first(files, [ref for ref in found if ref not in known], self._words // 2)

    def _shown(self, topic: Topic) -> Shown:
        """What a topic's prompts show, remembered for the topics of today."""
        return self._numbering(_key(topic))

    def _numbered(self, key: _Key) -> Shown:
        topic = _topic(key)
        files = self._scopes.get(topic.sources, ())
        rows = _row_cuts(topic)
        left = self._words
        for ref, found in list(rows.items()):
            left -= found.words
            if left < 0:
                del rows[ref]
        if self._fit(files):
            refs = [Ref(n, m) for n in files for m in range(1, self._files[n - 1].passages + 1)]
        else:
            ranked = self._ranking.ranked(queries_of(topic), spans_of(files))
            refs = self._first(files, ranked, max(left, 0))
        return Shown([*rows, *refs], [ROW, *files] if rows else files)

    def _fit(self, files: Sequence[int]) -> bool:
        """Whether a prompt can hold all passages of files."""
        return sum(self._files[number - 1].words for number in files) <= self._words

    def _first(self, files: Sequence[int], ranked: Sequence[Ref], words: int) -> list[Ref]:
        """The best passages for which there is room, in the order of the sources."""
        chosen: list[Ref] = []
        for ref, size in self._shelf.sizes(ranked):
            if size <= words:
                words -= size
                chosen.append(ref)
            if words < LEAST:  # what would still fit is hardly worth looking for
                break
        order = {number: at for at, number in enumerate(files)}
        return sorted(chosen, key=lambda ref: (order[ref.file], ref.number))


class Shown:
    """The passages that a topic's prompts show in any case, and the ids that follow from them.

    Ids count what is shown: a file that no prompt shows, or a passage that is added to one, changes
    no id and so no prompt. What is shown later has the ids after these.

    Args:
        refs: The passages in the order of the sources.
        files: The numbers of all sources of the topic, in order.
    """

    def __init__(self, refs: Sequence[Ref], files: Sequence[int]) -> None:
        self.refs = refs
        self._numbers: dict[int, list[int]] = {}
        for ref in refs:
            self._numbers.setdefault(ref.file, []).append(ref.number)
        first = list(self._numbers)
        self._files = [*first, *(file for file in files if file not in self._numbers)]

    def file(self, id: str) -> int:
        """The number of a source's file.

        Args:
            id: The source's id.

        Raises:
            KeyError: There is no such source.
        """
        number = int(id[1:]) if id[:1] == "s" and id[1:].isdecimal() else 0
        if not 0 < number <= len(self._files):
            raise KeyError(id)
        return self._files[number - 1]

    def ids(self, ref: Ref) -> tuple[str, str]:
        """The ids of a passage's source, and of the passage.

        Args:
            ref: A passage of one of the topic's files.
        """
        source = f"s{self._files.index(ref.file) + 1}"
        shown = self._numbers.get(ref.file, [])
        at = bisect_left(shown, ref.number)
        is_shown = at < len(shown) and shown[at] == ref.number
        number = at + 1 if is_shown else len(shown) + ref.number - at
        return source, f"{source}-{number}"


def _key(topic: Topic) -> _Key:
    """What the passages of a topic depend on."""
    return topic.title, topic.guidance, topic.sources, tuple(topic.row.items())


def _topic(key: _Key) -> Topic:
    title, guidance, sources, row = key
    return Topic.model_construct(
        title=title, guidance=guidance, sources=sources, row=dict(row), twin=""
    )


def _passage(shown: Shown, ref: Ref, found: Cut) -> Passage:
    source, id = shown.ids(ref)
    return Passage(
        id=id,
        source=source,
        place=found.place,
        text=found.text,
        sha256=hashlib.sha256(found.text.encode("utf-8", "surrogatepass")).hexdigest(),
    )


def row_text(topic: Topic) -> str:
    """The further cells of a topic's row, as a source: `Region: North`, one a line.

    Args:
        topic: A topic; most have no such cells.
    """
    return "\n".join(f"{name}: {cell}" for name, cell in topic.row.items() if cell.strip())


def _row_cuts(topic: Topic) -> dict[Ref, Cut]:
    text = row_text(topic)
    pieces = [Piece(line, "row of the topics file") for line in text.splitlines() if line.strip()]
    joined = [Piece("\n".join(piece.text for piece in pieces), pieces[0].place)] if pieces else []
    return {Ref(ROW, number): found for number, found in enumerate(cut(joined), 1)}


def _row_source(topic: Topic, id: str) -> Source:
    body = row_text(topic).encode("utf-8", "surrogatepass")
    return Source(
        id=id,
        name="Row of the topics file",
        location="",
        sha256=hashlib.sha256(body).hexdigest(),
        bytes=len(body),
        kind="row",
    )


_library: ContextVar[Library | None] = ContextVar("library", default=None)


@contextmanager
def use_library(library: Library | None) -> Generator[None]:
    """Have the tasks that are started within use this library.

    Args:
        library: The run's; None: it has no sources.
    """
    token = _library.set(library)
    try:
        yield
    finally:
        _library.reset(token)


def current_library() -> Library | None:
    """The library of the running batch; None: it has no sources."""
    return _library.get()
