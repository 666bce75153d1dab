"""The line of progress: the most important first, and nothing cut."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from prefect_llm_reports.flows.cli.progress_line import BAR, progress_line
from prefect_llm_reports.tasks.contract.records import Usage
from prefect_llm_reports.tasks.runtime.progress import Progress


def progress(*, total: int = 40, made: int = 30, calls: int = 7, waits_for: str = "") -> Progress:
    """A batch in which one topic has had `made` calls and none is done."""
    usage = Usage(input_tokens=1_000_000, output_tokens=234_567)
    spent: Any = SimpleNamespace(made=made, cached=0, usage=usage, cost_usd=Decimal("12.3456"))
    ledger: Any = SimpleNamespace(total=spent, items={"a": spent})
    pace = SimpleNamespace(in_flight=8, limit=SimpleNamespace(allowed=16))
    line: Any = SimpleNamespace(pace=pace, waits_for=waits_for)
    found = Progress()
    found.begin(ledger, total, [line], calls_an_item=calls)
    return found


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 200])
def test_the_line_fits_and_no_part_is_cut(width: int) -> None:
    """Whole parts, as many as fit, in the order of their weight."""
    _, whole = progress_line(progress(), "topic", 61.0, 1000)
    bar, said = progress_line(progress(), "topic", 61.0, width)
    assert whole.startswith(said)
    assert whole[len(said) :] == "" or whole[len(said) :].startswith(" · ")
    assert len(bar) <= BAR
    first = said.split(" · ")[0]
    assert BAR + 1 + len(said) < width or said == first


def test_at_80_columns_done_tokens_cost_and_time_are_there() -> None:
    """What a person looks for first."""
    _, said = progress_line(progress(made=7), "topic", 61.0, 80)
    assert said.startswith("0 of 40 topics · 1,234,567 tokens · 12.3456 USD · ")


def test_the_bar_moves_with_each_call() -> None:
    """Calls of topics under way count; an item's calls alone never finish it."""
    shares = [progress(total=2, made=made).share for made in range(10)]
    assert shares[:7] == sorted(set(shares[:7]))
    assert shares[-1] == pytest.approx(0.95 / 2)
    bar, said = progress_line(progress(total=1, made=3, calls=4), "topic", 30.0, 80)
    assert len(bar) == BAR * 3 // 4
    assert said.startswith("0 of 1 topic · ")
    assert "10 s left" in said


def test_what_the_run_waits_for_is_said_before_its_calls() -> None:
    """The brake of the account stands before counts that matter less."""
    parts = progress_line(progress(waits_for="the account's limit"), "topic", 5.0, 200)[1]
    assert parts.index("the account's limit") < parts.index("made")
