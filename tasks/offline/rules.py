"""The rules of the embedded engine: a text measured, scored and improved.

Here: counting, which obeys no instruction in the text; one table of rules; the critic, which scores
by the rules, and the reviser, which adds the parts that a critic missed. Not here: their words
(`offline.phrases`), requests and answers (`offline.engine`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from prefect_llm_reports.tasks.contract.reports import Critique
from prefect_llm_reports.tasks.offline.phrases import NOTICES, REVISED_NOTICE, Voice, number, words

ENOUGH_WORDS, ENOUGH_SECTIONS = 600, 5
SECTION_WORDS = 30
"""A section with fewer words says next to nothing and does not count."""

_CLOSING = re.compile(
    r"conclu|closing|recommend|takeaway|next step|outlook|fazit|schluss|结论|結論|まとめ", re.I
)
_EXAMPLE = re.compile(r"example|case stud|scenario|beispiel|exemple|ejemplo|esempio", re.I)
_CUE = re.compile(r"for\s+(?:example|instance)|beispiel|exemple|ejemplo|esempio|例えば|例如", re.I)
_FENCE = re.compile(r"^```.*?(?:^```|\Z)", re.M | re.S)
_HEADING = re.compile(r"^##[ \t]+(\S[^\n]*)", re.M)
_ITEM = re.compile(r"^[ \t]{0,9}(?:[-*+]|\d{1,3}[.)])[ \t]+(?=\S)", re.M)
_NOT_PROSE = re.compile(r"^(?: {0,3}#{1,6}[ \t][^\n]*|[ \t]{0,9}\|[^\n]*| {0,3}>)", re.M)
_BLANK = re.compile(r"\n[ \t]*\n")
_STOP = re.compile(r" (?:(?<=[.!?…] )|(?<=[.!?…][\"'”\u2019)*_] ))|(?<=[。\uff01\uff1f])")
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_]+(?:['\u2019-][^\W_]+)*")


def _without_code(text: str) -> str:
    """The text with spaces in place of code, so that places stay the same."""
    return _FENCE.sub(lambda fence: " " * len(fence[0]), text)


def sections_of(text: str) -> tuple[str, list[tuple[str, str]]]:
    """The text before the first `##`, then the heading and the body of every section."""
    starts = list(_HEADING.finditer(_without_code(text)))
    ends = [*(start.start() for start in starts[1:]), len(text)]
    head = text[: starts[0].start()] if starts else text
    return head, [(s[1].strip(), text[s.end() : e]) for s, e in zip(starts, ends, strict=False)]


def blocks_of(text: str) -> list[str]:
    """The text between blank lines; code with blank lines in it is one block."""
    gaps = list(_BLANK.finditer(_without_code(text)))
    starts, ends = [0, *(gap.end() for gap in gaps)], [*(gap.start() for gap in gaps), len(text)]
    return [block for s, e in zip(starts, ends, strict=True) if (block := text[s:e]).strip()]


def sentences_of(text: str) -> list[str]:
    """The sentences and list items of the running text, each on one line, with their markup."""
    prose = _ITEM.sub("\n\n", _NOT_PROSE.sub("\n\n", _without_code(text)))
    blocks = (" ".join(block.split()) for block in _BLANK.split(prose))
    return [said for block in blocks for said in _STOP.split(block) if said]


def words_of(text: str) -> list[str]:
    """The words of a text in small letters."""
    return _WORD.findall(text.casefold())


def keywords(text: str) -> list[str]:
    """The first twelve distinct words that carry meaning."""
    telling = (w for w in _WORD.findall(text) if len(w) > 3 or (len(w) > 1 and w[:2].isupper()))
    kept = {w.casefold(): w for w in telling if w.casefold() not in words().common}
    return list(kept.values())[:12]


class Counts(NamedTuple):
    """The measures of a text; `words` leaves out the `repeated` ones, both of running text."""

    words: int
    repeated: int
    common: float  # share of the ten most frequent words
    sections: int
    items: int
    table: bool
    example: bool
    closing: bool
    missing: str  # keywords of topic and guidance that never occur, with commas between
    off_topic: bool


def counted(text: str, topic: str, guidance: str) -> Counts:
    """Measure a text; nothing in it is read as an instruction."""
    plain = _without_code(text)
    sections = sections_of(text)[1]
    sentences = Counter(tuple(words_of(said)) for said in sentences_of(text))
    repeated = sum((n - 1) * len(said) for said, n in sentences.items() if len(said) > 4)
    spoken = Counter(word for said in sentences.elements() for word in said)
    own, folded = keywords(topic), text.casefold()
    missing = [w for w in own + keywords(guidance) if w.casefold() not in folded]
    full = [h for h, body in sections if len(body.split(None, SECTION_WORDS)) >= SECTION_WORDS]
    return Counts(
        words=spoken.total() - repeated,
        repeated=repeated,
        common=sum(n for _, n in spoken.most_common(10)) / max(spoken.total(), 1),
        sections=len(full),
        items=len(_ITEM.findall(plain)),
        table=any("|" in s and "-" in s and not s.strip(" \t|:-") for s in plain.splitlines()),
        example=any(map(_EXAMPLE.search, full)) or len(_CUE.findall(plain)) > 1,
        closing=any(_CLOSING.search(h) and len(b.split(None, 15)) > 15 for h, b in sections[-3:]),
        missing=", ".join(missing),
        off_topic=bool(own) and set(own) <= set(missing),
    )


Mend = Callable[[str, Voice, Counts], str]


def _joined(head: str, parts: list[tuple[str, str]]) -> str:
    blocks = (head.strip(), *(f"## {heading}\n\n{body.strip()}".strip() for heading, body in parts))
    return "\n\n".join(filter(None, blocks)) + "\n"


def _with(text: str, *added: tuple[str, str]) -> str:
    """The text with sections added, before its closing section if it has one."""
    head, parts = sections_of(text)
    at = len(parts) - bool(parts and _CLOSING.search(parts[-1][0]))
    return _joined(head, [*parts[:at], *added, *parts[at:]])


def _adding(name: str) -> Mend:
    return lambda text, voice, counts: _with(text, voice.section(name))


def _longer(text: str, voice: Voice, counts: Counts) -> str:
    """The text with sections that it does not have yet, until it is long enough."""
    there = {heading for heading, _ in sections_of(text)[1]}
    total, count = counts.words, counts.sections
    added: list[tuple[str, str]] = []
    for name in (*voice.topical(), "frame", "questions"):
        if total > ENOUGH_WORDS and count >= ENOUGH_SECTIONS:
            break
        if words().sections[name].heading not in there:
            added.append(voice.section(name))
            total, count = total + len(words_of(added[-1][1])), count + 1
    return _with(text, *added) if added else text


def _once(text: str, voice: Voice, counts: Counts) -> str:
    """The text without paragraphs, lists and tables that occur before, and emptied sections."""
    seen: set[str] = set()

    def fresh(body: str) -> str:
        said = {" ".join(block.split()): block for block in blocks_of(body)}
        new = [block for words, block in said.items() if words not in seen]
        seen.update(said)
        return "\n\n".join(new)

    head, parts = sections_of(text)
    return _joined(fresh(head), [(heading, new) for heading, body in parts if (new := fresh(body))])


RULES: dict[str, tuple[Callable[[Counts], bool], Mend]] = {
    "coverage": (lambda c: not c.missing, lambda t, v, c: _with(t, v.requested(c.missing))),
    "repetition": (lambda c: c.repeated * 50 <= c.words, _once),
    "length": (lambda c: c.words >= ENOUGH_WORDS, _longer),
    "sections": (lambda c: c.sections >= ENOUGH_SECTIONS, _longer),
    "conclusion": (lambda c: c.closing, _adding("conclusion")),
    "example": (lambda c: c.example, _adding("example")),
    "table": (lambda c: c.table, _adding("table")),
    "list": (lambda c: c.items >= 3, _adding("checklist")),
}
"""The rules, the most important first: whether a text meets one, and how to make it meet it."""


def critique(text: str, topic: str, guidance: str) -> Critique:
    """Measure a text: a 10, less one for each rule that it does not meet."""
    c, says = counted(text, topic, guidance), words().rules
    met = [name for name, (holds, _) in RULES.items() if holds(c)]
    lost = [name for name in RULES if name not in met]
    running = c.words >= 40 and (c.words < 100 or 0.07 <= c.common <= 0.6)  # words as in prose
    ceiling = 2 if not running else 3 if c.off_topic else 10
    return Critique(
        score=min(ceiling, 10 - len(lost)),
        strengths=[says[name]["met"].format(c=c) for name in met],
        improvements=[says[name]["wish"].format(c=c) for name in lost],
        summary=f"Measured by fixed rules, without a language model: {len(met)} of {len(RULES)} "
        f"rules met in {c.words} words; facts are not checked.",
    )


def revise(text: str, voice: Voice, guidance: str, improvements: list[str]) -> str:
    """Act on one or two points of a critique true of the text; without any, on all rules."""
    c, says = counted(text, voice.title, guidance), words().rules
    lost = {name: mend for name, (holds, mend) in RULES.items() if not holds(c)}
    asked = [n for i in improvements for n in lost if re.search(says[n]["asked"], i, re.I)]
    few, revised = 1 + number(voice.seed, 2), text
    for mend in list(dict.fromkeys(lost[name] for name in asked or lost))[:few]:
        revised = mend(revised, voice, c)
    if revised == text:
        return text
    if not revised.startswith("# "):
        revised = f"# {voice.heading}\n\n{revised.lstrip()}"
    if not any(notice in revised for notice in NOTICES):
        title, _, rest = revised.partition("\n")
        revised = f"{title}\n\n> {REVISED_NOTICE}\n\n{rest.lstrip()}"
    return revised
