"""Requests as one object: what flows are called with, and what can be checked before a look-up."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from prefect_llm_reports.flows.branches import branch_batch, parallel_branches
from prefect_llm_reports.flows.reports import report_batch
from prefect_llm_reports.tasks.contract.branches import Branch, BranchOptions
from prefect_llm_reports.tasks.contract.call_options import Fallback
from prefect_llm_reports.tasks.contract.choices import ROUNDS, SCORES, Range
from prefect_llm_reports.tasks.contract.options import ReportOptions
from prefect_llm_reports.tasks.contract.requests import BatchRequest, BranchesRequest

REQUESTS: list[tuple[Any, dict[str, Any]]] = [
    (report_batch, BatchRequest().parameters()),
    (branch_batch, BranchesRequest(output="answers").parameters()),
    (parallel_branches, BranchesRequest(queries=["Why?"]).parameters()),
]


@pytest.mark.parametrize(("flow", "given"), REQUESTS, ids=[flow.name for flow, _ in REQUESTS])
def test_a_request_holds_the_parameters_of_its_flow(flow: Any, given: dict[str, Any]) -> None:
    """Every parameter is in the request, and has the same default there."""
    wanted = inspect.signature(flow.fn).parameters
    assert given.keys() == wanted.keys()
    for name, parameter in wanted.items():
        if name not in ("query", "queries"):
            assert given[name] == parameter.default, name


def test_one_input_is_the_query_of_parallel_branches() -> None:
    """Without an output there is one input and no file of inputs."""
    assert BranchesRequest(queries=["Why?"]).parameters()["query"] == "Why?"


FALLBACKS = (Fallback(model="m", endpoint="other"), Fallback(model="n"))


@pytest.mark.parametrize(
    "request_",
    [
        BatchRequest(endpoint="one", options=ReportOptions(fallbacks=FALLBACKS)),
        BatchRequest(
            endpoint="one", options={"fallbacks": [{"model": "m", "endpoint": "other"}, 7]}
        ),
        BranchesRequest(
            branches=[Branch(name="a", endpoint="one"), {"name": "b c"}],
            options=BranchOptions(fallbacks=FALLBACKS),
        ),
    ],
)
def test_saved_endpoints_are_known_and_can_be_left_out(
    request_: BatchRequest | BranchesRequest,
) -> None:
    """A request without its saved endpoints names none, and asks nothing of the environment."""
    assert request_.saved_endpoints == {"one", "other"}
    alone = request_.without_saved_endpoints()
    assert alone.saved_endpoints == set()
    assert alone.model == "offline"
    assert alone.without_saved_endpoints() is alone
    assert request_.saved_endpoints == {"one", "other"}


def test_options_that_are_no_options_name_no_endpoint() -> None:
    """Options are looked into before they are checked."""
    for wrong in ({"fallbacks": "x"}, {"fallbacks": ["x", {"endpoint": 7}]}, {}):
        assert BatchRequest(options=wrong).saved_endpoints == set()


def test_the_help_names_the_bounds_that_are_checked() -> None:
    """What a form says of rounds and scores is what the check holds them to."""
    text = " ".join((report_batch.fn.__doc__ or "").split())
    assert f"Rounds of critique for a report, {ROUNDS}." in text
    assert f"Score from {SCORES} at which" in text


def test_a_range_includes_its_ends() -> None:
    """Both ends are in, numbers beyond and NaN are not."""
    bounds = Range(1, 10)
    assert [n for n in (0, 0.9, 1, 7.5, 10, 10.1, float("nan")) if bounds.holds(n)] == [1, 7.5, 10]
