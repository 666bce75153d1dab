"""Inputs of branches as people read them, and as prompts have them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from prefect_llm_reports.tasks.branches.questions import Inquiry


class Case(BaseModel):
    """An input as a model."""

    question: str
    team: int
    notes: str | None = None


TITLES: list[tuple[Any, str]] = [
    ("Build or buy?", "Build or buy?"),
    ({"question": "Build or buy?", "team": 3}, "question: Build or buy?; team: 3"),
    ({"question": "Build?", "notes": ""}, "question: Build?"),
    ({"question": "Build?", "tags": ["a", "b"]}, 'question: Build?; tags: ["a", "b"]'),
    (Case(question="Build?", team=3), "question: Build?; team: 3"),
]


@pytest.mark.parametrize(("query", "title"), TITLES)
def test_an_object_is_titled_by_its_fields(query: Any, title: str) -> None:
    """Not as the JSON that prompts have; the folder's name follows from the prompt's text."""
    inquiry = Inquiry(query)
    assert inquiry.title == title
    assert inquiry.slug == Inquiry(inquiry.text).slug
    assert "\n" not in inquiry.short
