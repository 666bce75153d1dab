"""Panels of critics: several critiques of one draft become one."""

from __future__ import annotations

import pytest

from prefect_llm_reports.tasks.contract.reports import CriticOpinion, Critique
from prefect_llm_reports.tasks.reports.panels import PanelMerge, merged_critique


def opinion(name: str, score: int, weight: float = 1) -> CriticOpinion:
    critique = Critique(
        score=score, strengths=[f"+{name}"], improvements=[f"-{name}"], summary=name
    )
    return CriticOpinion(name=name, weight=weight, critique=critique)


@pytest.mark.parametrize(
    ("how", "score"), [("mean", 6.33), ("median", 7.0), ("minimum", 4.0), ("weighted", 7.5)]
)
def test_a_panel_s_scores_become_one(how: PanelMerge, score: float) -> None:
    """Mean, median, minimum or weights; the disagreement and every opinion are kept."""
    merged = merged_critique([opinion("a", 4), opinion("b", 7), opinion("c", 8, 8)], how, ["d"])
    assert merged.score == pytest.approx(score)
    assert merged.disagreement == 4
    assert "The critics disagree: scores from 4 to 8." in merged.summary
    assert merged.improvements == ["a: -a", "b: -b", "c: -c"]
    assert merged.missing == ("d",)


def test_the_strictest_critic_s_points_come_first() -> None:
    """What holds the draft back most is read first by the reviser."""
    merged = merged_critique([opinion("a", 8), opinion("b", 3)], "mean")
    assert merged.improvements == ["b: -b", "a: -a"]
    assert "disagree" not in merged_critique([opinion("a", 8), opinion("b", 7)], "mean").summary
