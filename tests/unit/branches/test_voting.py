"""Voting: which values are the same vote, and how votes are counted."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_llm_reports.tasks.branches.voting import normalized, tallied


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Paris", " paris. ", True),
        ("“Paris”", "PARIS", True),
        ("42", 42, True),
        (42, 42.0, True),
        ("1,000", "1000", True),
        ("4.20", 4.2, True),
        ("１２", 12, True),
        ("New  York", "new york", True),
        (["b", "a"], ["A", "B"], True),
        ({"x": "A"}, {"x": "a"}, True),
        (True, "true", False),
        (True, 1, False),
        (None, "", False),
        ("nan", float(1), False),
        ("Paris", "London", False),
        ("1,5", "15", False),
        ("-3", "3", False),
        ("0", "-0.0", True),
        ("1e3", 1000, True),
        ("12345678901234567890123456789012345", 12345678901234567890123456789012345, True),
        ("12345678901234567890123456789012345", "12345678901234567890123456789012346", False),
        ("9e999999999", "9e999999998", False),
        ("9e999999999", " 9E999999999.", True),
    ],
)
def test_votes_are_equal_where_people_would_say_so(one: Any, other: Any, same: bool) -> None:
    """Case, quotes, blanks, width and the spelling of numbers do not split a vote."""
    assert (normalized(one) == normalized(other)) == same


def test_votes_are_counted_most_first_and_ties_by_order() -> None:
    """The tally names the branches; of equal counts the earlier vote stands first."""
    tally = tallied([("a", "no"), ("b", "Yes"), ("c", "yes."), ("d", "NO")])
    assert [(t.value, t.votes, t.branches) for t in tally] == [
        ("no", 2, ("a", "d")),
        ("Yes", 2, ("b", "c")),
    ]
