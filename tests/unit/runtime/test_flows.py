"""What is wrong with a flow's parameters is said in our words, by its place."""

from __future__ import annotations

from typing import Any

import pytest
from prefect import Flow

from prefect_llm_reports.flows import branch_batch, parallel_branches, report_batch
from prefect_llm_reports.tasks.contract.errors import BadInput

WRONG: list[tuple[Any, dict[str, Any], str]] = [
    (report_batch, {"topics": [3]}, "topics.0: wanted a text or"),
    (report_batch, {"topics": {"title": "x"}}, "topics: wanted a list"),
    (report_batch, {"topics": [{"guidance": "x"}]}, "topics.0.title: is missing; add it"),
    (
        report_batch,
        {"max_iterations": "many"},
        'max_iterations: wanted a whole number, found "many"; correct it',
    ),
    (report_batch, {"quality_threshold": 99}, "quality_threshold: wanted at most 10, found 99;"),
    (report_batch, {"options": {"languge": 1}}, "options.languge: unknown name; did you mean lang"),
    (report_batch, {"options": {"zzz": 1}}, "options.zzz: unknown name; correct its spelling"),
    (
        report_batch,
        {"options": {"critics": [{"name": "x", "focus": 5}]}},
        "options.critics.0.focus: wanted a text, found 5; correct it",
    ),
    (
        report_batch,
        {"options": {"critics": [{"name": "x"}]}},
        "options.critics.0.focus: is",
    ),
    (parallel_branches, {"query": "x", "merge": "bets"}, "merge: wanted 'all', 'any',"),
    (
        parallel_branches,
        {"query": "x", "branches": [{"name": "a b"}]},
        "branches.0.name: 'a b' is not a branch name; use up to 40 letters",
    ),
    (
        parallel_branches,
        {"query": "x", "branches": [{"name": "a", "output": {"$ref": "#/$defs/Q"}}]},
        "branches.0.output: the form refers to #/$defs/Q, which it does not hold",
    ),
    (branch_batch, {"queries": [["x"]]}, "queries.0"),
]


@pytest.mark.parametrize(("made", "parameters", "wanted"), WRONG)
def test_a_wrong_parameter_is_named_with_what_to_do(
    made: Flow[Any, Any], parameters: dict[str, Any], wanted: str
) -> None:
    """The place as a person wrote it, without pydantic's names of types."""
    with pytest.raises(BadInput) as bad:
        made.validate_parameters(parameters)
    assert [problem for problem in bad.value.problems if problem.startswith(wanted)]
    assert not [problem for problem in bad.value.problems if "[" in problem or "None" in problem]


def test_a_flow_with_other_options_is_of_the_same_kind() -> None:
    """`with_options` keeps what the flow does with its parameters."""
    other = report_batch.with_options(name="mine")
    assert (other.name, type(other)) == ("mine", type(report_batch))
    with pytest.raises(BadInput):
        other.validate_parameters({"topics": 7})
