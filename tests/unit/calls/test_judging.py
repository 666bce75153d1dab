"""Judging: every order once, a ranking that positions cannot change, verdicts within bounds."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from prefect_llm_reports.tasks.calls.judging import Comparison, label, orders, ranked, verdict_form
from prefect_llm_reports.tasks.llm.answer_forms import Invalid


@pytest.mark.parametrize("candidates", range(2, 8))
def test_every_candidate_stands_at_every_position_once(candidates: int) -> None:
    """The orders are a Latin square: positions and pairs both ways are evened out."""
    found = orders(candidates)
    for position in range(candidates):
        assert sorted(order[position] for order in found) == list(range(candidates))
    for one, other in itertools.permutations(range(candidates), 2):
        assert any(order.index(one) < order.index(other) for order in found)


@pytest.mark.parametrize("candidates", [2, 3, 5])
def test_no_preference_for_positions_changes_the_ranking(candidates: int) -> None:
    """Whatever a judge adds for a position, the better candidate wins."""
    names = [f"n{index}" for index in range(candidates)]
    for liked in range(candidates):
        for better in range(candidates):
            verdicts = [
                (
                    order,
                    {
                        label(at): {
                            "reason": "r",
                            "score": 4 + (at == liked) * 5 + (who == better),
                        }
                        for at, who in enumerate(order)
                    },
                )
                for order in orders(candidates)
            ]
            assert ranked(names, verdicts)[0].name == names[better]


def test_of_equal_means_the_steadier_candidate_wins_then_the_first() -> None:
    """Ties go to the higher lowest score, then to program order."""

    def verdict(*scores: int) -> dict[str, Any]:
        return {label(at): {"reason": "r", "score": score} for at, score in enumerate(scores)}

    # In the second order the candidates are listed the other way round.
    found = ranked(["a", "b"], [([0, 1], verdict(9, 6)), ([1, 0], verdict(6, 3))])
    assert [(r.name, r.scores) for r in found] == [("b", (6, 6)), ("a", (9, 3))]
    found = ranked(["a", "b"], [([0, 1], verdict(5, 5)), ([1, 0], verdict(5, 5))])
    assert found[0].name == "a"


def test_a_verdict_names_every_candidate_once_within_bounds() -> None:
    """Scores outside 1 to 10, missing and unknown candidates are not accepted."""
    form = verdict_form(2)
    fine = (
        '{"candidate_1": {"reason": "r", "score": 1}, "candidate_2": {"reason": "r", "score": 10}}'
    )
    assert form.accept(fine)
    for wrong in (
        fine.replace("10", "11"),
        fine.replace('"candidate_2"', '"candidate_3"'),
        fine.replace('"score": 1}', '"score": "1"}'),
        '{"candidate_1": {"reason": "r", "score": 1}}',
    ):
        with pytest.raises(Invalid):
            form.accept(wrong)


def test_a_comparison_gives_each_reading_and_ranks_by_the_verdicts() -> None:
    """A score belongs to the candidate that stood at its position in that reading."""
    comparison = Comparison({"a": "short", "b": "longest", "c": "middle"})
    assert comparison.readings == [
        ["short", "longest", "middle"],
        ["longest", "middle", "short"],
        ["middle", "short", "longest"],
    ]
    verdicts = [
        json.dumps({label(at): {"reason": text, "score": len(text)} for at, text in enumerate(r)})
        for r in comparison.readings
    ]
    ranking = comparison.ranking(verdicts)
    assert [(r.name, r.scores) for r in ranking] == [
        ("b", (7, 7, 7)),
        ("c", (6, 6, 6)),
        ("a", (5, 5, 5)),
    ]
    assert ranking[0].reasons == ("longest",) * 3
