"""Topics as people give them, arguments and topics files, turned into distinct valid topics.

Here live the file formats (.txt, .yaml, .json, .csv), the checks, and the wording of every problem
with its row. Opening the file, local or S3, is the caller's part: it passes the name and the bytes.
What a valid topic is and how its folder is named is said by `contract.reports.Topic`.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePath
from typing import Any, NamedTuple, cast

import yaml
from pydantic import ValidationError

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.records import digest
from prefect_llm_reports.tasks.contract.reports import Topic

MAX_TOPICS = 100_000
LISTED = 20
YAML_ALIASES = 1_000
YAML_DEPTH = 10
TOO_DEEP = "nested too deeply; write one flat list of topics"
KEYS = ("title", "guidance")

_YAML_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_YAML_TAGS = {None, *(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))}
_LINE_END = re.compile(r"\r\n|\r|\n")
_LINE_ENDS = re.compile(r"[\r\n\u2028\u2029]+")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


class Pairs(tuple[tuple[Any, Any], ...]):
    """An object's keys and values as written, repeated keys included."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Misplaced:
    """What stands where a text belongs, as written or in words: `42`, `5 cells for ...`."""

    found: str


class Entry(NamedTuple):
    """One topic as given, not yet checked.

    Attributes:
        place: Where it stands, for messages: `topics.csv row 7`, `topics[3]`.
        value: A text or `Pairs`; anything else is reported by the check.
    """

    place: str
    value: Any


def read_topics(name: str, raw: bytes) -> list[Entry]:
    """Read a topics file by the ending of its name; at most one entry over the limit is returned.

    Args:
        name: The file's name or address; its ending decides the format.
        raw: The file as stored: UTF-8, or UTF-16 with a byte order mark.

    Raises:
        BadInput: The file as a whole cannot be read, or has no topics.
    """
    ending = PurePath(name).suffix.lower()
    if ending not in _FORMATS:
        known = f"wanted {', '.join(_FORMATS)}; rename the file"
        raise BadInput(f"{name}: unknown ending {_short(ending)!r}, {known}")
    parse, megabytes = _FORMATS[ending]
    if len(raw) > megabytes * 1_000_000:
        most = f"a {ending} file may have {megabytes} MB; split it into several runs"
        raise BadInput(f"{name}: the file has {len(raw):,} bytes, {most}")
    entries = list(islice(parse(name, _decoded(name, raw)), MAX_TOPICS + 1))
    if not entries:
        raise BadInput(f"{name}: no topics in the file; add at least one, or leave the file out")
    return entries


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
        problems.append(f"topics: wanted a list of topics, found {_seen(given)}; put it in a list")
    if source:
        try:
            entries += read_topics(*source)
        except BadInput as error:
            problems += error.problems
    if not entries and not problems:
        problems.append("no topics: give at least one topic or a topics file")
    if len(entries) > MAX_TOPICS:
        most = f"topics: more than {MAX_TOPICS:,}, the most for one run; split them into several"
        raise BadInput(*_first([*problems, most]))

    places: dict[tuple[str, str], list[str]] = {}
    distinct: list[Topic] = []
    for place, value in entries:
        try:
            topic = _checked(place, value)
        except BadInput as error:
            problems += error.problems
            continue
        seen = places.setdefault((topic.title, topic.guidance), [])
        if not seen:
            distinct.append(topic)
        seen.append(place)
    problems += _collisions(distinct, places)
    if problems:
        raise BadInput(*_first(problems))
    return distinct, _first(
        f"{_short(title)!r} is given {len(where)} times and written once: "
        + ", ".join(_first(where))
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
                problems.append(f"unknown key {_short(str(key))!r}, {wanted}")
            elif key in fields:
                problems.append(f"the key {key} is written twice; keep one of the two")
            else:
                fields[key] = part
        if "title" not in fields and not problems:
            problems.append("the title is missing; give it a title or remove the entry")
    elif isinstance(value, str):
        fields["title"] = value
    else:
        wanted = f"wanted a text or an object with a title, found {_seen(value)}"
        problems.append(f"{wanted}; write the topic as a text, in quotes if it has to be")
    for key, part in fields.items():
        if not isinstance(part, str):
            problems.append(f"the {key} is {_seen(part)}, wanted a text; put it in quotes")
        elif found := _UNPRINTABLE.search(part):
            kind = "lone surrogate" if found[0] >= "\ud800" else "control character"
            where = f"U+{ord(found[0]):04X} at character {found.start() + 1}"
            problems.append(f"the {key} {_short(part)!a} has the {kind} {where}; remove it")
        elif key == "title" and not part.strip():
            problems.append("the title is blank; give it a title or remove the row")
        else:
            if key == "title":
                plain = " ".join(filter(None, map(str.strip, _LINE_ENDS.split(part))))
            else:
                plain = _LINE_END.sub("\n", part)
            fields[key] = unicodedata.normalize("NFC", plain).strip()
    if not problems:
        try:
            return Topic(**fields)
        except ValidationError as error:
            for wrong in error.errors():
                key = str(wrong["loc"][0])
                text = f"the {key} {_short(fields[key])!r} has {len(fields[key]):,} characters"
                problems.append(f"{text}, not accepted: {wrong['msg']}; shorten it")
    raise BadInput(*(f"{place}: {problem}" for problem in problems))


def _mark(topic: Topic) -> str:
    """The hash that ends the topic's slug, without the cost of spelling the words before it."""
    return digest(f"{topic.title}\0{topic.guidance}" if topic.guidance else topic.title)[:8]


def _collisions(distinct: list[Topic], places: dict[tuple[str, str], list[str]]) -> Iterator[str]:
    """Problems of topics whose folders would be one on a case-insensitive disk."""
    marked: dict[str, list[Topic]] = {}
    for topic in distinct:
        for other in marked.setdefault(_mark(topic), []):
            if topic.slug.lower() == other.slug.lower():
                here, there = (places[t.title, t.guidance][0] for t in (topic, other))
                yield (
                    f"{here}: {_short(topic.title)!r} would share the folder {topic.slug} with "
                    f"{_short(other.title)!r} ({there}); reword one of the two"
                )
        marked[_mark(topic)].append(topic)


def _decoded(name: str, raw: bytes) -> str:
    utf16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "utf-16" if utf16 else "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = len(_LINE_END.findall(error.object[: error.start].decode(encoding, "replace"))) + 1
        at = len(raw) - len(error.object) + error.start
        said = (
            f"byte {at + 1} of the file (0x{raw[at]:02x}) is not {'UTF-16' if utf16 else 'UTF-8'}"
        )
        raise BadInput(f"{name} line {line}: {said}; save the file as UTF-8") from error


def _text_lines(name: str, text: str) -> Iterator[Entry]:
    for number, line in enumerate(_LINE_END.split(text), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield Entry(f"{name} line {number}", line)


def _csv_rows(name: str, text: str) -> Iterator[Entry]:
    """Rows are counted as a spreadsheet does: the header is row 1, a quoted newline adds none."""
    rows = csv.reader(io.StringIO(text.rstrip("\r\n"), newline=""), strict=True)
    columns: list[str] = list(KEYS)
    number = 0
    try:
        for number, row in enumerate(rows, start=1):
            place = f"{name} row {number}"
            if number == 1 and (header := _header(place, row)):
                columns = header
            elif any(cell.strip() for cell in row[len(columns) :]):
                found = f"{len(row)} cells for the columns {', '.join(columns)}"
                yield Entry(place, Misplaced(found))
            else:
                cells = {"title": "", **dict(zip(columns, row, strict=False))}
                yield Entry(place, Pairs(cells.items()))
    except csv.Error as error:
        said = f"not readable as CSV ({error}); close every quote, and double a quote inside quotes"
        raise BadInput(f"{name} row {number + 1}: {said}") from error


def _header(place: str, row: list[str]) -> list[str]:
    """The columns a first row names; empty: it is no header."""
    columns = [cell.strip().lower() for cell in row]
    if len(row) == 1 and (wrong := re.fullmatch(r"(title|topic)\s*([;\t])\s*guidance", columns[0])):
        raise BadInput(f"{place}: columns are separated by {wrong[2]!r}, wanted ','; use commas")
    if not {"title", "topic"} & set(columns):
        return []
    while columns and not columns[-1]:
        columns.pop()
    columns = ["title" if column == "topic" else column for column in columns]
    for column in columns:
        if column not in KEYS or columns.count(column) > 1:
            wrong = "more than one" if column in KEYS else "unknown"
            wanted = "wanted one title (or topic) and optional guidance; rename or remove it"
            raise BadInput(f"{place}: {wrong} column {_short(column)!r}, {wanted}")
    return columns


def _json_items(name: str, text: str) -> Iterator[Entry]:
    numbers: Any = dict.fromkeys(("parse_int", "parse_float", "parse_constant"), Misplaced)
    try:
        tree: Any = json.loads(text, object_pairs_hook=Pairs, **numbers)
    except json.JSONDecodeError as error:
        where = f"{name} line {error.lineno} column {error.colno}"
        raise BadInput(f"{where}: not readable as JSON ({error.msg}); correct it there") from error
    except RecursionError as error:
        raise BadInput(f"{name}: {TOO_DEEP}") from error
    for number, value in enumerate(_topic_list(name, tree), start=1):
        yield Entry(f"{name} item {number}", value)


def _yaml_items(name: str, text: str) -> Iterator[Entry]:
    try:
        documents = list(_YamlTexts(name, text))
    except yaml.YAMLError as error:
        mark: Any = getattr(error, "problem_mark", None)
        line, reason = mark.line + 1 if mark else 1, getattr(error, "problem", error)
        if isinstance(error, yaml.reader.ReaderError):
            code = int(error.character)
            line = 1 + text.count("\n", 0, text.find(chr(code)))
            reason = f"the character U+{code:04X} is not allowed"
        said = f"not readable as YAML ({reason}); correct it there"
        if "nesting depth" in str(reason):  # newer parsers have a limit of their own
            said = TOO_DEEP
        raise BadInput(f"{name} line {line}: {said}") from error
    if len(documents) > 1:
        raise BadInput(f"{name}: {len(documents)} YAML documents, wanted one; remove the --- lines")
    if documents and documents[0] != "":
        for line, value in _topic_list(name, documents[0]):
            yield Entry(f"{name} line {line}", value)


class _YamlTexts:
    """A YAML file's documents as texts, Pairs and lists of (line, value); nothing is interpreted.

    Built from the parser's events, so that no tag is obeyed, nothing is expanded, and depth and
    aliases are counted before anything grows.
    """

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._events: Iterator[Any] = cast("Any", yaml).parse(text, Loader=_YAML_LOADER)
        self._anchored: dict[str, str | None] = {}
        self._aliases = 0

    def __iter__(self) -> Iterator[Any]:
        for event in self._events:
            if isinstance(event, yaml.NodeEvent):
                yield self._value(event)

    def _value(self, event: Any, depth: int = 0) -> Any:
        if isinstance(event, yaml.AliasEvent):
            return self._repeated(event)
        if event.tag not in _YAML_TAGS:
            said = f"the tag {_short(event.tag)!r} is not accepted, only texts, lists and objects"
            raise self._refused(event, f"{said}; remove it")
        if event.anchor:
            self._anchored[event.anchor] = getattr(event, "value", None)
        if isinstance(event, yaml.ScalarEvent):
            return event.value
        if depth == YAML_DEPTH:
            raise self._refused(event, TOO_DEEP)
        items: list[tuple[int, Any]] = []
        while not isinstance(inner := next(self._events), yaml.CollectionEndEvent):
            items.append((inner.start_mark.line + 1, self._value(inner, depth + 1)))
        if isinstance(event, yaml.SequenceStartEvent):
            return items
        values = [value for _, value in items]
        return Pairs(zip(values[::2], values[1::2], strict=True))

    def _repeated(self, event: Any) -> str:
        self._aliases += 1
        if self._aliases > YAML_ALIASES:
            raise self._refused(event, f"more than {YAML_ALIASES:,} aliases; write the texts out")
        text = self._anchored.get(event.anchor)
        if text is None:
            said = f"the alias *{_short(event.anchor)} does not stand for an earlier text"
            raise self._refused(event, f"{said}; write it out")
        return text

    def _refused(self, event: Any, said: str) -> BadInput:
        return BadInput(f"{self._name} line {event.start_mark.line + 1}: {said}")


def _topic_list(name: str, tree: Any) -> list[Any]:
    """The list of topics of a parsed file: itself, or what its key `topics` holds."""
    if isinstance(tree, Pairs):
        keys = [str(key) for key, _ in tree]
        if keys != ["topics"]:
            wanted = 'wanted a list, or an object with the one key "topics"'
            found = _short(", ".join(keys) or "none")
            raise BadInput(f"{name}: {wanted}, found {found!r}; write one list of topics")
        tree = tree[0][1]
    if not isinstance(tree, list):
        raise BadInput(f"{name}: wanted a list of topics, found {_seen(tree)}; write a list")
    return cast("list[Any]", tree)


_FORMATS: dict[str, tuple[Callable[[str, str], Iterator[Entry]], int]] = {
    ".txt": (_text_lines, 50),
    ".yaml": (_yaml_items, 5),
    ".yml": (_yaml_items, 5),
    ".json": (_json_items, 50),
    ".csv": (_csv_rows, 50),
}


def _first(lines: Iterable[str]) -> list[str]:
    known = list(lines)
    rest = len(known) - LISTED
    return [*known[:LISTED], f"and {rest:,} more"] if rest > 0 else known


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def _seen(value: Any) -> str:
    """A value that is not what was wanted, named in the words of the file formats."""
    if isinstance(value, Misplaced):
        return _short(value.found)
    if value is None or isinstance(value, str) or (isinstance(value, int) and abs(value) < 1e300):
        return _short(json.dumps(value))
    kind = type(cast("object", value)).__name__
    return {"Pairs": "an object", "list": "a list"}.get(kind, f"a Python {kind}")
