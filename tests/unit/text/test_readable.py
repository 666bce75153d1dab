"""Values of JSON as text for people."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_llm_reports.tasks.text.readable import readable

CASES: list[tuple[Any, str]] = [
    ("Buy it.\n", "Buy it."),
    (7, "7"),
    (True, "yes"),
    (None, "none"),
    ([], ""),
    ({}, ""),
    ({"answer": "Buy it.", "score": 7.5}, "answer: Buy it.\nscore: 7.5"),
    ({"the_answer": "one\ntwo"}, "the answer:\n  one\n  two"),
    ({"points": ["a", "b\nc"]}, "points:\n  - a\n  - b\n    c"),
    ({"points": []}, "points: none"),
    ([{"name": "x", "risk": {"level": "low"}}], "- name: x\n  risk:\n    level: low"),
    ({"über": "ß"}, "über: ß"),
    ({"empty": ""}, "empty:"),
]


@pytest.mark.parametrize(("value", "text"), CASES)
def test_a_value_is_readable(value: Any, text: str) -> None:
    """Fields by name, lists by points, what is nested indented."""
    assert readable(value) == text
