"""What Prefect's server accepts and refuses by the run forms, before a run exists."""

from __future__ import annotations

from typing import Any

import pytest
from prefect.utilities.schema_tools.validation import ValidationError as Refused
from prefect.utilities.schema_tools.validation import validate

from tests.unit.contract.test_run_forms import FORMS

PICK = {"$ref": {"block_document_id": "0f3f2c8a-5f43-4b0c-9a39-0d2f5f6c8a11"}}

ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("report-batch", {}),
    ("report-batch", {"topics": ["Tides", {"title": "Rust", "guidance": "for CTOs"}]}),
    ("report-batch", {"topics": None, "topics_file": None, "model": None, "endpoint": None}),
    ("report-batch", {"topics": "", "topics_file": "", "model": "", "endpoint": ""}),
    ("report-batch", {"topics": "Tides\nRust", "model": "offline"}),
    ("report-batch", {"endpoint": "default", "output": "s3-bucket/reports"}),
    ("report-batch", {"endpoint": PICK, "output": PICK, "options": None}),
    ("report-batch", {"options": {"budget_usd": "2.50", "temperature": None, "plateau": 2}}),
    ("report-batch", {"options": {"fallbacks": [{"model": "small", "endpoint": PICK}]}}),
    ("parallel-branches", {"query": "Why?", "branches": [{"name": "calm", "endpoint": PICK}]}),
    ("parallel-branches", {"query": {"text": "Why?"}, "merge": "best", "branches": None}),
]


@pytest.mark.parametrize(("name", "parameters"), ACCEPTED)
def test_what_the_flow_takes_can_be_scheduled(name: str, parameters: dict[str, Any]) -> None:
    """The server accepts all that flow, command line and files accept, and picked blocks."""
    assert validate(parameters, FORMS[name], raise_on_error=True) == []


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("report-batch", {"max_iterations": 11}, "max_iterations"),
    ("report-batch", {"max_iterations": 0}, "max_iterations"),
    ("report-batch", {"max_iterations": 2.5}, "max_iterations"),
    ("report-batch", {"quality_threshold": 10.5}, "quality_threshold"),
    ("report-batch", {"topics": 5}, "topics"),
    ("report-batch", {"topics": [{"guidance": "no title"}]}, "topics"),
    ("report-batch", {"options": {"concurrency": 0}}, "concurrency"),
    ("report-batch", {"options": {"budget_usd": -1}}, "budget_usd"),
    ("report-batch", {"options": {"formats": ["exe"]}}, "formats"),
    ("report-batch", {"options": {"speed": 9}}, "options"),
    ("report-batch", {"endpoint": 5}, "endpoint"),
    ("parallel-branches", {}, "query"),
    ("parallel-branches", {"query": "Why?", "merge": "quarrel"}, "merge"),
    ("parallel-branches", {"query": "Why?", "branches": [{"name": "no spaces"}]}, "branches"),
]


@pytest.mark.parametrize(("name", "parameters", "named"), REFUSED)
def test_what_cannot_run_is_not_scheduled(
    name: str, parameters: dict[str, Any], named: str
) -> None:
    """A value out of bounds is refused before a run exists, and the message names its field."""
    with pytest.raises(Refused, match=named):
        validate(parameters, FORMS[name], raise_on_error=True)
