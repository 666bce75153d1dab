"""Differences of any two texts: complete, and in bounded time."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_llm_reports.tasks.text.differences import differences, matches
from tests.boundary.text.test_differences import TEXTS, _hostile, news, olds, told
from tests.harness.pace import within


@pytest.mark.parametrize("name", _hostile())
def test_hostile_texts_are_compared_in_bounded_time(name: str) -> None:
    """Texts made to be slow to compare take well under a second."""
    old, new = _hostile()[name]
    with within(1):
        differences(old, new)


@settings(max_examples=150, deadline=None)
@given(TEXTS, TEXTS)
def test_nothing_is_lost_and_nothing_invented(old: str, new: str) -> None:
    """The passages tell every word of both texts, in order, and no other."""
    passages = told(old, new)
    assert olds(passages) == "".join(old.split())
    assert news(passages) == "".join(new.split())


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from("abcdef")), st.lists(st.sampled_from("abcdef")))
def test_matches_rise_on_both_sides(old: list[str], new: list[str]) -> None:
    """Matched places hold the same and never cross."""
    pairs = matches(old, new)
    assert all(old[i] == new[j] for i, j in pairs)
    for (i, j), (k, m) in pairwise(pairs):
        assert i < k
        assert j < m
