"""What an endpoint does not take is learnt once, and for all requests."""

from __future__ import annotations

import logging

import pytest

from prefect_llm_reports.tasks.contract.errors import CallRejected
from prefect_llm_reports.tasks.llm.dialect import Dialect, dialect_of
from prefect_llm_reports.tasks.llm.refusals import Unsupported

NOTHING: frozenset[str] = frozenset()


def refused(parameter: str) -> Unsupported:
    return Unsupported(parameter, CallRejected("400", status=400))


def test_a_refused_parameter_is_left_out_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """Later refusals of requests that still carried it teach and say nothing more."""
    dialect = Dialect("llm.example")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert dialect.learn(refused("temperature"), NOTHING)
    assert dialect.left_out == {"temperature"}
    assert [record.getMessage() for record in caplog.records] == [
        "llm.example does not take temperature; going on without it"
    ]


def test_schemas_give_way_to_json_mode_and_that_to_words() -> None:
    """Without JSON Schema there is JSON mode; where that is refused, the schema stands in words."""
    dialect = Dialect("llm.example")
    assert dialect.learn(refused("json_schema"), dialect.left_out)
    assert dialect.left_out == {"json_schema"}
    assert dialect.learn(refused("json_schema"), dialect.left_out)
    assert dialect.left_out == {"json_schema", "json_object"}
    assert not dialect.learn(refused("json_schema"), dialect.left_out)


def test_a_parameter_that_was_left_out_already_is_not_the_reason() -> None:
    """A request without the parameter that is refused all the same cannot be mended."""
    dialect = Dialect("llm.example")
    assert dialect.learn(refused("max_completion_tokens"), NOTHING)
    assert not dialect.learn(refused("max_completion_tokens"), dialect.left_out)


def test_an_address_has_one_dialect() -> None:
    """All batches of a process share what they learn of an address, and of no other."""
    assert dialect_of("https://a.example/v1") is dialect_of("https://a.example/v1")
    assert dialect_of("https://a.example/v1") is not dialect_of("https://b.example/v1")
