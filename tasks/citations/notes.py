"""Footnotes read: which passages a note names, which words it quotes, which sums it shows.

Here: one note's text, in the asked form and in the broken forms that models write. Not here: where
a draft has its notes (`statements`), whether they are true (`checking`).
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

_ID = re.compile(r"(?<![\w-])s(\d{1,6})[-‐‑‒–—−_](\d{1,6})(?![\w-]|[.,]\d)", re.IGNORECASE)
_OWN = re.compile(r"[\s*_`\[(\"'“‘]*own\b", re.IGNORECASE)
_ALSO_OWN = re.compile(r"\W*(?:\w+\W+)?own\W*", re.IGNORECASE)
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_PAIRS = {
    '"': '"“”',
    "“": '”“"',
    "„": '“”"',
    "”": "”",
    "«": "»",
    "»": "«",
    "‹": "›",
    "›": "‹",
    "「": "」",
    "『": "』",
    "〝": "〞〟",
    "＂": "＂",
    "‘": "’",
    "‚": "‘’",
    "'": "'",
    "´": "´",
}
"""Opening quotation marks, and what may close each."""
_SINGLE = "'‘‚´‹›"
_OPENING = "".join(_PAIRS)
_AFTER_QUOTE = re.compile(
    r"[\s.,;:)\]*_`…]*(?:(?:and|und|et|y|e|or|&|\+|/|-|–|—|，|、|；|。)[\s*_`\[(]*)?"
    r"(?:$|\Z|(?=[\[(*_`]*s\d+[-‐‑‒–—−_]\d)|(?=[\[(*_`]*own\b)|(?=[(\[\s]*\d[\d.,\s%]*[-+*/×÷−–]\s*[(\d])|(?=["
    + _OPENING
    + "]))",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Citation:
    """Words that a note quotes, and the passages that it names for them.

    Attributes:
        ids: Ids of passages, in one spelling; empty: the note names none for these words.
        quote: The quoted words; empty: it quotes none.
        marked: They stand in quotation marks.
    """

    ids: tuple[str, ...]
    quote: str = ""
    marked: bool = True


@dataclass(frozen=True)
class Note:
    """One footnote.

    Attributes:
        label: Its label in the text.
        text: Its text without Markdown escapes.
        citations: What it names and quotes, in order.
        own: It says that the sentence is the writer's own knowledge or judgement.
        rest: Its text without the quotations, where sums may be shown.
    """

    label: str
    text: str
    citations: tuple[Citation, ...] = ()
    own: bool = False
    rest: str = ""


def read_note(label: str, source: str) -> Note:
    """Read a note.

    Args:
        label: Its label.
        source: Its text as Markdown.
    """
    text = html.unescape(_ESCAPE.sub(r"\1", source)).strip()
    if _OWN.match(text) and not _ID.search(text):
        return Note(label, text, own=True)
    rest: list[str] = []
    citations = tuple(_citations(text, rest))
    own = any(_ALSO_OWN.fullmatch(part) for part in rest)
    return Note(label, text, citations, own=own, rest=" ".join(rest))


def _citations(text: str, rest: list[str]) -> list[Citation]:
    """Read a note from left to right: ids and the quotations that follow them, or come before."""
    found: list[list[str] | str] = []
    at = 0
    while at < len(text):
        named = _ID.search(text, at)
        opened = _opened(text, at)
        if named and (opened is None or named.start() < opened):
            rest.append(text[at : named.start()])
            if not found or isinstance(found[-1], str):
                found.append([])
            ids = found[-1]
            assert isinstance(ids, list)
            ids.append(f"s{int(named[1])}-{int(named[2])}")
            at = named.end()
        elif opened is not None:
            rest.append(text[at:opened])
            end = _closed(text, opened)
            if quote := text[opened + 1 : end].strip():
                found.append(quote)
            at = end + 1
        else:
            break
    left = text[at:]
    rest.append(left)
    if found and isinstance(found[0], str) and isinstance(found[-1], list):
        found.reverse()
        return _paired(found)[::-1]
    citations = _paired(found)
    if found and isinstance(found[-1], list):
        bare = left.strip(" \n\t.,;:()[]*_`-–—|>")
        citations[-1] = Citation(citations[-1].ids, bare, marked=False)
    return citations


def _paired(found: list[list[str] | str]) -> list[Citation]:
    """Each quotation with the ids before it; ids before none stand alone."""
    citations: list[Citation] = []
    ids: tuple[str, ...] = ()
    alone = False
    for one in found:
        if isinstance(one, str):
            citations.append(Citation(ids, one))
            alone = False
        else:
            if alone:
                citations.append(Citation(ids))
            ids, alone = tuple(dict.fromkeys(one)), True
    if alone:
        citations.append(Citation(ids))
    return citations


def _opened(text: str, at: int) -> int | None:
    """Where the next quotation begins; an apostrophe within a word begins none."""
    for found in re.finditer(f"[{_OPENING}]", text[at:]):
        place = at + found.start()
        before, after = text[place - 1 : place], text[place + 1 : place + 2]
        if found[0] in _SINGLE and (before.isalnum() or not after.strip()):
            continue
        return place
    return None


def _closed(text: str, opened: int) -> int:
    """Where a quotation ends: at the first mark after which the note goes on as notes do."""
    closers = _PAIRS[text[opened]]
    last = 0
    for found in re.finditer(f"[{closers}]", text[opened + 1 :]):
        place = opened + 1 + found.start()
        if found[0] in _SINGLE and text[place + 1 : place + 2].isalnum():
            continue
        last = place
        if _AFTER_QUOTE.match(text, place + 1):
            return place
    return last or len(text)
