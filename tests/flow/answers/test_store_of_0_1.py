"""Answers that version 0.1 paid for are found by this version, and nothing is bought again.

`tests/golden/store-0.1` was written by version 0.1.0 against the fake endpoint at `ADDRESS`, which
is part of each answer's key. Nothing listens there now: any call would fail.
"""

from __future__ import annotations

import asyncio
import shutil

import pytest

from prefect_llm_reports.flows import parallel_branches
from prefect_llm_reports.tasks.contract.quotes import Quote
from tests.flow.conftest import Bench
from tests.harness import ROOT

ADDRESS = "http://127.0.0.1:43117/v1"
TOPICS = ["Tidal power", {"title": "C++", "guidance": "for CTOs"}]
PANEL = [
    {"name": "evidence", "focus": "Is every claim supported?"},
    {"name": "style", "focus": "Is it clear?"},
]
BRANCHES = [
    {"name": "calm"},
    {
        "name": "bold",
        "instructions": "Be bold.",
        "output": [
            {"name": "facts", "many": True, "description": "One fact each."},
            {"name": "certainty", "type": "choice", "choices": ["high", "low"]},
        ],
    },
]


@pytest.fixture
def old(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A bench with the old version's store, and no endpoint."""
    shutil.copytree(ROOT / "tests/golden/store-0.1", bench.store)
    monkeypatch.setenv("OPENAI_BASE_URL", ADDRESS)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-key")
    return bench


def test_reports_are_made_of_old_answers(old: Bench) -> None:
    """Drafts of two candidates, verdicts, a panel's critiques, revisions, summaries: no call."""
    result = old.run(
        None,
        TOPICS,
        model="gpt-5-mini",
        options={"candidates": 2, "critics": PANEL, "length_words": 200},
    )
    assert result.status == "complete"
    assert (result.calls.made, result.calls.cached) == (0, 26)


def test_branches_are_merged_of_old_answers(old: Bench) -> None:
    """A plain branch, one with a form of fields, and the synthesis: no call."""
    result = asyncio.run(
        parallel_branches(
            query="Should we build or buy?",
            branches=BRANCHES,  # pyright: ignore[reportArgumentType]
            merge="synthesize",
            model="gpt-5-mini",
            options={"store": str(old.store)},  # pyright: ignore[reportArgumentType]
        )
    )
    assert result.status == "complete"
    assert (result.calls.made, result.calls.cached) == (0, 3)


def test_a_quote_knows_old_answers(old: Bench) -> None:
    """A quote finds the same answers as a run: wholly cached, nothing to pay."""
    found = old.run(
        None,
        TOPICS,
        model="gpt-5-mini",
        options={"candidates": 2, "critics": PANEL, "length_words": 200, "quote": True},
    )
    assert isinstance(found, Quote)
    assert (found.topics.cached, found.calls.made, found.calls.cached) == (2, 0, 26)
    assert found.usual == 0
