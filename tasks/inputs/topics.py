"""Topics as people give them, arguments and topics files, turned into distinct valid topics.

Here: the parts of a topic, and the wording of every problem with its place. Not here: files and
their formats (`files`), valid topics and the names of their folders (`contract.reports`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

from pydantic import ValidationError
from rapidfuzz.distance import DamerauLevenshtein

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.reports import Topic
from prefect_llm_reports.tasks.inputs.decoding import LINE_END
from prefect_llm_reports.tasks.inputs.files import Contents, Entry, read_entries
from prefect_llm_reports.tasks.inputs.headers import is_note, plain_name, reads_like_header
from prefect_llm_reports.tasks.inputs.problems import first, seen, short
from prefect_llm_reports.tasks.inputs.topic_rows import Given, with_row
from prefect_llm_reports.tasks.inputs.trees import Numeral, Pairs

MAX_TOPICS = 100_000
KEYS = ("title", "guidance")
COLUMNS = (*KEYS, "sources")
"""Columns that a table may have beside those of its own."""
FIELDS = (*COLUMNS, "row", "twin")
SYNONYMS = {"topic": "title"}
"""Other names that a column may have."""

_LINE_ENDS = re.compile(r"[\r\n\u2028\u2029]+")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


class ColumnNames(NamedTuple):
    """The names of a topics file's columns; None: title (or topic) and guidance."""

    title: str | None = None
    guidance: str | None = None

    @property
    def chosen(self) -> dict[str, str]:
        """The plain names that were chosen, by the names we know."""
        return {key: plain_name(name) for key, name in self._asdict().items() if name}


def read_topics(name: str, raw: bytes, called: ColumnNames = ColumnNames()) -> list[Entry]:  # noqa: B008
    """Read a topics file; at most one entry over the limit is returned.

    Args:
        name: The file's name or address; its ending decides the format.
        raw: The file as stored.
        called: The names of its columns.

    Raises:
        BadInput: The file as a whole cannot be read, or has no topics.
    """
    chosen = called.chosen
    contents = Contents(
        "topics",
        partial(_columns, chosen),
        () if chosen else KEYS,
        _row,
        known={chosen["title"]} if "title" in chosen else {"title", *SYNONYMS},
        renamed=chosen,
    )
    return read_entries(name, raw, contents, MAX_TOPICS)


def gather_topics(
    topics: Sequence[str | Mapping[str, Any] | Topic] | None,
    source: tuple[str, bytes] | None,
    called: ColumnNames = ColumnNames(),  # noqa: B008
) -> tuple[list[Topic], list[str]]:
    """Merge arguments and a topics file, in this order, into distinct topics and warnings.

    Args:
        topics: Titles, objects with `title` and optional `guidance`, `sources`, `row`, or topics.
        source: The topics file as name and bytes.
        called: The names of the file's columns.

    Raises:
        BadInput: With every problem and its row; the first 20 are listed.
    """
    problems: list[str] = []
    entries: list[Entry] = []
    given: Any = topics
    if isinstance(given, (list, tuple)):
        numbered = enumerate(cast("Sequence[Any]", given), start=1)
        entries += [Entry(f"topics[{n}]", _argument(value)) for n, value in numbered]
    elif given is not None:
        problems.append(f"topics: wanted a list of topics, found {seen(given)}; put it in a list")
    if source:
        try:
            entries += read_topics(*source, called)
        except BadInput as error:
            problems += error.problems
    if not entries and not problems:
        problems.append("no topics: give at least one topic or a topics file")
    if len(entries) > MAX_TOPICS:
        most = f"topics: more than {MAX_TOPICS:,}, the most for one run; split them into several"
        raise BadInput(*first([*problems, most]))

    given_topics = Given()
    for place, value in entries:
        try:
            given_topics.add(place, with_row(place, _checked(place, value)))
        except BadInput as error:
            problems += error.problems
    distinct = given_topics.distinct()
    problems += [*given_topics.problems, *_collisions(distinct, given_topics.place)]
    if problems:
        raise BadInput(*first(problems))
    return distinct, first(given_topics.repeats())


def _argument(value: Any) -> Any:
    if isinstance(value, Topic):
        return Pairs((name, part) for name in FIELDS if (part := getattr(value, name)))
    return Pairs(cast("Mapping[Any, Any]", value).items()) if isinstance(value, Mapping) else value


def _checked(place: str, value: Any) -> Topic:
    """The entry as a topic; raises BadInput with all its problems."""
    fields: dict[str, Any] = {}
    problems: list[str] = []
    if isinstance(value, Pairs):
        for written, part in value:
            key = SYNONYMS.get(written, written)
            if key not in FIELDS:
                wanted = (
                    "wanted title (or topic) and optional guidance, sources and row; rename it, or"
                    " quote a title with ':'"
                )
                problems.append(f"unknown key {short(str(key))!r}, {wanted}")
            elif key in fields:
                problems.append(f"the key {key} is written twice; keep one of the two")
            else:
                fields[key] = part
        if "title" not in fields and not problems:
            problems.append("the title is missing; give it a title or remove the entry")
    elif isinstance(value, str):
        fields["title"] = value
    else:
        wanted = f"wanted a text or an object with a title, found {seen(value)}"
        problems.append(f"{wanted}; write the topic as a text, in quotes if need be")
    for key, part in fields.items():
        if key == "sources" and not isinstance(part, str):
            fields[key] = part if _is_list_of_texts(part) else _wrong(key, part, problems)
        elif key == "row":
            fields[key] = _cells(part, problems)
        elif not isinstance(part, str):
            problems.append(f"the {key} is {seen(part)}, wanted a text; put it in quotes")
        elif found := _UNPRINTABLE.search(part):
            kind = "lone surrogate" if found[0] >= "\ud800" else "control character"
            where = f"U+{ord(found[0]):04X} at character {found.start() + 1}"
            problems.append(f"the {key} {short(part)!a} has the {kind} {where}; remove it")
        elif key == "title" and not part.strip():
            problems.append("the title is blank; give it a title or remove the row")
        else:
            if key == "title":
                plain = " ".join(filter(None, map(str.strip, _LINE_ENDS.split(part))))
            else:
                plain = LINE_END.sub("\n", part)
            fields[key] = unicodedata.normalize("NFC", plain).strip()
    if not problems:
        try:
            return Topic(**fields)
        except ValidationError as error:
            for wrong in error.errors():
                key = str(wrong["loc"][0])
                found = str(fields[key])
                text = f"the {key} {short(found)!r} has {len(found):,} characters"
                problems.append(f"{text}, not accepted: {wrong['msg']}; shorten it")
    raise BadInput(*(f"{place}: {problem}" for problem in problems))


def _is_list_of_texts(part: Any) -> bool:
    given = cast("Sequence[Any]", part if isinstance(part, list | tuple) else (part,))
    return not isinstance(part, Pairs) and all(isinstance(one, str) for one in given)


def _wrong(key: str, part: Any, problems: list[str]) -> None:
    wanted = "wanted a text with ; between the names, or a list of texts"
    problems.append(f"the {key} is {seen(part)}, {wanted}; write it so")


def _cells(part: Any, problems: list[str]) -> dict[str, str]:
    """A row's cells as texts."""
    if not isinstance(part, Pairs | dict):
        problems.append(f"the row is {seen(part)}, wanted an object of texts; write it so")
        return {}
    pairs: Any = cast("Any", part).items() if isinstance(part, dict) else part
    cells: dict[str, str] = {}
    for name, value in pairs:
        cell = value.found if isinstance(value, Numeral) else value
        if not isinstance(cell, str):
            problems.append(f"the row's {short(str(name))!r} is {seen(cell)}, wanted a text")
        elif found := _UNPRINTABLE.search(cell):
            said = f"has the character U+{ord(found[0]):04X}; remove it"
            problems.append(f"the row's {short(str(name))!r} {said}")
        else:
            cells[str(name)] = unicodedata.normalize("NFC", LINE_END.sub("\n", cell)).strip()
    return cells


def _collisions(distinct: list[Topic], place: Callable[[Topic], str]) -> Iterator[str]:
    """Problems of topics whose folders would be one on a case-insensitive disk."""
    marked: dict[str, list[Topic]] = {}
    for topic in distinct:
        for other in marked.setdefault(topic.mark, []):
            if topic.slug.lower() == other.slug.lower():
                here, there = place(topic), place(other)
                yield (
                    f"{here}: {short(topic.title)!r} would share the folder {topic.slug} with "
                    f"{short(other.title)!r} ({there}); reword one of the two"
                )
        marked[topic.mark].append(topic)


def _columns(chosen: Mapping[str, str], place: str, row: list[str]) -> list[str]:
    """The columns that a first row names; none: it is not a header."""
    written = [cell.strip() for cell in row]
    ours = {theirs: key for key, theirs in chosen.items()}
    if "title" not in chosen:
        ours |= {"title": "title", **SYNONYMS}
    if "guidance" not in chosen:
        ours |= {"guidance": "guidance"}
    ours.setdefault("sources", "sources")
    columns = [ours.get(plain_name(name), name) for name in written]
    columns = [
        f"other {column}" if column in COLUMNS and plain_name(name) not in ours else column
        for column, name in zip(columns, written, strict=True)
    ]
    lost = [key for key in ("title", *chosen) if key not in columns]
    if lost and (chosen or len(columns) > len(KEYS) or reads_like_header(row)):
        raise BadInput(f"{place}: {_unknown_header(lost, chosen, written)}")
    if lost:
        return []
    for column in columns:
        if column and columns.count(column) > 1:
            wanted = "wanted one title (or topic) and optional guidance; rename or remove it"
            raise BadInput(f"{place}: more than one column {short(column)!r}, {wanted}")
        if column not in KEYS and "guidance" not in columns and _is_guidance(column):
            wanted = "wanted one title (or topic) and optional guidance; rename or remove it"
            said = f"unknown column {short(column)!r}, {wanted}, or name it with --guidance-column"
            raise BadInput(f"{place}: {said}")
    return columns


def _unknown_header(lost: Sequence[str], chosen: Mapping[str, str], written: list[str]) -> str:
    """The problem of a header that does not name the columns of topics."""
    found = short(", ".join(repr(name) for name in written if name))
    if missing := [chosen[key] for key in lost if key in chosen]:
        return f"no column {short(missing[0])!r}, found {found}; name the columns as they are"
    return (
        f"no column title (or topic), found {found}; name the columns with --topic-column and"
        " --guidance-column, or rename them; above a table without names write title,guidance"
    )


def _is_guidance(column: str) -> bool:
    """Whether a column seems to hold guidance under another or a misspelled name."""
    name = plain_name(column)
    return is_note(name) or DamerauLevenshtein.distance(name, "guidance") <= 2


def _row(cells: dict[str, str]) -> Pairs:
    known = [(key, cells[key]) for key in COLUMNS if key in cells]
    further = tuple((name, cell) for name, cell in cells.items() if name not in COLUMNS)
    return Pairs([*known, ("row", Pairs(further))] if further else known)
