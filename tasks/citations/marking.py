"""Marks in published text: each note that was not verified says so.

Here: a short remark at the end of a footnote, in Markdown. Not here: how pages show evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from prefect_llm_reports.tasks.citations.statements import Statements
from prefect_llm_reports.tasks.contract.evidence import Claim
from prefect_llm_reports.tasks.text.markdown import escaped


def marked(statements: Statements, claims: Sequence[Claim]) -> str:
    """The cleaned text of a draft with a remark in each note that was not verified.

    Args:
        statements: The draft as it was read.
        claims: What was found of it.
    """
    remarks: dict[str, list[str]] = {}
    for claim in claims:
        if claim.note in statements.notes:
            remarks.setdefault(claim.note, []).extend(_remarks(claim))
    lines = statements.text.split("\n")
    for label, said in remarks.items():
        if said and label in statements.places:
            at = statements.places[label][-1]
            lines[at] = f"{lines[at].rstrip()} *({'; '.join(dict.fromkeys(said))})*"
    return "\n".join(lines)


def _remarks(claim: Claim) -> Iterator[str]:
    match claim.verdict:
        case "absent":
            yield f"not found in {claim.passage}"
        case "misattributed":
            yield f"not found in {claim.passage}, but in {claim.found_in}"
        case "unknown":
            yield f"no source: {claim.remark}"
        case "none":
            yield f"not checked: {claim.remark}"
        case _:
            pass
    yield from _numbers(number.text for number in claim.numbers if number.nowhere)


def _numbers(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield f"the number {escaped(text)} is in no source"
