"""Topics as people give them, arguments and topics files, turned into distinct valid topics.

Here: what a topic is made of, and the wording of every problem with its place. Not here: files and
their formats (`files`), what a valid topic is and how its folder is named (`contract.reports`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from pydantic import ValidationError

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.reports import Topic
from prefect_llm_reports.tasks.inputs.files import LINE_END, Contents, Entry, read_entries
from prefect_llm_reports.tasks.inputs.problems import first, seen, short
from prefect_llm_reports.tasks.inputs.tables import refuse_other_delimiter
from prefect_llm_reports.tasks.inputs.trees import Pairs

MAX_TOPICS = 100_000
KEYS = ("title", "guidance")
SYNONYMS = {"topic": "title"}
"""Other names that a column may have."""

_LINE_ENDS = re.compile(r"[\r\n\u2028\u2029]+")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def read_topics(name: str, raw: bytes) -> list[Entry]:
    """Read a topics file; at most one entry over the limit is returned.

    Args:
        name: The file's name or address; its ending decides the format.
        raw: The file as stored.

    Raises:
        BadInput: The file as a whole cannot be read, or has no topics.
    """
    return read_entries(name, raw, _TOPICS, MAX_TOPICS)


def gather_topics(
    topics: Sequence[str | Mapping[str, Any] | Topic] | None, source: tuple[str, bytes] | None
) -> tuple[list[Topic], list[str]]:
    """Merge arguments and a topics file, in this order, into distinct topics and warnings.

    Args:
        topics: Titles, objects with `title` and optional `guidance`, or topics.
        source: The topics file as name and bytes.

    Raises:
        BadInput: All that is wrong, each with its row; the first 20 are listed.
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
            entries += read_topics(*source)
        except BadInput as error:
            problems += error.problems
    if not entries and not problems:
        problems.append("no topics: give at least one topic or a topics file")
    if len(entries) > MAX_TOPICS:
        most = f"topics: more than {MAX_TOPICS:,}, the most for one run; split them into several"
        raise BadInput(*first([*problems, most]))

    places: dict[tuple[str, str], list[str]] = {}
    distinct: list[Topic] = []
    for place, value in entries:
        try:
            topic = _checked(place, value)
        except BadInput as error:
            problems += error.problems
            continue
        given_at = places.setdefault((topic.title, topic.guidance), [])
        if not given_at:
            distinct.append(topic)
        given_at.append(place)
    problems += _collisions(distinct, places)
    if problems:
        raise BadInput(*first(problems))
    return distinct, first(
        f"{short(title)!r} is given {len(where)} times and written once: " + ", ".join(first(where))
        for (title, _), where in places.items()
        if len(where) > 1
    )


def _argument(value: Any) -> Any:
    if isinstance(value, Topic):
        return Pairs((("title", value.title), ("guidance", value.guidance)))
    return Pairs(cast("Mapping[Any, Any]", value).items()) if isinstance(value, Mapping) else value


def _checked(place: str, value: Any) -> Topic:
    """The entry as a topic; raises BadInput with all that is wrong with it."""
    fields: dict[str, Any] = {}
    problems: list[str] = []
    if isinstance(value, Pairs):
        for key, part in value:
            if key not in KEYS:
                wanted = "wanted title and optional guidance; rename it, or quote a title with ':'"
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
        problems.append(f"{wanted}; write the topic as a text, in quotes if it has to be")
    for key, part in fields.items():
        if not isinstance(part, str):
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
                text = f"the {key} {short(fields[key])!r} has {len(fields[key]):,} characters"
                problems.append(f"{text}, not accepted: {wrong['msg']}; shorten it")
    raise BadInput(*(f"{place}: {problem}" for problem in problems))


def _collisions(distinct: list[Topic], places: dict[tuple[str, str], list[str]]) -> Iterator[str]:
    """Problems of topics whose folders would be one on a case-insensitive disk."""
    marked: dict[str, list[Topic]] = {}
    for topic in distinct:
        for other in marked.setdefault(topic.mark, []):
            if topic.slug.lower() == other.slug.lower():
                here, there = (places[t.title, t.guidance][0] for t in (topic, other))
                yield (
                    f"{here}: {short(topic.title)!r} would share the folder {topic.slug} with "
                    f"{short(other.title)!r} ({there}); reword one of the two"
                )
        marked[topic.mark].append(topic)


def _columns(place: str, row: list[str]) -> list[str]:
    """The columns a first row names; none: it is no header."""
    refuse_other_delimiter((place, row), {*KEYS, *SYNONYMS})
    columns = [SYNONYMS.get(name, name) for name in (cell.strip().lower() for cell in row)]
    if "title" not in columns:
        return []
    while columns and not columns[-1]:
        columns.pop()
    for column in columns:
        if column not in KEYS or columns.count(column) > 1:
            wrong = "more than one" if column in KEYS else "unknown"
            wanted = "wanted one title (or topic) and optional guidance; rename or remove it"
            raise BadInput(f"{place}: {wrong} column {short(column)!r}, {wanted}")
    return columns


_TOPICS = Contents("topics", _columns, KEYS, lambda cells: Pairs(cells.items()))
