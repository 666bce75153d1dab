"""What an endpoint does not take is learnt once, and for all requests."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from prefect_llm_reports.tasks.contract.calls import Ask, Message
from prefect_llm_reports.tasks.contract.errors import CallRejected
from prefect_llm_reports.tasks.llm.dialect import Dialect, dialect_of
from prefect_llm_reports.tasks.llm.refusals import Unsupported

NOTHING: frozenset[str] = frozenset()
FORM = {"type": "object", "properties": {}}
BOUNDED = {"type": "object", "properties": {}, "maxProperties": 3}


def asked(**more: Any) -> Ask:
    """A question with a form that has bounds, and a temperature."""
    fields = {"output_schema": FORM, "bounded_schema": BOUNDED, "temperature": 0.5, **more}
    message = Message(role="user", content="?")
    return Ask(step="s", label="l", item="i", endpoint="e", model="m", messages=(message,),
               max_output_tokens=10, **fields)  # fmt: skip


def refused(parameter: str, *, sure: bool = True) -> Unsupported:
    return Unsupported(parameter, CallRejected("400", status=400), sure=sure)


def test_a_refused_parameter_is_left_out_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """Later refusals of requests that still carried it teach and say nothing more."""
    dialect = Dialect("llm.example", "tiny")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert dialect.next_without(refused("temperature"), asked(), NOTHING)
    assert dialect.left_out == {"temperature"}
    assert [record.getMessage() for record in caplog.records] == [
        "llm.example does not take temperature for tiny; going on without it"
    ]


def test_schemas_give_way_to_json_mode_and_that_to_words() -> None:
    """Without JSON Schema there is JSON mode; where that is refused, the schema stands in words."""
    dialect, error = Dialect("llm.example", "tiny"), refused("json_schema")
    assert dialect.next_without(error, asked(), dialect.left_out) == {"json_schema"}
    assert dialect.left_out == {"json_schema"}
    assert dialect.next_without(error, asked(), dialect.left_out)
    assert dialect.left_out == {"json_schema", "json_object"}
    assert dialect.next_without(error, asked(), dialect.left_out) is None


def test_a_parameter_that_was_left_out_already_is_not_the_reason() -> None:
    """A request without the parameter that is refused all the same cannot be mended."""
    dialect, error = Dialect("llm.example", "tiny"), refused("max_completion_tokens")
    assert dialect.next_without(error, asked(), NOTHING)
    assert dialect.next_without(error, asked(), dialect.left_out) is None


def test_what_is_only_likely_is_left_out_for_good_once_that_has_helped() -> None:
    """A refusal that names nothing teaches nothing, and only one other request is tried."""
    dialect, error = Dialect("llm.example", "tiny"), refused("", sure=False)
    without = dialect.next_without(error, asked(), NOTHING)
    assert without == {"bounds", "enums", "json_schema", "json_object"}
    assert dialect.next_without(error, asked(), without) is None
    assert dialect.left_out == NOTHING
    dialect.learn(without)
    assert dialect.left_out == without


def test_without_a_form_the_next_likeliest_part_is_tried() -> None:
    """A draft has no form: its temperature goes first, then the name of its limit."""
    dialect, error = Dialect("llm.example", "tiny"), refused("", sure=False)
    plain = {"output_schema": None, "bounded_schema": None}
    assert dialect.next_without(error, asked(**plain), NOTHING) == {"temperature"}
    cold = asked(**plain, temperature=None)
    assert dialect.next_without(error, cold, NOTHING) == {"max_completion_tokens"}


def test_bounds_that_are_named_give_way_step_by_step() -> None:
    """First to lists of numbers, then to a schema without either."""
    dialect, error = Dialect("llm.example", "tiny"), refused("bounds")
    assert dialect.next_without(error, asked(), dialect.left_out) == {"bounds"}
    assert dialect.next_without(error, asked(), dialect.left_out) == {"bounds", "enums"}


def test_bounds_are_no_guess_where_a_form_has_none() -> None:
    """A form without bounds is sent the same with and without them."""
    ask = asked(bounded_schema=FORM)
    first = Dialect("h", "m").next_without(refused("", sure=False), ask, NOTHING)
    assert first == {"json_schema", "json_object"}


def test_a_model_at_an_address_has_one_dialect() -> None:
    """All batches share what they learn of a model at an address, and of no other."""
    known = dialect_of("https://a.example/v1", "m")
    assert known is dialect_of("https://a.example/v1", "m")
    assert known is not dialect_of("https://b.example/v1", "m")
    assert known is not dialect_of("https://a.example/v1", "n")


EXTRAS: dict[str, Any] = {"top_k": 3, "chat_template_kwargs": {}, "provider": {"zdr": True}}
REFUSALS = {
    "OpenAI's": ("Unrecognized request argument supplied: top_k", {"top_k"}),
    "pydantic's": ("top_k Extra inputs are not permitted", {"top_k"}),
    "a template's": ("unknown field `chat_template_kwargs`", {"chat_template_kwargs"}),
    "a longer name": ("unknown: top_kk", {"top_k", "chat_template_kwargs"}),
    "none": ("Bad Request", {"top_k", "chat_template_kwargs"}),
    "one that says who may read the prompt": ("unknown field: provider", None),
}


@pytest.mark.parametrize(("words", "without"), REFUSALS.values(), ids=REFUSALS)
def test_extra_parameters_are_left_out_when_they_are_named_or_likeliest(
    words: str, without: set[str] | None
) -> None:
    """Only the model that refuses one loses it; what protects a prompt is never left out."""
    ask = asked(output_schema=None, bounded_schema=None, temperature=None, extra_body=EXTRAS)
    if without is None:
        ask = ask.model_copy(update={"extra_body": {"provider": EXTRAS["provider"]}})
        without = {"max_completion_tokens"}
    error = Unsupported("", CallRejected(words, status=400), sure=False, words=words)
    assert Dialect("h", "m").next_without(error, ask, NOTHING) == without


def test_reasoning_effort_is_left_out_only_where_it_was_sent() -> None:
    """A model without reasoning takes the question without it."""
    error = refused("reasoning_effort")
    assert Dialect("h", "m").next_without(error, asked(reasoning_effort="low"), NOTHING) == {
        "reasoning_effort"
    }
    assert Dialect("h", "m").next_without(error, asked(), NOTHING) is None
