"""The evidence of a finished report: its record for readers, and the marks in its text.

Here: what evidence.json holds. Not here: how it is found (`citations`, `grounding`).
"""

from __future__ import annotations

from prefect_llm_reports.tasks.citations.marking import marked
from prefect_llm_reports.tasks.contract.evidence import Evidence
from prefect_llm_reports.tasks.contract.reports import Draft
from prefect_llm_reports.tasks.reports.grounding import Grounding


def evidence_of(grounding: Grounding, winner: Draft) -> Evidence:
    """The evidence of the draft that is published.

    Args:
        grounding: The report's sources.
        winner: The draft.
    """
    slug = grounding.topic.slug
    nothing = Evidence(slug=slug, sources=(), passages=(), claims=(), problem=grounding.problem)
    found = grounding.safely("collecting evidence", lambda: _collected(grounding, winner), nothing)
    return found.model_copy(update={"problem": grounding.problem})


def _collected(grounding: Grounding, winner: Draft) -> Evidence:
    claims = grounding.claims(winner)
    named = {claim.passage for claim in claims} | {claim.found_in for claim in claims}
    named |= {number.found_in for claim in claims for number in claim.numbers}
    grounds = grounding.look(winner).grounds
    passages = tuple(one for one in grounds.passages if one.id in named)
    used = {passage.source for passage in passages}
    return Evidence(
        slug=grounding.topic.slug,
        sources=tuple(one for one in grounds.sources if one.id in used),
        passages=passages,
        claims=claims,
        counts=grounding.counts(winner),
    )


def marked_text(grounding: Grounding, winner: Draft) -> str:
    """The text to publish; empty: as it was written, since no note of it failed a check."""
    found = grounding.look(winner).checked
    if found is None:
        return ""
    text = grounding.safely("marking notes", lambda: marked(found.statements, found.claims), "")
    return "" if text == found.statements.text else text
