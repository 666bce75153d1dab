"""The words of the embedded engine, for a paper on a topic that nobody researched.

Here: topics made harmless in Markdown, sentences chosen by hash, sections in Markdown; the words
themselves are in `words.yaml`. Not here: the choice of sections (`engine`, `rules`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import yaml

_BY = "by the offline rule-based engine, without a language model"
NOTICE = f"This text was produced {_BY}, and contains no researched facts."
REVISED_NOTICE = f"This text was revised {_BY}; what it added contains no researched facts."
QUOTED_NOTICE = f"This text was put together {_BY}; sentences with quotations are copied."
NOTICES = (NOTICE, REVISED_NOTICE, QUOTED_NOTICE)
TOPICAL = ("stakeholders", "criteria", "evidence", "assumptions", "risks", "effort")

_CONTROL = re.compile(r"[\0-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_SPECIAL = re.compile(r"[\\`*\[\]|~<>]|(?<!\w)_|_(?!\w)|(?<!\S)#+|&(?=#?\w+;)")
_ENTITY = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


class Section(NamedTuple):
    """A section as `words.yaml` has it."""

    heading: str = ""
    text: Sequence[str] = ()
    more: Sequence[str] = ()
    items: Sequence[str] = ()
    table: str = ""


class Words(NamedTuple):
    """Everything in `words.yaml`."""

    common: frozenset[str]
    rules: dict[str, dict[str, str]]
    sections: dict[str, Section]
    formats: dict[str, str]
    specimens: list[str]


@cache
def words() -> Words:
    """The words, read once."""
    text = Path(__file__).with_name("words.yaml").read_text("utf-8")
    read = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - safe both
    sections = {name: Section(**parts) for name, parts in read["sections"].items()}
    return Words(**read | {"common": frozenset(read["common"].split()), "sections": sections})


def one_line(text: str, limit: int) -> str:
    """The text on one line without control characters, cut between words where it is too long."""
    line = " ".join(_CONTROL.sub("", text).split())
    if len(line) <= limit:
        return line
    cut, space = line[: limit - 1], line.rfind(" ", 0, limit - 1)
    return (cut[:space] if space > limit // 2 else cut).rstrip(" ,;:.-\u2013\u200d\ufe0f") + "…"


def escaped(text: str) -> str:
    """The text with every character that Markdown or HTML would act on made literal."""
    return _SPECIAL.sub(lambda m: _ENTITY.get(m[0], "\\" + m[0]), text)


def number(seed: str, below: int = 1 << 32) -> int:
    """A number from 0 to `below` - 1 that depends on the seed alone."""
    named = blake2b(seed.encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(named.digest(), "big") % below


class Voice(NamedTuple):
    """Writes about one topic; the seed decides which sections and sentences it gets."""

    title: str
    seed: str

    @property
    def heading(self) -> str:
        """The title as it stands after `# `."""
        return escaped(one_line(self.title, 300)) or "Untitled"

    def topical(self) -> list[str]:
        """Names of the sections that fit any topic, in an order of this topic's own."""
        return sorted(TOPICAL, key=lambda name: number(f"{self.seed}\0{name}"))

    def section(self, name: str) -> tuple[str, str]:
        """The heading of a section, and its paragraph, list and table in Markdown."""
        known = words().sections[name]
        items = "\n".join(f"- {said}" for said in self._most(known.items))
        parts = (" ".join([*known.text, *self._most(known.more)]), items, known.table.strip())
        topic = escaped(one_line(self.title, 80)) or "this topic"
        return known.heading, "\n\n".join(filter(None, parts)).replace("{topic}", f"“{topic}”")

    def requested(self, points: str) -> tuple[str, str]:
        """A section that takes up points of the request, which have commas between."""
        heading, *_, says, _ = words().sections["requested"]
        said = {point: says[number(self.seed + point, len(says))] for point in points.split(", ")}
        return heading, "\n".join(f"- **{escaped(point)}**: {s}" for point, s in said.items())

    def _most(self, sentences: Sequence[str]) -> list[str]:
        few = sorted(sentences, key=lambda s: number(f"{self.seed}\0{s}"))[: len(sentences) // 4]
        return [said for said in sentences if said not in few]
