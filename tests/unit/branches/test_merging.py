"""Merging: joined fields, counted votes, judges' verdicts without regard to order, panels."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from prefect_llm_reports.tasks.branches.merging import concatenated, joined, normalized, tallied
from prefect_llm_reports.tasks.calls.judging import label, orders, ranked, verdict_form
from prefect_llm_reports.tasks.contract.reports import CriticOpinion, Critique
from prefect_llm_reports.tasks.llm.answer_forms import Invalid
from prefect_llm_reports.tasks.reports.panels import PanelMerge, merged_critique


def test_fields_are_joined_and_clashes_get_the_branch_s_name() -> None:
    """Fields of one branch keep their names; a field of several gets each one's name."""
    fields = {"a": ["x", "y"], "b": ["y", "z"]}
    outputs: dict[str, Any] = {"a": {"x": 1, "y": 2}, "b": {"y": 3, "z": None}}
    assert concatenated(["a", "b"], fields, outputs) == {"x": 1, "y_a": 2, "y_b": 3, "z": None}


def test_the_joined_form_depends_on_the_program_alone() -> None:
    """A branch that failed leaves its fields out and changes nobody's name."""
    fields = {"a": ["x", "y"], "b": ["y"]}
    assert concatenated(["a", "b"], fields, {"a": {"x": 1, "y": 2}}) == {"x": 1, "y_a": 2}
    assert concatenated(["a", "b"], fields, {}) is None


def test_a_suffixed_name_never_hides_another_field() -> None:
    """Where `y_a` is taken, the joined field is numbered."""
    called = joined(["a", "b", "c"], {"a": ["y"], "b": ["y"], "c": ["y_a"]})
    assert called == {"a": {"y": "y_a_2"}, "b": {"y": "y_b"}, "c": {"y_a": "y_a"}}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Paris", " paris. ", True),
        ("“Paris”", "PARIS", True),
        ("42", 42, True),
        (42, 42.0, True),
        ("1,000", "1000", True),
        ("4.20", 4.2, True),
        ("１２", 12, True),
        ("New  York", "new york", True),
        (["b", "a"], ["A", "B"], True),
        ({"x": "A"}, {"x": "a"}, True),
        (True, "true", False),
        (True, 1, False),
        (None, "", False),
        ("nan", float(1), False),
        ("Paris", "London", False),
        ("1,5", "15", False),
        ("-3", "3", False),
    ],
)
def test_votes_are_equal_where_people_would_say_so(one: Any, other: Any, same: bool) -> None:
    """Case, quotes, blanks, width and the spelling of numbers do not split a vote."""
    assert (normalized(one) == normalized(other)) == same


def test_votes_are_counted_most_first_and_ties_by_order() -> None:
    """The tally names the branches; of equal counts the earlier vote stands first."""
    tally = tallied([("a", "no"), ("b", "Yes"), ("c", "yes."), ("d", "NO")])
    assert [(t.value, t.votes, t.branches) for t in tally] == [
        ("no", 2, ("a", "d")),
        ("Yes", 2, ("b", "c")),
    ]


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
