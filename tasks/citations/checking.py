"""Verdicts: what code finds of each claim of a draft, without any likeness or opinion.

Here: quotations, ids, numbers and the share of sentences with a note. Not here: what a writer is
told about it (`findings`), how published text shows it (`marking`), the judge of support.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from prefect_llm_reports.tasks.citations.locating import LEAST_WORDS, located, long_enough
from prefect_llm_reports.tasks.citations.notes import Citation, Note
from prefect_llm_reports.tasks.citations.numbers import (
    Figure,
    Known,
    figures_in,
    known_numbers,
    stands_in,
)
from prefect_llm_reports.tasks.citations.statements import Statement, Statements, statements_of
from prefect_llm_reports.tasks.citations.sums import shown_results
from prefect_llm_reports.tasks.contract.evidence import Claim, EvidenceCount, Number, Passage

MOST_QUOTED = 2000
"""Characters of a quotation that are looked for and kept."""


@dataclass(frozen=True)
class Checked:
    """What was found in one draft.

    Attributes:
        claims: Each sentence that claims something, once for each quotation of its notes.
        sentences: How many such sentences there are.
        covered: How many of them have a note that quotes something, or says that it is own.
        unused: Labels of the notes that no sentence mentions.
        statements: The draft as it was read.
    """

    claims: tuple[Claim, ...]
    sentences: int
    covered: int
    unused: tuple[str, ...]
    statements: Statements

    @property
    def coverage(self) -> float:
        """Share of the sentences that have a note, 0 to 1; a draft that claims nothing has 0."""
        return self.covered / self.sentences if self.sentences else 0.0

    @cached_property
    def counts(self) -> EvidenceCount:
        """The claims, counted."""
        return counted(self.claims, self.sentences, self.coverage)


def counted(claims: Sequence[Claim], sentences: int, coverage: float) -> EvidenceCount:
    """Count claims.

    Args:
        claims: The claims of a draft.
        sentences: Its sentences that claim something.
        coverage: The share of them that have a note.
    """
    verdicts = Counter[str](claim.verdict for claim in claims)
    support = Counter[str](claim.support for claim in claims if claim.verdict == "verified")
    return EvidenceCount(
        sentences=sentences,
        coverage=round(coverage, 4),
        numbers=sum(number.nowhere for claim in claims for number in claim.numbers),
        doubtful=sum(claim.doubtful for claim in claims),
        **verdicts,
        **support,
    )


def checked(draft: str, passages: Sequence[Passage], asked: str = "", title: str = "") -> Checked:
    """Check a draft against the passages that its writer was shown.

    Args:
        draft: Markdown as a model wrote it.
        passages: The passages of the prompt.
        asked: Title and guidance of the topic; a report may use their numbers.
        title: The title of a report that has none.
    """
    statements = statements_of(draft, title or "Report")
    shown = {passage.id: passage for passage in passages}
    claims: list[Claim] = []
    covered = 0
    for statement in statements.claims:
        found = list(_claims(statement, statements.notes, shown, asked))
        covered += any(claim.verdict != "none" for claim in found)
        claims += found
    mentioned = {label for statement in statements.claims for label in statement.labels}
    unused = tuple(label for label in statements.notes if label not in mentioned)
    return Checked(tuple(claims), len(statements.claims), covered, unused, statements)


def _claims(
    statement: Statement, notes: Mapping[str, Note], shown: Mapping[str, Passage], asked: str
) -> Iterator[Claim]:
    """The claims of a sentence: one for each quotation, or one that says that it has none."""
    found: list[Claim] = []
    for label in statement.labels:
        note = notes.get(label)
        if note is None:
            found.append(_claim(statement, label, remark=f"there is no note {label}"))
        else:
            found += _of_note(statement, note, shown)
    if not found:
        found.append(_claim(statement, ""))
    numbers = _numbers(statement, found, notes, shown, asked)
    yield found[0].model_copy(update={"numbers": numbers}) if numbers else found[0]
    yield from found[1:]


def _claim(statement: Statement, label: str, **more: object) -> Claim:
    said: dict[str, object] = {"verdict": "none", **more}
    return Claim.model_validate(
        {"sentence": statement.text, "section": statement.section, "note": label, **said}
    )


def _of_note(statement: Statement, note: Note, shown: Mapping[str, Passage]) -> Iterator[Claim]:
    """The claims that one note makes of its sentence."""
    for citation in note.citations:
        unknown = [id for id in citation.ids if id not in shown]
        named = len(unknown) < len(citation.ids)  # else the quotation's own verdict says so
        for id in unknown if named else unknown[1:]:
            yield _claim(statement, note.label, passage=id, verdict="unknown", remark=_no_such(id))
        yield _quoted(statement, note, citation, shown)
    if note.own:
        yield _claim(statement, note.label, verdict="own")
    elif not note.citations and note.text:
        remark = "it names no passage"
        yield _claim(statement, note.label, verdict="unknown", remark=remark)
    elif not note.citations:
        yield _claim(statement, note.label, remark=f"note {note.label} is empty")


def _no_such(id: str) -> str:
    return f"there is no passage {id}"


def _quoted(
    statement: Statement, note: Note, citation: Citation, shown: Mapping[str, Passage]
) -> Claim:
    """The verdict on one quotation."""
    known = [shown[id] for id in citation.ids if id in shown]
    quote = citation.quote[:MOST_QUOTED]
    said: dict[str, object] = {"passage": citation.ids[0] if citation.ids else None}
    if citation.marked and quote:
        said["quote"] = quote
    long = bool(quote) and long_enough(quote)
    for passage in known if long else ():
        if place := located(quote, passage.text):
            place_said = {"start": place[0], "end": place[1], "passage": passage.id}
            found = {**said, **place_said, "quote": quote, "verdict": "verified"}
            return _claim(statement, note.label, **found)
    elsewhere = _elsewhere(quote, known, shown) if long else None
    if not known:
        remark = _no_such(citation.ids[0]) if citation.ids else "it names no passage"
        said |= {"verdict": "unknown", "remark": remark}
        if elsewhere:
            said |= {"quote": quote, "found_in": elsewhere}
        return _claim(statement, note.label, **said)
    said["passage"] = known[0].id
    if elsewhere:
        remark = f"these words stand in {elsewhere}"
        said |= {"quote": quote, "found_in": elsewhere, "remark": remark}
        return _claim(statement, note.label, **said, verdict="misattributed")
    if not citation.marked or not quote:
        return _claim(statement, note.label, **said, remark="it quotes no words of the passage")
    if not long:
        remark = f"it quotes fewer than {LEAST_WORDS} words"
        return _claim(statement, note.label, **said, remark=remark)
    remark = "these words stand in no passage"
    return _claim(statement, note.label, **said, verdict="absent", remark=remark)


def _elsewhere(quote: str, known: Sequence[Passage], shown: Mapping[str, Passage]) -> str | None:
    """The first passage that has the words although the note does not name it."""
    named = {passage.id for passage in known}
    for passage in shown.values():
        if passage.id not in named and located(quote, passage.text):
            return passage.id
    return None


def _numbers(
    statement: Statement,
    claims: Sequence[Claim],
    notes: Mapping[str, Note],
    shown: Mapping[str, Passage],
    asked: str,
) -> tuple[Number, ...]:
    """The numbers of a sentence that cites a passage, and where each stands."""
    cited = {claim.passage for claim in claims if claim.passage in shown}
    cited |= {claim.found_in for claim in claims if claim.found_in}
    if not cited:
        return ()
    figures = figures_in(statement.text)
    if not figures:
        return ()
    texts = [*(shown[id].text for id in cited if id), asked]
    known: Known | None = None
    found: list[Number] = []
    for figure in dict.fromkeys(figures):
        there = any(stands_in(figure, text) for text in texts)
        if not there:
            known = known or _known(texts, statement, notes)
            there = known.holds(figure)
        other = None if there else _holder(figure, cited, shown)
        found.append(Number(text=figure.text, found=there, found_in=other))
    return tuple(found)


def _known(texts: Sequence[str], statement: Statement, notes: Mapping[str, Note]) -> Known:
    """The numbers of what a sentence cites, and of the sums that its notes show."""
    known = known_numbers(texts)
    for label in statement.labels:
        if label in notes:
            known.values |= shown_results(notes[label].rest, known)
    return known


def _holder(figure: Figure, cited: set[str | None], shown: Mapping[str, Passage]) -> str | None:
    """The first other passage that has a number."""
    for passage in shown.values():
        if passage.id not in cited and known_numbers([passage.text]).holds(figure):
            return passage.id
    return None
