"""Which parameters a person may add to every request."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_llm_reports.tasks.contract.branches import BranchOptions
from prefect_llm_reports.tasks.contract.calls import Ask, Message
from prefect_llm_reports.tasks.contract.options import ReportOptions
from prefect_llm_reports.tasks.inputs.problems import read_model
from prefect_llm_reports.tasks.llm.requests import request_body

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "the model": ({"extra_body": {"model": "m"}}, "names 'model'"),
    "other models": ({"extra_body": {"models": ["m"]}}, "give the option `fallbacks`"),
    "the prompt": ({"extra_body": {"messages": []}}, "names 'messages'"),
    "the form": ({"extra_body": {"response_format": {}}}, "form of an answer"),
    "vLLM's form": ({"extra_body": {"guided_json": {}}}, "form of an answer"),
    "in capitals": ({"extra_body": {"Model": "m"}}, "names 'Model'"),
    "the limit": ({"extra_body": {"max_tokens": 9}}, "give the option `max_output_tokens`"),
    "its other name": ({"extra_body": {"max_completion_tokens": 9}}, "`max_output_tokens`"),
    "temperature": ({"extra_body": {"temperature": 1}}, "give the option `temperature`"),
    "effort": ({"extra_body": {"reasoning_effort": "low"}}, "give the option `reasoning_effort`"),
    "effort twice": (
        {"extra_body": {"reasoning_effort": "low"}, "reasoning_effort": "low"},
        "give the option `reasoning_effort`",
    ),
    "a gateway's effort": (
        {"extra_body": {"reasoning": {"effort": "low"}}, "reasoning_effort": "low"},
        "keep one of them",
    ),
    "the tier": ({"extra_body": {"service_tier": "flex"}}, "give the option `price`"),
    "streams": ({"extra_body": {"stream": True}}, "answers are read whole"),
    "several answers": ({"extra_body": {"n": 2}}, "one answer is read"),
    "a key": ({"extra_body": {"api_key": "k-1"}}, "save it in an LLM endpoint block"),
    "a key within": ({"extra_body": {"a": [{"aws_secret_access_key": "k-1"}]}}, "block"),
    "a number that is none": ({"extra_body": {"top_p": float("nan")}}, "written as JSON"),
    "a book": ({"extra_body": {"a": "x" * 30_000}}, "at most 20,000; shorten it"),
    "a text": ({"extra_body": "top_p=1"}, "wanted an object"),
    "an unknown effort": ({"reasoning_effort": "hihg"}, "'none', 'minimal', 'low'"),
    "headers": ({"extra_headers": {"x-key": "k-1"}}, "save them in an LLM endpoint block"),
}
TAKEN: dict[str, dict[str, Any]] = {
    "nothing": {},
    "empty fields of a form": {"extra_body": "", "reasoning_effort": ""},
    "null": {"extra_body": None, "reasoning_effort": None},
    "sampling": {"extra_body": {"top_p": 0.5, "seed": 1, "top_k": 3}},
    "routing": {"extra_body": {"provider": {"order": ["a"], "data_collection": "deny"}}},
    "a gateway's effort alone": {"extra_body": {"reasoning": {"max_tokens": 100}}},
    "names that only look like keys": {"extra_body": {"prompt_cache_key": "a", "logit_bias": {}}},
    "effort": {"reasoning_effort": "xhigh", "extra_body": {"verbosity": "low"}},
}


@pytest.mark.parametrize("kind", [ReportOptions, BranchOptions])
@pytest.mark.parametrize(("given", "said"), REFUSED.values(), ids=REFUSED)
def test_what_contradicts_the_request_is_refused(
    kind: type[Any], given: dict[str, Any], said: str
) -> None:
    """The problem names the parameter and what to do instead, and never a value that is secret."""
    problems: list[str] = []
    read_model(kind, given, problems, "option ")
    assert len(problems) == 1
    assert problems[0].startswith(f"option {next(iter(given))}: ")
    assert said in problems[0]
    assert "k-1" not in problems[0]


@pytest.mark.parametrize("given", TAKEN.values(), ids=TAKEN)
def test_everything_else_is_taken(given: dict[str, Any]) -> None:
    """What an endpoint's own documentation names goes through."""
    options = ReportOptions.model_validate(given)
    wanted = given.get("extra_body") or {}
    assert options.extra_body == wanted
    assert options.reasoning_effort == (given.get("reasoning_effort") or None)


def question(**more: Any) -> Ask:
    return Ask(
        **{"step": "s", "label": "l", "item": "i", "endpoint": "e", "model": "m"},
        messages=(Message(role="user", content="?"),),
        max_output_tokens=10,
        **more,
    )


def test_they_stand_in_the_request_beside_its_own_parts() -> None:
    """As they were given; what an endpoint does not take is left out."""
    ask = question(reasoning_effort="low", extra_body={"top_k": 3, "seed": 1})
    body = request_body(ask, "m", (), 10, frozenset())
    assert (body["reasoning_effort"], body["top_k"], body["seed"]) == ("low", 3, 1)
    assert body["max_completion_tokens"] == 10
    left = request_body(ask, "m", (), 10, frozenset({"reasoning_effort", "top_k"}))
    assert body.keys() - left.keys() == {"reasoning_effort", "top_k"}


def test_a_question_without_them_has_the_key_from_before_they_existed() -> None:
    """Stored answers stay valid; with them it is another question."""
    plain = question()
    assert plain.key == question(reasoning_effort=None, extra_body={}).key
    keys = {
        plain.key,
        question(reasoning_effort="low").key,
        question(extra_body={"seed": 1}).key,
        question(extra_body={"seed": 2}).key,
    }
    assert len(keys) == 4
    assert question(extra_body={"a": 1, "b": 2}).key == question(extra_body={"b": 2, "a": 1}).key
