"""Findings: the faults of a checked draft in sentences, and the highest score that it can get.

Here: sentences for the reviser, and the caps on scores. Not here: the verdicts (`checking`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prefect_llm_reports.tasks.citations.checking import Checked
from prefect_llm_reports.tasks.contract.evidence import Claim, EvidenceCount
from prefect_llm_reports.tasks.contract.records import shortened

FALSE_CAP, UNCOVERED_CAP = 4, 7
"""The most that a draft scores whose quotations or numbers are false, or whose notes are few."""
MOST_FINDINGS = 40
MOST_UNCOVERED = 12
"""Sentences without a note that are named one by one."""


def cap_of(counts: EvidenceCount, min_coverage: float) -> tuple[int | None, str]:
    """The most that a draft can score, and why; None: there is no cap.

    Args:
        counts: What checking found in it.
        min_coverage: The share of sentences that must have a note.
    """
    false = {
        "absent": counts.absent,
        "misattributed": counts.misattributed,
        "of unknown passages": counts.unknown,
    }
    said = [f"{number} {what}" for what, number in false.items() if number]
    causes = [f"quotations: {', '.join(said)}"] if said else []
    if counts.numbers:
        causes.append(f"numbers from nowhere: {counts.numbers}")
    if causes:
        return FALSE_CAP, "; ".join(causes)
    if counts.coverage < min_coverage:
        return (
            UNCOVERED_CAP,
            f"{counts.coverage:.0%} of sentences have a note, not {min_coverage:.0%}",
        )
    return None, ""


def findings_of(
    checked: Checked, claims: Sequence[Claim] | None = None, min_coverage: float = 0.9
) -> list[str]:
    """What the writer should mend, the worst first; equal drafts get equal findings.

    Args:
        checked: The draft.
        claims: Its claims with the judge's opinions; None: nobody judged them.
        min_coverage: The share of sentences that must have a note.
    """
    judged = checked.claims if claims is None else claims
    found = [*_false(judged), *_numbers(judged), *_doubted(judged), *_broken(judged)]
    if checked.unused:
        names = ", ".join(checked.unused[:MOST_UNCOVERED])
        found.append(f"No sentence mentions the notes {names}: mention them, or take them out.")
    more = len(found) - MOST_FINDINGS
    found = found[:MOST_FINDINGS]
    if more > 0:
        found.append(f"{more} more notes have faults of these kinds; check all of them.")
    if checked.coverage < min_coverage:
        found += _uncovered(checked, judged, min_coverage)
    return found


def _place(claim: Claim) -> str:
    note = f"Note {claim.note}" if claim.note else "A sentence"
    return f"{note} (“{shortened(claim.sentence, 80)}”)"


def _false(claims: Sequence[Claim]) -> Iterator[str]:
    for claim in claims:
        words = shortened(claim.quote, 80)
        if claim.verdict == "absent":
            yield (
                f"{_place(claim)}: the words “{words}” stand in no passage. Quote {claim.passage}"
                " word for word, or take the sentence out."
            )
        elif claim.verdict == "misattributed":
            yield (
                f"{_place(claim)}: the words “{words}” stand in {claim.found_in}, not in"
                f" {claim.passage}. Name {claim.found_in}."
            )
        elif claim.verdict == "unknown":
            hint = f" The words stand in {claim.found_in}: name it." if claim.found_in else ""
            yield (
                f"{_place(claim)}: {claim.remark}. Cite a passage that you were given, or mark the"
                f" sentence as own.{hint}"
            )


def _numbers(claims: Sequence[Claim]) -> Iterator[str]:
    for claim in claims:
        for number in claim.numbers:
            if number.nowhere:
                yield (
                    f"{_place(claim)}: the number {number.text} stands in no passage. Use the"
                    " passage's number, or show in the note how it follows: 150 - 120 = 30."
                )
            elif not number.found:
                yield (
                    f"{_place(claim)}: the number {number.text} stands in {number.found_in}, which"
                    " its notes do not cite. Cite it as well."
                )


def _doubted(claims: Sequence[Claim]) -> Iterator[str]:
    said = {
        "contradicted": "contradicts the sentence",
        "not_supported": "does not support the sentence",
        "partly": "supports the sentence only in part",
    }
    for kind, words in said.items():
        for claim in claims:
            if claim.support == kind:
                reason = f" ({shortened(claim.reason, 200)})" if claim.reason else ""
                yield f"{_place(claim)}: a judge reads that {claim.passage} {words}{reason}."


def _broken(claims: Sequence[Claim]) -> Iterator[str]:
    for claim in claims:
        if claim.verdict == "none" and claim.note:
            yield f"{_place(claim)}: {claim.remark}. Quote at least four words of a passage."


def _uncovered(checked: Checked, claims: Sequence[Claim], wanted: float) -> Iterator[str]:
    bare = [claim for claim in claims if claim.verdict == "none" and not claim.note]
    yield (
        f"{checked.covered} of {checked.sentences} sentences have a note; at least {wanted:.0%}"
        " must have one. Give each claim its note, mark your own knowledge or judgement as own, or"
        " take the sentence out."
    )
    for claim in bare[:MOST_UNCOVERED]:
        yield f"Without a note: “{shortened(claim.sentence, 100)}”"
