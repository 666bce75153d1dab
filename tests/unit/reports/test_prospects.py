"""The questions that a report still asks, by where its stored answers end."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest

from prefect_llm_reports.tasks.contract.options import Critic, ReportOptions
from prefect_llm_reports.tasks.contract.reports import Topic
from prefect_llm_reports.tasks.llm.estimates import Expected
from prefect_llm_reports.tasks.llm.quotes import Part
from prefect_llm_reports.tasks.reports.prospects import Position, remaining
from prefect_llm_reports.tasks.reports.questions import Plan, draft_ask

PANEL = tuple(Critic(name=name, focus="All of it.") for name in ("a", "b", "c"))


def plan(candidates: int = 1, critics: int = 0, rounds: int = 3) -> Plan:
    """A plan of so many first drafts, critics and rounds."""
    options = ReportOptions(candidates=candidates, critics=PANEL[:critics])
    return Plan(
        endpoint="e", model="m", max_iterations=rounds, quality_threshold=8, options=options
    )


def stages(how: Plan, position: Position) -> list[list[tuple[str, Part]]]:
    """The stages with the name of each question; half of the reports go on after a round."""
    names: dict[int, str] = {}
    kept: list[Expected] = []

    def expected(step: str, at: int, critic: int) -> Expected:
        found = Expected(draft_ask(how, Topic(title="x")), 1, 1)
        kept.append(found)  # else another may get its id
        names[id(found)] = f"{step} {at} {critic}" if at else step
        return found

    found = remaining(how, position, lambda at: 0.5, expected)
    return [[(names[id(part.expected)], part) for part in stage] for stage in found]


@pytest.mark.parametrize(
    ("candidates", "critics", "rounds"), [*product((1, 2, 3), (0, 1, 3), (1, 3))]
)
def test_a_new_report_asks_all(candidates: int, critics: int, rounds: int) -> None:
    """At most it makes as many calls as a topic that needs every round."""
    how = plan(candidates, critics, rounds)
    found = stages(how, Position("draft"))
    most = sum(part.most for stage in found for _, part in stage)
    assert most == how.options.calls_a_topic(rounds)
    assert found[-1][0][0] == "summary"


ENDS: dict[str, tuple[Plan, Position, dict[str, float]]] = {
    "everything stored but the summary": (plan(), Position("summary"), {"summary": 1}),
    "a draft of two": (
        plan(candidates=2, rounds=1),
        Position("draft", 0, (1,)),
        {"draft": 1, "judge": 2, "critique 1 0": 1, "summary": 1},
    ),
    "a verdict of two": (
        plan(candidates=2, rounds=1),
        Position("judge", 0, (0,)),
        {"judge": 1, "critique 1 0": 1, "summary": 1},
    ),
    "the first critique": (
        plan(rounds=2),
        Position("critique", 1),
        {"critique 1 0": 1, "revise 1 0": 0.5, "critique 2 0": 0.5, "summary": 1},
    ),
    "the last critique": (
        plan(),
        Position("critique", 3),
        {"critique 3 0": 1, "summary": 1},
    ),
    "one critic of three": (
        plan(critics=3, rounds=1),
        Position("critique", 1, (0, 2)),
        {"critique 1 1": 1, "summary": 1},
    ),
    "a revision": (
        plan(),
        Position("revise", 1),
        {
            "revise 1 0": 1,
            "critique 2 0": 1,
            "revise 2 0": 0.5,
            "critique 3 0": 0.5,
            "summary": 1,
        },
    ),
}


@pytest.mark.parametrize(("how", "position", "wanted"), ENDS.values(), ids=ENDS)
def test_a_begun_report_asks_the_rest(
    how: Plan, position: Position, wanted: dict[str, float]
) -> None:
    """Where the stored answers end decides which questions follow, and how likely they are."""
    found: Counter[str] = Counter()
    for stage in stages(how, position):
        for name, part in stage:
            found[name] += part.usual  # pyright: ignore[reportArgumentType]
    assert found == wanted


def test_the_first_critic_goes_before_the_others() -> None:
    """A panel's first critic is a stage of its own, as in the loop; the others are one stage."""
    found = stages(plan(critics=3, rounds=1), Position("critique", 1))
    assert [len(stage) for stage in found] == [1, 2, 1]


@pytest.mark.parametrize("how", [plan(), plan(critics=3), plan(rounds=1)])
def test_a_new_report_with_sources_also_has_its_claims_judged(how: Plan) -> None:
    """Each draft of the usual length takes the calls that the options say, beside its critics."""
    found = remaining(
        how,
        Position("draft"),
        lambda at: 0.5,
        lambda step, at, critic: Expected(draft_ask(how, Topic(title=step)), 1, 1),
        grounded=True,
    )
    most, rounds = sum(part.most for stage in found for part in stage), how.max_iterations
    assert most == how.options.calls_a_topic(rounds, grounded=True)
    assert most == how.options.calls_a_topic(rounds) + rounds * how.options.support_calls
