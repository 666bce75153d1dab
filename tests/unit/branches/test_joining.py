"""Joining: the fields of all branches in one object."""

from __future__ import annotations

from typing import Any

from prefect_llm_reports.tasks.branches.joining import concatenated, joined


def test_fields_are_joined_and_clashes_get_the_branch_s_name() -> None:
    """Fields of one branch keep their names; a field of several gets each one's name."""
    fields = {"a": ["x", "y"], "b": ["y", "z"]}
    outputs: dict[str, Any] = {"a": {"x": 1, "y": 2}, "b": {"y": 3, "z": None}}
    assert concatenated(["a", "b"], fields, outputs) == {"x": 1, "y_a": 2, "y_b": 3, "z": None}


def test_the_joined_form_depends_on_the_program_alone() -> None:
    """A branch that failed leaves its fields out and changes nobody's name."""
    fields = {"a": ["x", "y"], "b": ["y"]}
    assert concatenated(["a", "b"], fields, {"a": {"x": 1, "y": 2}}) == {"x": 1, "y_a": 2}
    assert concatenated(["a", "b"], fields, {}) is None


def test_a_suffixed_name_never_hides_another_field() -> None:
    """Where `y_a` is taken, the joined field is numbered."""
    called = joined(["a", "b", "c"], {"a": ["y"], "b": ["y"], "c": ["y_a"]})
    assert called == {"a": {"y": "y_a_2"}, "b": {"y": "y_b"}, "c": {"y_a": "y_a"}}
