"""The claims of a draft: its sentences with their sections and notes, read from the Markdown tree.

Here: which sentences claim something, which notes they mention, and where the notes stand. Not
here: where sentences end (`sentences`), what a note says (`notes`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markdown_it.token import Token

from prefect_llm_reports.tasks.citations.locating import words_in
from prefect_llm_reports.tasks.citations.notes import Note, read_note
from prefect_llm_reports.tasks.citations.sentences import MARK, spans_of
from prefect_llm_reports.tasks.text.cleaning import cleaned
from prefect_llm_reports.tasks.text.markdown import excessive, plain

LEAST_WORDS = 2
"""Words of a sentence that claims something."""

_MENTION = re.compile(r"\[\^([^\]\s]{1,60})\]")
_QUESTION = ("?", "？", "؟", ":", "：")
_UNCLAIMED = ("blockquote", "thead")


@dataclass(frozen=True)
class Statement:
    """A sentence that claims something.

    Attributes:
        text: The sentence as readers see it, without its notes.
        section: The heading above it.
        labels: Labels of the notes that it mentions, in order.
    """

    text: str
    section: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Statements:
    """What a draft claims.

    Attributes:
        claims: Its sentences that claim something, in reading order.
        notes: Its notes by label; of several with one label, all of their text.
        places: The last line of each note in the cleaned text, by label.
        text: The cleaned text.
    """

    claims: tuple[Statement, ...]
    notes: dict[str, Note]
    places: dict[str, tuple[int, ...]]
    text: str


def statements_of(draft: str, title: str = "Report") -> Statements:
    """Read a draft.

    Args:
        draft: Markdown as a model wrote it.
        title: The title of a report that has none.
    """
    tree = cleaned(draft, title)
    if excessive(tree.text):
        return Statements((), {}, {}, tree.text)
    leaves: list[Token] = tree.env["leaves"]
    sources: dict[str, list[str]] = {}
    places: dict[str, list[int]] = {}
    label = ""
    body: list[Token] = []
    lines = tree.text.split("\n")
    for token in leaves:
        if token.type == "footnote_reference_open":
            label = token.meta["label"]
            sources.setdefault(label, [])
            first, last = token.map or (0, 0)
            while last > first + 1 and not lines[last - 1].strip():
                last -= 1
            places.setdefault(label, []).append(last - 1)
        elif token.type == "footnote_reference_close":
            label = ""
        elif not label:
            body.append(token)
        elif token.type in ("inline", "fence", "code_block"):
            sources[label].append(token.content)
    notes = {label: read_note(label, "\n".join(said)) for label, said in sources.items()}
    kept = {label: tuple(at) for label, at in places.items()}
    return Statements(tuple(_claims(body)), notes, kept, tree.text)


def _claims(tokens: Sequence[Token]) -> Iterator[Statement]:
    section = ""
    unclaimed = 0
    row: list[str] | None = None
    for at, token in enumerate(tokens):
        kind, _, edge = token.type.rpartition("_")
        if kind in _UNCLAIMED:
            unclaimed += token.nesting
        elif kind == "tr":
            if edge == "close" and row is not None:
                yield from _row(row, section, claimed=not unclaimed)
            row = [] if edge == "open" else None
        elif token.type == "inline":
            text = _marked_text(token.children or [])
            heading = tokens[at - 1].type == "heading_open"
            if row is not None:
                row.append(text)
                continue
            claimed = not (unclaimed or heading or _is_title(token))
            yield from _sentences(text, section, claimed=claimed)
            if heading:
                section = plain(token.children or [])


def _sentences(text: str, section: str, *, claimed: bool) -> Iterator[Statement]:
    bare, labels = _MENTION.sub(MARK, text), _MENTION.findall(text)
    for start, end in spans_of(bare):
        yield from _statement(bare, start, end, labels, section, claimed=claimed)


def _row(cells: Sequence[str], section: str, *, claimed: bool) -> Iterator[Statement]:
    """A row of a table, as one sentence."""
    text = " | ".join(cells)
    bare, labels = _MENTION.sub(MARK, text), _MENTION.findall(text)
    yield from _statement(bare, 0, len(bare), labels, section, claimed=claimed)


def _statement(
    text: str, start: int, end: int, labels: Sequence[str], section: str, *, claimed: bool
) -> Iterator[Statement]:
    """The sentence, if it claims something, or has a note."""
    piece = text[start:end]
    before = text.count(MARK, 0, start)
    mine = tuple(dict.fromkeys(labels[before : before + piece.count(MARK)]))
    said = " ".join(piece.replace(MARK, "").split()).strip(" |")
    asks = said.rstrip("\"'”’»)*_ ").endswith(_QUESTION)
    if mine or (claimed and not asks and words_in(said) >= LEAST_WORDS):
        yield Statement(said, section, mine)


def _is_title(token: Token) -> bool:
    """Whether a paragraph is a heading in bold type."""
    children = [c for c in token.children or [] if c.type != "text" or c.content.strip()]
    return (
        len(children) > 2
        and children[0].type == "strong_open"
        and children[-1].type == "strong_close"
        and sum(child.type == "strong_open" for child in children) == 1
        and not plain(children).endswith((".", "!", "。"))
    )


def _marked_text(children: Sequence[Token]) -> str:
    """The words of inline tokens, with `[^label]` for each mention of a note."""
    words: list[str] = []
    for token in children:
        if token.type in ("text", "code_inline"):
            words.append(token.content.replace(MARK, ""))
        elif token.type in ("softbreak", "hardbreak"):
            words.append(" ")
        elif token.type == "footnote_ref":
            words.append(f"[^{token.meta['label']}]")
        elif token.type == "image":
            words.append(plain(token.children or []))
    return "".join(words)
