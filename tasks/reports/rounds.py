"""How many rounds of critique reports usually take, learnt from stored critiques.

Here: scores. Not here: what a round costs (`llm.estimates`), the loop itself (`refining`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from statistics import fmean

from pydantic import ValidationError

from prefect_llm_reports.tasks.contract.calls import Answer
from prefect_llm_reports.tasks.contract.evidence import Grounds
from prefect_llm_reports.tasks.contract.reports import Critique, Topic
from prefect_llm_reports.tasks.llm.estimates import Experience
from prefect_llm_reports.tasks.reports.questions import Plan, critique_ask
from prefect_llm_reports.tasks.reports.refining import stalled

GOES_ON = 0.5
"""Share of reports that another round follows, while nothing is recorded."""


class Rounds:
    """How many rounds reports usually take, by the scores of stored critiques.

    Args:
        plan: Its critics' models, its threshold and its plateau hold.
        experience: Stored answers; those of critics with the same instructions count if there are
            any, else those of the same models.
    """

    def __init__(self, plan: Plan, experience: Experience) -> None:
        self._reached: dict[int, int] = defaultdict(int)
        self._went_on: dict[int, int] = defaultdict(int)
        critics = plan.options.critics or (None,)
        sample = Topic(title="x")
        asks = [
            critique_ask(plan, sample, 1, "x", critic, grounds=grounds)
            for critic in critics
            for grounds in (None, Grounds())
        ]
        models, kinds = {ask.model for ask in asks}, {ask.kind for ask in asks}
        critiques = [
            answer
            for answer in experience.answers
            if answer.asked and answer.asked.step == "critique" and answer.asked.model in models
        ]
        alike = [a for a in critiques if a.asked and a.asked.kind in kinds]
        for scores in _scores(alike or critiques, plan):
            self._count(scores, plan)

    def _count(self, scores: dict[int, float], plan: Plan) -> None:
        """Count the rounds that a report with these scores would take by this plan."""
        plateau = plan.options.plateau
        for at in sorted(scores):
            so_far = [scores[n] for n in range(1, at + 1) if n in scores]
            self._reached[at] += 1
            if scores[at] >= plan.quality_threshold:
                return
            if plateau and len(so_far) == at and stalled(so_far, plateau):
                return
            self._went_on[at] += 1

    def goes_on(self, at: int) -> float:
        """The share of reports that another round follows after this one."""
        known = max((n for n in self._reached if n <= at), default=0)
        return self._went_on[known] / self._reached[known] if known else GOES_ON


def _scores(critiques: Iterable[Answer], plan: Plan) -> list[dict[int, float]]:
    """The scores of each report by round; those of a panel as it merges them, or nearly."""
    given: dict[tuple[str, str], dict[int, list[float]]] = defaultdict(
        lambda: defaultdict[int, list[float]](list)
    )
    for answer in critiques:
        if answer.asked is None:
            continue
        try:
            score = Critique.model_validate_json(answer.text).score
        except ValidationError:
            continue
        given[answer.asked.item, answer.asked.kind][answer.asked.round].append(score)
    strictest = plan.options.critics_merge == "minimum"
    return [
        {at: min(scores) if strictest else fmean(scores) for at, scores in one.items()}
        for one in given.values()
    ]
