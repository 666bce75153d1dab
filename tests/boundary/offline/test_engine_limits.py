"""The embedded engine at length: linear time, and any schema."""

from __future__ import annotations

import jsonschema
import pytest

from tests.harness.pace import within
from tests.unit.offline.test_engine import GOOD, NESTED, ask, judged, structured


@pytest.mark.parametrize(
    "unit",
    [GOOD, "\n", "## a\n", "| a | b |\n", "```\n", "- x\n", "; a", " ", "[", '."', "a-", "# # "],
)
def test_large_drafts_cost_linear_time(unit: str) -> None:
    """50 KB of anything is criticized, revised and summarized without quadratic work."""
    draft = unit * (50_000 // len(unit))
    with within(1):
        critique = judged(draft).model_dump_json()
        ask(topic="Bread at home", draft=draft, critique=critique)
        ask(report=draft)


def test_any_schema_is_answered() -> None:
    """Lists, enums, optionals, unions, references and limits come back valid."""
    for query in ("Is tea better than coffee?", "x", "Zürich?", ""):
        answer = structured(NESTED, query)
        jsonschema.validate(answer, NESTED, cls=jsonschema.Draft202012Validator)
        assert set(answer) == set(NESTED["properties"])
    assert structured(NESTED) == structured(NESTED)
