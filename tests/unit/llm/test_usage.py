"""Tokens in response bodies."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_llm_reports.tasks.llm.usage import usage_of


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"prompt_tokens": 7, "completion_tokens": 3}, (7, 3, 0)),
        ({"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": None}, (7, 3, 0)),
        *(
            (
                {
                    "prompt_tokens": 7,
                    "completion_tokens": 3,
                    "prompt_tokens_details": {"cached_tokens": cached},
                },
                (7, 3, kept),
            )
            for cached, kept in ((5, 5), (7, 7), (8, 0), (-1, 0), (True, 0), ("5", 0), (None, 0))
        ),
        *(
            ({"prompt_tokens": odd, "completion_tokens": 3}, None)
            for odd in (-1, True, "7", 7.0, None)
        ),
        ({"completion_tokens": 3}, None),
        ([7, 3], None),
        (None, None),
    ],
)
def test_usage_counts_only_if_it_is_whole_numbers(
    usage: Any, counts: tuple[int, int, int] | None
) -> None:
    """Tokens are believed only as whole numbers that are not negative; else they are unknown."""
    found = usage_of({"usage": usage})
    said = found and (found.input_tokens, found.output_tokens, found.cached_input_tokens)
    assert said == counts


def test_a_body_that_is_no_object_names_no_usage() -> None:
    """A body that is no object names no usage."""
    assert usage_of([]) is usage_of(None) is usage_of({}) is None
