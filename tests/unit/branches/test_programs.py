"""Programs of branches: every problem of branches, graph and merge is found before any call."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from prefect_llm_reports.tasks.branches.programs import MOST_BRANCHES, Program, check_program
from prefect_llm_reports.tasks.contract.branches import Branch, BranchOptions
from prefect_llm_reports.tasks.contract.errors import BadInput


def checked(branches: Any, merge: str = "all", **options: Any) -> Program:
    return check_program(branches, merge, "m-1", BranchOptions(**options))


def problems(branches: Any, merge: str = "all", **options: Any) -> list[str]:
    with pytest.raises(BadInput) as bad:
        checked(branches, merge, **options)
    return list(bad.value.problems)


def chain(length: int) -> list[Branch]:
    """Branches that each use the one before."""
    return [
        Branch(name=f"b{n}", uses=(f"b{n - 1}",) if n else ())  # type: ignore[arg-type]
        for n in range(length)
    ]


def test_a_program_may_be_as_long_as_it_may_be_wide() -> None:
    """A chain of the most branches is accepted; a longer one is refused, however long it is."""
    assert [node.name for node in checked(chain(MOST_BRANCHES)).results] == ["b99"]
    assert problems(chain(1500)) == ["branches: 1500 given, at most 100; remove some"]


def test_all_problems_are_found_together() -> None:
    """Names, uses and the merge are checked at once, and each problem names its branch."""
    found = problems(
        [{"name": "a", "uses": ["gone"]}, {"name": "A"}, {"name": "b", "uses": ["a.nothing"]}, 5],
        "quarrel",
    )
    assert [one.partition(";")[0] for one in found] == [
        "branches[4]: wanted an object with at least a name",
        "merge is 'quarrel'",
        "branch a: 2 branches have this name",
        "branch a: uses gone, but there is no branch gone",
        "branch b: uses a.nothing, which is not a field of the answer of a",
    ]


@pytest.mark.parametrize("form", [{"answer": "text", "score": "number"}, {}, {"answer": {}}])
def test_fields_that_are_no_list_are_told_how_they_are_written(form: dict[str, Any]) -> None:
    """Fields by name read like a JSON Schema, and are none."""
    (problem,) = problems([{"name": "a", "output": form}])
    assert problem.startswith("branch a: output: an object is read as a JSON Schema")
    assert "write fields as a list of {name: answer, type: text" in problem


def test_a_circle_is_shown() -> None:
    """Branches that wait for each other are named in the order of their uses."""
    (found,) = problems([{"name": "a", "uses": "b"}, {"name": "b", "uses": "a"}])
    assert "a → b → a" in found


def test_a_vote_needs_a_field_of_all_branches() -> None:
    """The only shared field is voted on; a quorum beyond the branches is refused."""
    fields = {"a": [{"name": "x"}, {"name": "y"}], "b": [{"name": "y"}, {"name": "z"}]}
    branches = [{"name": name, "output": output} for name, output in fields.items()]
    assert checked(branches, "vote").vote_field == "y"
    assert "they share y" in problems(branches, "vote", vote_field="x")[0]
    assert "quorum is 3" in problems(branches, "vote", quorum=3)[0]


def test_branches_that_ask_the_same_are_told_apart() -> None:
    """The second of two equal questions has a variant; another instruction needs none."""
    nodes = checked([{"name": "a"}, {"name": "b"}, {"name": "c", "instructions": "Doubt."}]).nodes
    assert [node.variant for node in nodes] == ["", "2", ""]


def test_an_input_must_give_what_a_branch_takes() -> None:
    """A field that neither the input nor the uses give is named with its branch."""
    program = checked([{"name": "a", "takes": [{"name": "claim"}]}])
    program.check_input({"claim": "Tides come twice a day."})
    with pytest.raises(BadInput, match="branch a: takes claim"):
        program.check_input("What are tides?")


def test_uses_may_be_a_mapping_of_names_to_sources() -> None:
    """One name or several, as people write them in YAML; objects and texts may stand beside."""
    short = Branch.model_validate(
        {"name": "a", "uses": {"claim": "facts.answer", "risk": "risks.answer"}}
    )
    long = [{"name": "claim", "source": "facts.answer"}, {"name": "risk", "source": "risks.answer"}]
    assert short == Branch.model_validate({"name": "a", "uses": long})
    mixed = Branch.model_validate({"name": "a", "uses": [{"claim": "facts.answer"}, "risks"]})
    assert [(use.called, use.source) for use in mixed.uses] == [
        ("claim", "facts.answer"),
        ("risks", "risks"),
    ]
    with pytest.raises(ValidationError, match="source"):
        Branch.model_validate({"name": "a", "uses": {"name": "claim", "sorce": "facts"}})
