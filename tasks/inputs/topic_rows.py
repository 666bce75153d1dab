"""Topics of one run side by side: repeats, topics that differ in their row only, rows in guidance.

Here: which topics are the same report. Not here: the parts of one topic (`topics`), how a template
sees a row (`templates.rows`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.reports import Topic
from prefect_llm_reports.tasks.inputs.problems import first, short
from prefect_llm_reports.tasks.templates.rows import NAMES_ROW, Row
from prefect_llm_reports.tasks.templates.sandbox import Limits, TextSandbox
from prefect_llm_reports.tasks.text.spelling import did_you_mean

_LIMITS = Limits(chars=20_000, seconds=1)
_MISSING = re.compile(r"has no attribute '(.*)'|has no element (.*)", re.S)

_Key = tuple[str, str, tuple[tuple[str, str], ...], str]


@cache
def _sandbox() -> TextSandbox:
    return TextSandbox(_LIMITS)


def with_row(place: str, topic: Topic) -> Topic:
    """The topic with its row's cells in its guidance, where that names them.

    Args:
        place: Where the topic stands, for messages.
        topic: As it was given.

    Raises:
        BadInput: The guidance names a column that the row does not have, or is no template.
    """
    if not NAMES_ROW.search(topic.guidance):
        return topic
    columns = ", ".join(topic.row) or "none"
    try:
        said = _sandbox().render(topic.guidance, {"row": Row(topic.row)})
    except ValueError as error:
        missing = _MISSING.search(str(error))
        if missing is None:
            raise BadInput(f"{place}: the guidance: {error}; correct it") from None
        name = (missing[1] or missing[2]).strip("'")
        near = did_you_mean(name, topic.row)
        raise BadInput(
            f"{place}: the guidance names row.{short(name)}, the columns there are: {columns}"
            f"{near or '; name one of them'}"
        ) from None
    if NAMES_ROW.search(said):
        raise BadInput(
            f"{place}: a cell that the guidance names holds a template about a row itself; remove"
            " its braces"
        )
    return topic.model_copy(update={"guidance": said.strip()})


class Given:
    """The topics of a run as they are given, and where.

    Attributes:
        problems: Topics that would be the same report from different sources.
    """

    def __init__(self) -> None:
        self._topics: dict[_Key, Topic] = {}
        self._places: dict[_Key, list[str]] = {}
        self.problems: list[str] = []

    def add(self, place: str, topic: Topic) -> None:
        """Take a topic, or note that it is there already.

        Args:
            place: Where it stands.
            topic: The topic, valid by itself.
        """
        key = _key(topic)
        known = self._topics.setdefault(key, topic)
        places = self._places.setdefault(key, [])
        places.append(place)
        if known.sources != topic.sources:
            self.problems.append(
                f"{place}: {short(topic.title)!r} is the report of {places[0]} from other sources;"
                " put the sources of both together, or give one of them guidance of its own"
            )

    def place(self, topic: Topic) -> str:
        """Where a topic stands first.

        Args:
            topic: One of these.
        """
        key = _key(topic)
        known = self._places.get(key) or self._places[*key[:3], ""]
        return known[0]

    def distinct(self) -> list[Topic]:
        """Each topic once; those that differ in their row only say by what."""
        alike: dict[tuple[str, str], list[Topic]] = {}
        for topic in self._topics.values():
            alike.setdefault((topic.title, topic.guidance), []).append(topic)
        twins: dict[int, str] = {}
        for group in alike.values():
            if len(group) > 1 and not any(topic.twin for topic in group):
                twins |= {
                    id(topic): said for topic, said in zip(group, _told_apart(group), strict=True)
                }
        return [
            topic.model_copy(update={"twin": twins[id(topic)]}) if twins.get(id(topic)) else topic
            for topic in self._topics.values()
        ]

    def repeats(self) -> Iterator[str]:
        """A sentence for each topic that is given several times."""
        for key, places in self._places.items():
            if len(places) > 1:
                yield (
                    f"{short(key[0])!r} is given {len(places)} times and written once: "
                    + ", ".join(first(places))
                )


def _key(topic: Topic) -> _Key:
    return topic.title, topic.guidance, tuple(topic.row.items()), topic.twin


def _told_apart(group: Sequence[Topic]) -> list[str]:
    """What tells topics apart: the first column in which all differ, else all columns."""
    for name in group[0].row:
        cells = [topic.row.get(name, "") for topic in group]
        if len(set(cells)) == len(cells):
            return [f"{name}: {cell}" for cell in cells]
    return ["; ".join(f"{name}: {cell}" for name, cell in topic.row.items()) for topic in group]
