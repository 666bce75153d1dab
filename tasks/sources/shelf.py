"""The shelf: all passages of a run's sources in one temporary SQLite file, and their index.

Memory stays small however large the sources are, and no process that is killed leaves the file
behind. Here: writing, reading and searching passages by number. Not here: ids and choices
(`selection`), queries (`queries`), files (`library`). The calls block: use them from a worker
thread.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from prefect_llm_reports.tasks.sources.cutting import Cut
from prefect_llm_reports.tasks.sources.words import is_mostly_signs

_SHIFT = 24
"""A passage's row is its file's number, shifted by so many bits, and its own number."""
_SCHEMA = """
PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-32000;
CREATE TABLE passages (id INTEGER PRIMARY KEY, words INTEGER, signs INTEGER, place TEXT, text TEXT);
CREATE VIRTUAL TABLE words USING fts5
  (place, text, content='', tokenize='porter unicode61 remove_diacritics 2');
CREATE VIRTUAL TABLE signs USING fts5 (place, text, content='', tokenize='trigram');
INSERT INTO words (words, rank) VALUES ('hashsize', 16000000), ('automerge', 0);
INSERT INTO signs (signs, rank) VALUES ('hashsize', 16000000), ('automerge', 0);
"""
"""Terms are gathered in 16 MB of memory before they are written, and stay as they are written:
half the time of SQLite's usual way, which is made for an index that changes."""


class Ref(NamedTuple):
    """A passage by the number of its file and its number in the file, both from 1."""

    file: int
    number: int

    @property
    def row(self) -> int:
        """The passage's row on the shelf; rows are in the order of files and passages."""
        return (self.file << _SHIFT) + self.number

    @classmethod
    def of(cls, row: int) -> Ref:
        """The passage of a row."""
        return cls(row >> _SHIFT, row & ((1 << _SHIFT) - 1))


class Span(NamedTuple):
    """Files that follow each other, by the numbers of the first and the last."""

    first: int
    last: int


class Shelf:
    """Passages of files, in order, with an index of words, and one of signs without blanks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Without a name it is a temporary file of SQLite's own, which nobody else can open.
        self._base = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        weakref.finalize(self, self._base.close)
        self._base.executescript(_SCHEMA)
        self._signs = False
        self._indexed = False

    def put(self, file: int, after: int, cuts: Sequence[Cut]) -> None:
        """Put passages of a file on the shelf.

        Args:
            file: The file's number, from 1.
            after: How many of its passages are there already.
            cuts: The next ones in order.
        """
        rows = [
            (Ref(file, n).row, c.words, is_mostly_signs(c.text), c.place, c.text)
            for n, c in enumerate(cuts, after + 1)
        ]
        with self._lock:
            self._base.execute("BEGIN")
            self._base.executemany("INSERT INTO passages VALUES (?, ?, ?, ?, ?)", rows)
            self._base.execute("COMMIT")

    def index(self) -> None:
        """Index all passages; the first search does it, too."""
        with self._lock:
            if self._indexed:
                return
            self._base.execute("BEGIN")
            for table, signs in (("words", 0), ("signs", 1)):
                self._base.execute(
                    f"INSERT INTO {table} (rowid, place, text)"  # noqa: S608
                    " SELECT id, place, text FROM passages WHERE signs = ?",
                    (signs,),
                )
            self._base.execute("COMMIT")
            self._signs = bool(
                self._base.execute("SELECT 1 FROM passages WHERE signs LIMIT 1").fetchone()
            )
            self._indexed = True

    @property
    def has_signs(self) -> bool:
        """Whether any passage is written without blanks between words."""
        return self._signs

    def read(self, refs: Iterable[Ref]) -> dict[Ref, Cut]:
        """Passages by their numbers; those that are not there are left out."""
        found: dict[Ref, Cut] = {}
        with self._lock:
            for ref in refs:
                row = self._base.execute(
                    "SELECT place, text, words FROM passages WHERE id = ?", (ref.row,)
                ).fetchone()
                if row:
                    found[ref] = Cut(*row)
        return found

    def sizes(self, refs: Iterable[Ref]) -> Iterator[tuple[Ref, int]]:
        """Passages with their words, one after the other."""
        for ref in refs:
            with self._lock:
                row = self._base.execute(
                    "SELECT words FROM passages WHERE id = ?", (ref.row,)
                ).fetchone()
            yield ref, int(row[0])

    def frequency(self, table: str, term: str, most: int) -> int:
        """How many passages hold a term, counted up to a bound.

        Args:
            table: `words` or `signs`.
            term: The term, in quotes.
            most: The bound.
        """
        with self._lock:
            row = self._base.execute(
                f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {table} MATCH ? LIMIT ?)",  # noqa: S608
                (term, most),
            ).fetchone()
        return int(row[0])

    def search(self, table: str, query: str, spans: Sequence[Span], most: int) -> list[int]:
        """The rows that fit a query best, the best first; equal ones in their order.

        Args:
            table: `words` or `signs`.
            query: In the syntax of FTS5.
            spans: The files to look in.
            most: Rows to return at most.
        """
        found: list[tuple[float, int]] = []
        sql = (
            f"SELECT bm25({table}, 0.7, 1.0) AS score, rowid FROM {table}"  # noqa: S608
            f" WHERE {table} MATCH ? AND rowid BETWEEN ? AND ? ORDER BY score, rowid LIMIT ?"
        )
        with self._lock:
            for first, last in spans:
                bounds = Ref(first, 0).row, Ref(last + 1, 0).row - 1
                found += self._base.execute(sql, (query, *bounds, most)).fetchall()
        return [row for _, row in sorted(found)[:most]]

    def holding(self, signs: str, spans: Sequence[Span], most: int) -> list[int]:
        """The rows that hold a text of one or two signs most often, for which there is no index.

        Args:
            signs: The text.
            spans: The files to look in.
            most: Rows to return at most.
        """
        found: list[tuple[int, int]] = []
        sql = (
            "SELECT length(text) - length(replace(text, ?, '')) AS held, id FROM passages"
            " WHERE signs AND id BETWEEN ? AND ? AND instr(text, ?) ORDER BY held DESC, id LIMIT ?"
        )
        with self._lock:
            for first, last in spans:
                bounds = Ref(first, 0).row, Ref(last + 1, 0).row - 1
                found += self._base.execute(sql, (signs, *bounds, signs, most)).fetchall()
        return [row for _, row in sorted(found, key=lambda one: (-one[0], one[1]))[:most]]
