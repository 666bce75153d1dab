"""The rules of the embedded engine: how a text is measured, scored and improved.

Here: the critic, which counts what a text contains and obeys nothing that stands in it, and the
reviser, which supplies what the count found missing. Not here: requests and answers
(`offline.engine`), the sentences added to a report (`offline.phrases`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from prefect_llm_reports.tasks.contract.reports import Critique
from prefect_llm_reports.tasks.offline.phrases import (
    NOTICE,
    REVISED_NOTICE,
    SECTIONS,
    TOPICAL,
    Voice,
    deeper,
    requested,
    section,
)

ENOUGH_WORDS = 600
THIN_WORDS = 30

_FENCE = re.compile(r"^```.*?(?:^```|\Z)", re.M | re.S)
_HEADING = re.compile(r"^##[ \t]+(\S[^\n]*)", re.M)
_TABLE = re.compile(
    r"^[^\n|]*\|[^\n]*\n[ \t]{0,9}\|?[ \t]{0,9}:?-+:?[ \t]{0,9}"
    r"(?:\|[ \t]{0,9}:?-+:?[ \t]{0,9})+\|?[ \t]{0,9}\n[^\n|]*\|",
    re.M,
)
_ITEM = re.compile(r"^[ \t]{0,9}(?:[-*+]|\d{1,3}[.)])[ \t]+(?=\S)", re.M)
_NOT_PROSE = re.compile(r"^(?: {0,3}#{1,6}[ \t][^\n]*|[ \t]{0,9}\|[^\n]*| {0,3}>)", re.M)
_BLANK = re.compile(r"\n[ \t]*\n")
_STOP = re.compile(r"[.!?…][\"'”\u2019)*_]{0,4}\s+|[。\uff01\uff1f]|\n[ \t]*\n")
_AFTER_STOP = re.compile(r"(?<=[.!?…])\s+|(?<=[。\uff01\uff1f])")
_COMPLETE = re.compile(r"[.!?…。\uff01\uff1f][\"”\u2019)*_]{0,4}$")
_CJK = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+(?:['\u2019-][^\W_{_CJK}]+)*")
_EXAMPLES = re.compile(
    r"example|case stud|scenario|illustrat|beispiel|exemple|ejemplo|esempio", re.I
)
_CLOSING = re.compile(
    r"conclu|closing|recommend|takeaway|next step|outlook|way forward|bottom line|fazit|schluss"
    r"|结论|結論|まとめ",
    re.I,
)
_CUES = (
    "for example", "for instance", "e.g.", "to illustrate", "suppose ", "imagine ", "consider a",
    "such as", "case study", "zum beispiel", "par exemple", "por ejemplo", "ad esempio", "例えば",
    "例如",
)  # fmt: skip
_COMMON_WORDS = """
about also among another because been being both could cover does each even every focus from have
here include into just keep like main make many mention more most much must need only other over
please report should some such than that their them then there these they this those through under
upon very want well were what when where which while will with within without would write your
"""
_COMMON = frozenset(_COMMON_WORDS.split())
# Which rule a critic's wording refers to; the first that matches counts.
_ASKED = (
    ("coverage", re.compile(r"^cover |guidance|asked for|request", re.I)),
    ("repetition", re.compile(r"repe|duplicat|redundan", re.I)),
    ("examples", re.compile(r"example|case stud|concrete|illustrat|specific", re.I)),
    ("table", re.compile(r"\btable\b|compar|side by side", re.I)),
    ("conclusion", re.compile(r"conclu|next step|recommend|closing", re.I)),
    ("list", re.compile(r"\blists?\b|bullet", re.I)),
    ("sentences", re.compile(r"sentence|readab", re.I)),
    ("depth", re.compile(r"thin|deep|depth|elaborat|detail", re.I)),
    ("length", re.compile(r"\bwords\b|longer|length|extend|expand|risk", re.I)),
    ("sections", re.compile(r"section|structur|heading", re.I)),
)


class Finding(NamedTuple):
    """What one rule found in a text."""

    rule: str
    points: int
    worth: int
    found: str
    wanted: str


class Measured(NamedTuple):
    """A text after measuring: what each rule found, and the highest score its kind can have."""

    findings: list[Finding]
    ceiling: int
    words: int
    missing: list[str]

    @property
    def lost(self) -> list[Finding]:
        """Rules not fully met, the most costly first."""
        gaps = [f for f in self.findings if f.points < f.worth]
        return sorted(gaps, key=lambda f: f.points - f.worth)


def keywords(text: str) -> list[str]:
    """The first twelve distinct words that carry meaning."""
    kept: dict[str, str] = {}
    for word in _WORD.findall(text):
        folded = word.casefold()
        if (len(word) > 3 or (len(word) > 1 and word[:2].isupper())) and folded not in _COMMON:
            kept.setdefault(folded, word)
            if len(kept) == 12:
                break
    return list(kept.values())


def _masked(text: str) -> str:
    """The text with code blanked out, every other character in its place."""
    return _FENCE.sub(lambda fence: " " * len(fence[0]), text)


def parts_of(text: str) -> tuple[str, list[tuple[str, str]]]:
    """What stands before the first `##`, then every section's heading and body."""
    starts = list(_HEADING.finditer(_masked(text)))
    ends = [start.start() for start in starts[1:]] + [len(text)]
    head = text[: starts[0].start()] if starts else text
    return head, [(s[1].strip(), text[s.end() : e]) for s, e in zip(starts, ends, strict=False)]


def sentences_of(text: str) -> Iterator[str]:
    """The complete sentences of the running text, with their markup, in order."""
    prose = _ITEM.sub("\n\n", _NOT_PROSE.sub("\n\n", _masked(text)))
    for block in _BLANK.split(prose):
        for said in _AFTER_STOP.split(" ".join(block.split())):
            if _COMPLETE.search(said) and len(_WORD.findall(said)) > 3:
                yield said


def _thin(body: str) -> bool:
    return len(body.split(None, THIN_WORDS)) < THIN_WORDS


def _occurs(word: str, counts: Counter[str], text: str) -> bool:
    return word in counts or re.search(rf"\b{re.escape(word)}\b", text) is not None


def measure(text: str, topic: str, guidance: str) -> Measured:
    """Count what the text contains; nothing in it is read as an instruction."""
    masked, folded = _masked(text), text.casefold()
    parts = parts_of(text)[1]
    prose = _ITEM.sub("\n\n", _NOT_PROSE.sub("\n\n", _masked(folded)))
    sentences = [words for s in _STOP.split(prose) if (words := tuple(_WORD.findall(s)))]
    counts = Counter(word for words in sentences for word in words)
    total = counts.total()
    real = total >= 100
    repeated = sum(
        (times - 1) * len(words) for words, times in Counter(sentences).items() if len(words) > 4
    )
    fresh = total - repeated
    longest = sum(len(words) > 45 for words in sentences)
    average = total / max(len(sentences), 1)
    frequent = sum(count for _, count in counts.most_common(10)) / max(total, 1)
    own, asked = keywords(topic), keywords(guidance)
    missing = [word for word in own + asked if not _occurs(word.casefold(), counts, folded)]
    thin = [heading for heading, body in parts if _thin(body)]
    items = len(_ITEM.findall(masked))
    examples = sum(folded.count(cue) for cue in _CUES)
    example = any(_EXAMPLES.search(h) and not _thin(b) for h, b in parts) or examples > 1
    closing = any(_CLOSING.search(h) and len(b.split(None, 15)) > 15 for h, b in parts[-3:])

    ceiling = 10
    if total < 40 or (real and not 0.07 <= frequent <= 0.6):
        ceiling = 2  # too little, or words that do not occur as they do in running text
    elif own and set(own) <= set(missing):
        ceiling = 3  # it never names its topic
    findings = [
        Finding(
            "repetition",
            10 * (real and repeated * 50 <= total),
            10,
            "No sentence is said twice.",
            f"Remove what is repeated: about {repeated} of {total} words stand in "
            "sentences that occur before."
            if real
            else "Write at least 100 words of running text without repeating any of it.",
        ),
        Finding(
            "length",
            10 * (fresh >= 250) + 10 * (fresh >= ENOUGH_WORDS),
            20,
            f"Running text of {fresh} words gives the subject room.",
            f"Extend the running text from {fresh} to at least {ENOUGH_WORDS} words, for instance "
            "on risks, evidence, assumptions or cost.",
        ),
        Finding(
            "conclusion",
            9 * closing,
            9,
            "A closing section tells the reader what follows.",
            "Add a closing section of at least two sentences that concludes and names next steps.",
        ),
        Finding(
            "examples",
            9 * example,
            9,
            "Examples make the argument concrete.",
            "Add a worked example with its own heading that applies the argument to one case.",
        ),
        Finding(
            "table",
            9 * bool(_TABLE.search(masked)),
            9,
            "A table lets the reader compare at a glance.",
            "Add a table that compares the options by the same criteria.",
        ),
        Finding(
            "sections",
            4 * (len(parts) >= 3) + 5 * (len(parts) >= 5),
            9,
            f"The text is divided into {len(parts)} titled sections.",
            f"Divide the text into at least five sections with `##` headings; it has {len(parts)}.",
        ),
        Finding(
            "depth",
            6 * (bool(parts) and not thin),
            6,
            f"Every section has {THIN_WORDS} words or more.",
            f"Deepen the thin sections: {len(thin)} of {len(parts)} have fewer than {THIN_WORDS} "
            "words.",
        ),
        Finding(
            "list",
            6 * (items >= 3),
            6,
            f"Lists ({items} items) make it easy to scan.",
            f"Set questions, steps or checks as a list of three or more items; it has {items}.",
        ),
        Finding(
            "coverage",
            6 * (real and not missing),
            6,
            "The topic and every point of the guidance are taken up."
            if asked
            else "The text keeps naming its topic.",
            f"Cover the words of the request that never occur: {', '.join(missing)}."
            if missing
            else "Cover the request in at least 100 words.",
        ),
        Finding(
            "sentences",
            6 * (real and 6 <= average <= 28 and longest * 10 <= len(sentences)),
            6,
            f"Sentences average {average:.0f} words and read easily.",
            f"Bring the sentences to 6 to 28 words on average and split those over 45; the average "
            f"is {average:.0f}, and {longest} are over 45.",
        ),
    ]
    return Measured(findings, ceiling, fresh, missing)


def critique(text: str, topic: str, guidance: str) -> Critique:
    """Score by the sum of the rules: 90 points are a 10, none is a 1."""
    measured = measure(text, topic, guidance)
    points = sum(finding.points for finding in measured.findings)
    score = min(measured.ceiling, 1 + points // 10)
    return Critique(
        score=score,
        strengths=[f.found for f in measured.findings if f.points == f.worth],
        improvements=[f.wanted for f in measured.lost],
        summary=f"Measured by fixed rules, without a language model: {points} of 90 points for "
        f"{measured.words} words of running text.",
    )


def _without_repeats(text: str) -> str:
    """The text without paragraphs, items and sentences of five words or more said before."""
    seen: set[tuple[str, ...]] = set()

    def new(sentence: str) -> bool:
        words = tuple(_WORD.findall(sentence.casefold()))
        known = len(words) > 4 and words in seen
        seen.add(words)
        return not known

    fences: list[str] = _FENCE.findall(text)
    places = iter(range(len(fences)))
    kept: list[str] = []
    emptied = False
    for block in _BLANK.split(_FENCE.sub(lambda _: f"```{next(places)}", text)):
        bare = block.strip()
        if bare.startswith("#"):
            if emptied and kept[-1:] and kept[-1].startswith("#"):
                kept.pop()  # all that stood under the last heading was said before
            emptied = False
        if not bare or bare[0] in "#|`>":
            kept.append(block)
            continue
        listed = _ITEM.match(bare) is not None
        units = bare.split("\n") if listed else _AFTER_STOP.split(bare)
        fresh = [unit for unit in units if new(unit)]
        if fresh:
            joint = "\n" if listed else " "
            kept.append(block if len(fresh) == len(units) else joint.join(fresh))
        emptied = emptied or not fresh
    if emptied and kept[-1:] and kept[-1].startswith("#"):
        kept.pop()
    return re.sub(r"```(\d+)", lambda place: fences[int(place[1])], "\n\n".join(kept))


def _with_sections(text: str, voice: Voice, words: int, *, until_long: bool) -> str:
    """The text with sections it does not have yet, until it is long enough or has five."""
    headings = {heading for heading, _ in parts_of(text)[1]}
    count = len(headings)
    order = sorted(TOPICAL, key=lambda key: voice.pick(f"order {key}", 1 << 32))
    added: list[str] = []
    for key in (*order, "frame", "questions"):
        if words > ENOUGH_WORDS if until_long else count >= 5:
            break
        if headings.isdisjoint(SECTIONS[key].headings):
            added.append(section(voice, key))
            words += len(_WORD.findall(added[-1].partition("\n")[2]))
            count += 1
    return _before_closing(text, added)


def _blocks(text: str) -> list[str]:
    """What stands before the first section, then each section with its heading."""
    head, parts = parts_of(text)
    return [head.strip(), *(f"## {heading}{body}".strip() for heading, body in parts)]


def _before_closing(text: str, added: list[str]) -> str:
    """The text with sections inserted before a closing section, or appended."""
    if not added:
        return text
    blocks = _blocks(text)
    closed = len(blocks) > 1 and _CLOSING.search(blocks[-1].partition("\n")[0]) is not None
    where = len(blocks) - closed
    return "\n\n".join([*blocks[:where], *added, *blocks[where:]]).strip() + "\n"


def _deepened(text: str, voice: Voice) -> str:
    """The text with a paragraph added to each of its first eight thin sections."""
    blocks, left = _blocks(text), 8
    for i, (heading, body) in enumerate(parts_of(text)[1], 1):
        if left and _thin(body):
            left -= 1
            joint = " " if (more := deeper(voice, heading, body)) and body.strip() else "\n\n"
            blocks[i] += joint + more
    return "\n\n".join(blocks).strip() + "\n"


def _divided(text: str) -> str:
    """The text with long sentences divided where they have a semicolon."""
    masked = _masked(text)

    def divide(stretch: re.Match[str]) -> str:
        said = stretch[0]
        if len(said) < 200 or masked[stretch.start()] != said[0]:
            return said
        return re.sub(r"(?<!&[a-z]{2})(?<!&[a-z]{3}); (\w)", lambda m: f". {m[1].upper()}", said)

    return re.sub(r"[^.!?\n]+", divide, text)


def _mended(text: str, voice: Voice, rule: str, measured: Measured) -> str:
    """The text after mending what one rule found missing."""
    match rule:
        case "length" | "sections":
            return _with_sections(text, voice, measured.words, until_long=rule == "length")
        case "repetition":
            return _without_repeats(text)
        case "conclusion":
            return f"{text.rstrip()}\n\n{section(voice, 'conclusion')}\n"
        case "examples" | "table" | "list":
            key = {"examples": "example", "list": "checklist"}.get(rule, rule)
            return _before_closing(text, [section(voice, key)])
        case "coverage" if measured.missing:
            return _before_closing(text, [requested(voice, measured.missing)])
        case "depth":
            return _deepened(text, voice)
        case "sentences":
            return _divided(text)
        case _:
            return text


def revise(text: str, voice: Voice, guidance: str, improvements: list[str]) -> str:
    """Mend what the critic asked for and the text really lacks, the first few points only."""
    measured = measure(text, voice.title, guidance)
    lost = {finding.rule: finding.worth - finding.points for finding in measured.lost}
    named = [next((rule for rule, said in _ASKED if said.search(i)), "") for i in improvements]
    share = 15 if voice.pick("share", 3) else 10
    revised = text
    for rule in [rule for rule in dict.fromkeys(named) if rule in lost] or list(lost):
        mended = _mended(revised, voice, rule, measured)
        share -= lost[rule] * (mended != revised)
        revised = mended
        if share <= 0:
            break
    if revised == text:
        return text
    if not revised.startswith("# "):
        revised = f"# {voice.heading}\n\n{revised.lstrip()}"
    if NOTICE not in revised and REVISED_NOTICE not in revised:
        title, _, rest = revised.partition("\n")
        revised = f"{title}\n\n> {REVISED_NOTICE}\n\n{rest.lstrip()}"
    return revised
