"""Evidence proved again: every quotation of a published report is looked for in its passage.

It needs nothing but evidence.json, also years later. Not here: the other checks of a result
directory (`results.verifying`), the search itself (`citations.locating`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from prefect_llm_reports.tasks.citations.checking import counted
from prefect_llm_reports.tasks.citations.locating import located
from prefect_llm_reports.tasks.contract.evidence import COMPARISON, Claim, Evidence, EvidenceCount
from prefect_llm_reports.tasks.contract.records import digest, shortened
from prefect_llm_reports.tasks.text.markdown import one_line

EVIDENCE = "evidence.json"


@dataclass(frozen=True)
class Proof:
    """What was found when evidence was proved again.

    Attributes:
        quotations: Quotations that were looked for.
        doubtful: Claims that the record itself names as doubtful.
        problems: What does not hold, in words.
    """

    quotations: int
    doubtful: int
    problems: tuple[str, ...]


def proved(evidence: Evidence, recorded: EvidenceCount | None) -> Proof:
    """Look for every quotation again, and count the claims again.

    Args:
        evidence: The content of evidence.json.
        recorded: What the manifest says of it.
    """
    problems = [*_passages(evidence)]
    texts = {passage.id: passage.text for passage in evidence.passages}
    quotations = 0
    for number, claim in enumerate(evidence.claims, start=1):
        if claim.quote:
            quotations += 1
            if problem := _quotation(claim, texts, same=evidence.comparison == COMPARISON):
                words = shortened(one_line(claim.quote), 60)
                problems.append(f"claim {number}, “{words}”: {problem}")
    counts = evidence.counts
    if counts:
        again = counted(evidence.claims, counts.sentences, counts.coverage)
        if again != counts:
            problems.append("its claims are not those that it counts")
    if counts != recorded and not evidence.problem:
        problems.append("its counts are not those of the manifest")
    return Proof(quotations, sum(claim.doubtful for claim in evidence.claims), tuple(problems))


def _passages(evidence: Evidence) -> Iterator[str]:
    for passage in evidence.passages:
        if digest(passage.text) != passage.sha256:
            yield f"passage {passage.id}: its text is not the one that its SHA-256 is of"


def _quotation(claim: Claim, texts: dict[str, str], *, same: bool) -> str:
    """What does not hold of a quotation; empty: the verdict is right.

    Args:
        claim: The claim that quotes it.
        texts: The passages.
        same: Whether today's rules of comparison are those of the record. Others may find words
            that those did not, or an earlier place for them.
    """
    there = texts.get(claim.passage or "")
    place = located(claim.quote, there) if there is not None else None
    if claim.verdict == "verified":
        if there is None:
            return f"passage {claim.passage} is not there"
        if place is None:
            return f"it does not stand in {claim.passage}"
        here = place == (claim.start, claim.end)
        if here or (not same and located(claim.quote, there[claim.start : claim.end])):
            return ""
        return f"it stands elsewhere in {claim.passage}"
    if same and claim.verdict in ("absent", "misattributed") and place is not None:
        return f"it stands in {claim.passage}, yet is recorded as {claim.verdict}"
    if claim.found_in and not located(claim.quote, texts.get(claim.found_in, "")):
        return f"it does not stand in {claim.found_in}"
    return ""
