"""The first draft of a report: of several candidates the one that a judge prefers.

Here: the candidates and their ranking. Not here: what becomes of the draft (`refining`), how a
judge reads candidates (`calls.judging`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from prefect_llm_reports.tasks.calls.judging import Comparison, judge_candidates
from prefect_llm_reports.tasks.contract.calls import Ranking
from prefect_llm_reports.tasks.contract.errors import ReportsError
from prefect_llm_reports.tasks.contract.evidence import Grounds
from prefect_llm_reports.tasks.contract.reports import Candidate, Topic
from prefect_llm_reports.tasks.reports.asking import Asking, Call
from prefect_llm_reports.tasks.reports.questions import Plan, draft_ask, judge_ask
from prefect_llm_reports.tasks.reports.steps import generate_initial_draft

logger = logging.getLogger(__name__)


async def first_draft(
    asking: Asking, plan: Plan, topic: Topic, grounds: Grounds | None
) -> tuple[str, tuple[Candidate, ...]]:
    """Write the first draft of a report.

    Args:
        asking: The report's calls.
        plan: The batch's models and options.
        topic: The topic of the report.
        grounds: The passages that prompts show; None: the topic has no sources.

    Returns:
        The draft, and all candidates where there are several.

    Raises:
        ReportsError: No candidate was written.
    """
    count = plan.options.candidates
    numbers = range(1, count + 1)
    asks = [draft_ask(plan, topic, number, grounds=grounds) for number in numbers]
    found = await asking.answers(
        [
            Call(generate_initial_draft, ask, part=f"candidate {n}" if count > 1 else "")
            for n, ask in zip(numbers, asks, strict=True)
        ]
    )
    drafts = {n: text for n, text in zip(numbers, found, strict=True) if isinstance(text, str)}
    if not drafts:
        raise next(error for error in found if isinstance(error, ReportsError))
    if count == 1:
        return drafts[1], ()
    ranking = await _ranking(asking, plan, topic, drafts)
    chosen = int(ranking[0].name) if ranking else min(drafts)
    judged = {int(r.name): r for r in ranking}
    logger.info("%s: candidate %d of %d is refined", topic.slug, chosen, count)
    return drafts[chosen], tuple(
        Candidate(
            number=n,
            text=text,
            chosen=n == chosen,
            score=judged[n].score if n in judged else None,
            reasons=judged[n].reasons if n in judged else (),
        )
        for n, text in drafts.items()
    )


async def _ranking(
    asking: Asking, plan: Plan, topic: Topic, drafts: Mapping[int, str]
) -> list[Ranking]:
    """Rank the candidates, best first; empty: there is no choice, or no verdict."""
    if len(drafts) == 1:
        return []
    comparison = Comparison({str(number): text for number, text in drafts.items()})
    verdicts = await asking.answers(
        [
            Call(judge_candidates, judge_ask(plan, topic, reading, turn), part=f"order {turn}")
            for turn, reading in enumerate(comparison.readings, start=1)
        ]
    )
    for error in verdicts:
        if isinstance(error, ReportsError):
            logger.warning(
                "%s: candidates were not judged, the first is refined: %s", topic.slug, error
            )
            return []
    return comparison.ranking([said for said in verdicts if isinstance(said, str)])
