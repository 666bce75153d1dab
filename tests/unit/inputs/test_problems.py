"""How what a model finds wrong is said, and what is left of wrong values."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from prefect_llm_reports.tasks.contract.branches import Branch, BranchOptions
from prefect_llm_reports.tasks.contract.options import ReportOptions
from prefect_llm_reports.tasks.inputs.problems import first, problems_of, read_model

OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"speed": 1}, "option speed: unknown name; correct its spelling or remove it"),
    ({"conccurency": 1}, "option conccurency: unknown name; did you mean concurrency?"),
    ({"budget-usd": 1}, "option budget-usd: unknown name; did you mean budget_usd?"),
    (
        {"fallbacks": [{"model": "m", "endpont": "x"}]},
        "option fallbacks.0.endpont: unknown name; did you mean endpoint?",
    ),
    (
        {"concurrency": 0},
        "option concurrency: wanted at least 1, found 0; correct it",
    ),
    (
        {"fallbacks": [{"endpoint": "x"}]},
        "option fallbacks.0.model: is missing; add it",
    ),
    (
        {"merge_output": 7},
        "option merge_output: wanted a list or an object, found 7; correct it",
    ),
    (
        {"merge_output": [{"name": "x", "type": "thing"}]},
        "option merge_output.0.type: wanted 'text', 'integer', 'number', 'boolean' or 'choice',"
        ' found "thing"; correct it',
    ),
    ({"quorum": float("nan")}, "option quorum: wanted a finite number, found nan;"),
]


@pytest.mark.parametrize(("given", "wanted"), OPTIONS, ids=[w for _, w in OPTIONS])
def test_a_problem_is_a_field_what_was_seen_and_what_to_do(
    given: dict[str, Any], wanted: str
) -> None:
    """One sentence a field; the other options are kept, the wrong one has its default."""
    problems: list[str] = []
    found = read_model(BranchOptions, {"vote_field": "n", **given}, problems, "option ")
    assert found == BranchOptions(vote_field="n")
    (problem,) = problems
    assert problem.startswith(wanted)


def test_an_unknown_name_within_an_object_is_compared_with_the_names_there() -> None:
    """What is said of a price's field is what a price has, not what options have."""
    problems: list[str] = []
    price = {"input": 1, "output": 1, "outputs": 2}
    read_model(BranchOptions, {"prices": {"m": price}}, problems, "option ")
    assert problems == ["option prices.m.outputs: unknown name; did you mean output?"]


def test_a_value_that_looks_like_a_key_is_not_shown() -> None:
    """A key pasted into the wrong field is not repeated."""
    problems: list[str] = []
    read_model(ReportOptions, {"concurrency": "sk-abcdefghijklmnop"}, problems)
    assert "sk-abc" not in problems[0]
    assert "[key]" in problems[0]


def test_a_validators_own_sentence_is_left_as_it_is() -> None:
    """What our own checks say is neither introduced nor lengthened."""
    with pytest.raises(ValidationError) as wrong:
        Branch(name="a b")
    (problem,) = problems_of(wrong.value, "branch a b: ")
    assert problem.startswith("branch a b: name: 'a b' is not a branch name; use up to 40 letters")


def test_a_long_list_is_cut_and_counted() -> None:
    """Twenty lines in full, and how many more there are."""
    assert first("ab") == ["a", "b"]
    assert first(str(n) for n in range(1022))[19:] == ["19", "and 1,002 more"]
