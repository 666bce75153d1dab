"""Reports with sources: sentences copied from passages, noted. Not here: others (`engine`)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from prefect_llm_reports.tasks.offline.phrases import QUOTED_NOTICE, Voice, escaped
from prefect_llm_reports.tasks.offline.rules import keywords, sentences_of

_COPIED = re.compile(r"(?=(?:\S+ ){5}|\S{10})[^\"“”„«»\[\]|`*_<>\\#~^:]{20,400}[.!。]")
_PLAIN = re.compile(r"(?=(?:\S+ ){3})[^\"“”„«»\[\]|`*_<>\\#~^]{20,400}")
_CELL = re.compile(r"[^:;]{1,60}: [^;]+")
NOTE = re.compile(r"\[\^\w+\](?:: .*)?")
_OPEN_END = re.compile(r"(?<=[^\s.!?:][.!])(?=\s|$)")


def quoted(voice: Voice, passages: Sequence[str]) -> str:
    """A paper of sentences that are copied from the passages nearest to the topic."""
    own = [word.casefold() for word in keywords(voice.title)]
    near = sorted(passages, key=lambda text: -sum(word in text.casefold() for word in own))[:12]
    sections, most = dict[str, list[str]](), 24 // len(near) + 1
    notes: list[str] = []
    for passage in (text for text in passages if text in near):
        head, _, text = passage.partition("\n\n")
        id, *names = head.split(" · ")
        for sentence in _copied(text, own)[:most]:
            notes.append(f'[^{len(notes) + 1}]: {id} "{sentence}"')
            section = sections.setdefault(escaped(names[0] if names else id), [])
            section.append(f"{escaped(sentence)}[^{len(notes)}]")
    parts = ["## From {}\n\n{}".format(name, "\n\n".join(said)) for name, said in sections.items()]
    return noted("\n\n".join([f"# {voice.heading}", f"> {QUOTED_NOTICE}", *parts, *notes]))


def _copied(text: str, own: Sequence[str]) -> list[str]:
    """Sentences that can be copied; of a table its rows, those nearest to the topic first."""
    cells = re.split("; |\n", text)
    if len(cells) < 2 or not all(map(_CELL.fullmatch, cells)):
        return [said for said in sentences_of(text) if _COPIED.fullmatch(said)]
    rows = text.split("\n") if "; " in text else [" ".join(cells)]  # of a topics file
    rows.sort(key=lambda row: -sum(word in row.casefold() for word in own))
    return [row for row in rows if _PLAIN.fullmatch(row)]


def noted(text: str) -> str:
    """The text with its notes at the end, and each sentence without one marked as own."""
    lines = text.split("\n")
    body = [_marked(line) for line in lines if not line.startswith("[^")]
    notes = [line for line in lines if line.startswith("[^") and line != "[^own]: own"]
    return "\n".join([*body, "", *notes, "[^own]: own" if "[^own]" in "".join(body) else ""])


def _marked(line: str) -> str:
    if line.startswith(("#", ">", "```")) or "[^" in line or not line.strip("|- "):
        return line
    return f"{line[:-1]}[^own] |" if line.startswith("| ") else _OPEN_END.sub("[^own]", line)
