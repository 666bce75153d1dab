"""How many rounds reports take, by the scores of stored critiques."""

from __future__ import annotations

import json
from typing import Any

import pytest

from prefect_llm_reports.tasks.contract.calls import Answer, Asked
from prefect_llm_reports.tasks.contract.options import Critic, ReportOptions
from prefect_llm_reports.tasks.contract.reports import Topic
from prefect_llm_reports.tasks.llm.estimates import Experience
from prefect_llm_reports.tasks.reports.questions import Plan, critique_ask
from prefect_llm_reports.tasks.reports.rounds import GOES_ON, Rounds

PANEL = {"critics": tuple(Critic(name=name, focus="All of it.") for name in ("a", "b"))}


def plan(threshold: float = 8, **options: Any) -> Plan:
    """A plan with this threshold."""
    return Plan(
        endpoint="e",
        model="m",
        max_iterations=5,
        quality_threshold=threshold,
        options=ReportOptions(**options),
    )


def critique(item: str, at: int, score: int, **changed: Any) -> Answer:
    """A stored critique of one round of a report."""
    ask = critique_ask(plan(), Topic(title="x"), at, "x")
    said = {"score": score, "strengths": [], "improvements": [], "summary": ""}
    asked = {"step": "critique", "kind": ask.kind, "model": "m", "chars": 1, "seconds": 1.0}
    text = changed.pop("text", json.dumps(said))
    asked |= {"item": item, "round": at, **changed}
    return Answer(text=text, model="m", endpoint="e", asked=Asked(**asked))


SCORES: dict[str, list[int]] = {"a": [9], "b": [6, 8], "c": [6, 7, 7], "d": [7, 6, 9]}
STORED = [
    critique(item, at, score)
    for item, scores in SCORES.items()
    for at, score in enumerate(scores, start=1)
]
WAYS: dict[str, tuple[Plan, list[Answer], list[float]]] = {
    "no records": (plan(), [], [GOES_ON] * 4),
    "as in the records": (plan(), STORED, [3 / 4, 2 / 3, 1 / 2, 1 / 2]),
    "a lower threshold": (plan(6), STORED, [0, 0, 0, 0]),
    "a higher threshold": (plan(10), STORED, [1, 1, 1, 1]),
    "a plateau": (plan(10, plateau=1), STORED, [1, 2 / 3, 0, 0]),
    "critics of another model": (plan(critic_model="other"), STORED, [GOES_ON] * 4),
    "other instructions, same model": (
        plan(),
        [critique("a", 1, 9, kind="k"), critique("b", 1, 5, kind="k")],
        [1 / 2] * 4,
    ),
    "a panel by its mean": (
        plan(**PANEL),
        [critique("a", 1, 7), critique("a", 1, 9), critique("b", 1, 7), critique("b", 1, 8)],
        [1 / 2] * 4,
    ),
    "a panel by its strictest": (
        plan(**PANEL, critics_merge="minimum"),
        [critique("a", 1, 7), critique("a", 1, 9)],
        [1] * 4,
    ),
    "not an answer of another step": (
        plan(),
        [critique("a", 1, 9, step="draft"), critique("b", 1, 3)],
        [1] * 4,
    ),
    "not a critique without a score": (plan(), [critique("a", 1, 9, text="{}")], [GOES_ON] * 4),
}


@pytest.mark.parametrize(("how", "stored", "wanted"), WAYS.values(), ids=WAYS)
def test_the_share_that_goes_on(how: Plan, stored: list[Answer], wanted: list[float]) -> None:
    """After each round, by the plan's own threshold and plateau; later rounds go by the last."""
    rounds = Rounds(how, Experience(stored))
    assert [rounds.goes_on(at) for at in (1, 2, 3, 4)] == pytest.approx(wanted)
