"""A panel of critics: several critiques of one draft become one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from statistics import fmean, median

from prefect_llm_reports.tasks.contract.choices import PanelMerge
from prefect_llm_reports.tasks.contract.errors import BudgetExhausted, CallsStopped, ReportsError
from prefect_llm_reports.tasks.contract.options import Critic
from prefect_llm_reports.tasks.contract.reports import CriticOpinion, Critique, PanelCritique

logger = logging.getLogger(__name__)


def panel_critique(
    panel: Sequence[Critic], answers: Sequence[str | ReportsError], how: PanelMerge, slug: str
) -> PanelCritique:
    """Merge the answers of a panel; critics that failed are left out.

    Args:
        panel: The critics.
        answers: The answer of each, or its error.
        how: How the scores become one score.
        slug: The report's, for the log.

    Raises:
        ReportsError: No critic answered, or the batch cannot go on.
    """
    opinions: list[CriticOpinion] = []
    missing: list[str] = []
    for critic, answer in zip(panel, answers, strict=True):
        if isinstance(answer, BudgetExhausted | CallsStopped):
            raise answer
        if isinstance(answer, ReportsError):
            logger.warning("%s: critic %s is left out: %s", slug, critic.name, answer)
            missing.append(critic.name)
            continue
        critique = Critique.model_validate_json(answer)
        opinions.append(CriticOpinion(name=critic.name, weight=critic.weight, critique=critique))
    if not opinions:
        raise next(answer for answer in answers if isinstance(answer, ReportsError))
    return merged_critique(opinions, how, missing)


def merged_critique(
    opinions: Sequence[CriticOpinion], how: PanelMerge, missing: Sequence[str] = ()
) -> PanelCritique:
    """Merge the critiques of a panel.

    The score has two decimals. Each improvement names its critic. Improvements of the critic with
    the lowest score come first, since they hold the draft back most.

    Args:
        opinions: At least one, in the order of the panel.
        how: How the scores become one score.
        missing: Names of the critics that gave no critique.
    """
    scores = [opinion.critique.score for opinion in opinions]
    match how:
        case "mean":
            score = fmean(scores)
        case "median":
            score = float(median(scores))
        case "minimum":
            score = float(min(scores))
        case "weighted":
            score = fmean(scores, [opinion.weight for opinion in opinions])
    strictest = sorted(opinions, key=lambda opinion: opinion.critique.score)
    spread = max(scores) - min(scores)
    said = [f"{o.name} ({o.critique.score}): {o.critique.summary}" for o in opinions]
    if spread >= 3:
        said.append(f"The critics disagree: scores from {min(scores)} to {max(scores)}.")
    return PanelCritique(
        score=round(score, 2),
        strengths=[f"{o.name}: {point}" for o in opinions for point in o.critique.strengths],
        improvements=[f"{o.name}: {point}" for o in strictest for point in o.critique.improvements],
        summary=" ".join(said),
        critics=tuple(opinions),
        missing=tuple(missing),
        disagreement=float(spread),
    )
