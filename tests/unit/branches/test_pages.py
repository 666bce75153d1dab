"""The pages of branches show what was answered, and escape it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from prefect_llm_reports.tasks.branches.pages import branch_run_page, branches_page
from prefect_llm_reports.tasks.branches.values import is_code
from prefect_llm_reports.tasks.contract.branch_results import (
    BranchBatchResult,
    BranchesResult,
    BranchOutput,
    InquiryResult,
    Tally,
)
from prefect_llm_reports.tasks.contract.calls import Ranking
from prefect_llm_reports.tasks.contract.records import Calls, ErrorReport, Usage
from tests.unit.pages.test_report import OWN_TAGS, TAGS, Seen, assert_safe

ATTACK = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def words_of(page: str) -> str:
    seen = Seen(page)
    assert_safe(seen, allowed=TAGS | OWN_TAGS)
    assert "<script" not in page
    return " ".join(" ".join(seen.words).split())


def test_a_page_of_branches_tells_outputs_ranking_and_votes() -> None:
    """Answers, the judge's scores and the votes are there, as text."""
    result = BranchesResult(
        status="partial",
        query=ATTACK,
        merge="best",
        outputs=[
            BranchOutput(name="a", status="answered", output={"answer": ATTACK}, model="m"),
            BranchOutput(
                name="b", status="failed", error=ErrorReport(kind="answer_refused", message=ATTACK)
            ),
        ],
        merged={"answer": "Twice a day."},
        winner="a",
        ranking=(Ranking(name="a", score=7.5, scores=(7, 8), reasons=(ATTACK, "good")),),
        tally=(Tally(value=ATTACK, votes=2, branches=("a", "b")),),
    )
    nodes = [
        SimpleNamespace(name=name, branch=SimpleNamespace(instructions="Say it.")) for name in "ab"
    ]
    program: Any = SimpleNamespace(nodes=nodes, results=nodes[:1], model="m")
    inquiry: Any = SimpleNamespace(title=ATTACK)
    words = words_of(branches_page(result, inquiry, program))
    for said in ("Twice a day.", "7.5", "7, 8", "2 for", ATTACK, "partly done"):
        assert said in words


VALUES = {
    "answer": "# Tides\n\nThe **tide** rises[^1].\n\n- a\n- b\n\n[^1]: Twice a day.",
    "code": "def rise():\n    return 2",
    "unnamed": "for n in range(3):\n    print(n)\n    total = n * 2\n",
    "scores": [{"name": "a", "score": 7}, {"name": "b | c", "score": None}],
    "long_ones": [{"text": "First line.\n\nSecond.", "tags": ["x", "y"]}, {"text": "word " * 60}],
    "points": ["One *point*.", "Two[^1].\n\n[^1]: Note."],
    "nested": {"inner_name": {"deep": True}},
    "number": 1200,
    "nothing": [],
}


def test_values_are_shown_as_what_they_are() -> None:
    """Markdown is rendered, code keeps its indentation, lists of objects are tables or cards."""
    result = BranchesResult(
        status="complete",
        query="q",
        merge="all",
        outputs=[BranchOutput(name="a", status="answered", output=VALUES, model="m")],
        merged="Just *text*.",
    )
    node: Any = SimpleNamespace(name="a", branch=SimpleNamespace(instructions=""))
    program: Any = SimpleNamespace(nodes=[node], results=[node], model="m")
    inquiry: Any = SimpleNamespace(title="q")
    page = branches_page(result, inquiry, program)
    for shown in (
        "<em>text</em>",
        "<strong>tide</strong>",
        '<pre tabindex="0" dir="ltr"><code>def rise():\n    return 2</code></pre>',
        "<code>for n in range(3):\n    print(n)",
        '<th scope="col">score</th>',
        '<ul class="cards">',
        "One <em>point</em>.",
        "<dt>inner name</dt>",
        "1200",
    ):
        assert shown in page
    seen = Seen(page)
    ids = [found["id"] for _, found in seen.tags if "id" in found]
    assert len(ids) == len(set(ids))
    links = [found["href"][1:] for found in seen.named("a") if found["href"].startswith("#")]
    assert set(links) <= {*ids, "main"}
    assert [tag for tag, _ in seen.tags].count("h1") == 1
    levels = [int(tag[1]) for tag, _ in seen.tags if tag in ("h1", "h2", "h3", "h4")]
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("sql", "SELECT a FROM b", True),
        ("source_code", "print('x')", True),
        ("answer", "A sentence.\nAnother one, with (brackets).\nA third.", False),
        ("answer", "const x = 1;\nfunction f() {\n  return x;\n}", True),
        ("code", "```python\nx = 1\n```", False),
        ("notes", "- a;\n- b;\n- c;", False),
        ("steps", "1. Do (this)\n2. Do {that}\n3. Do that;", False),
        ("promo_code", "SUMMER", True),
    ],
)
def test_code_is_told_from_prose(name: str, text: str, code: bool) -> None:
    """A field that is called code, or whose lines are, keeps its lines; Markdown is no code."""
    assert is_code(name, text) is code


def test_the_page_of_a_branch_run_adds_up() -> None:
    """The page shows inputs, complete ones, cost and failures; an unknown cost is not zero."""
    page = branch_run_page(
        BranchBatchResult(
            run_id="20261122T120000Z-a1",
            status="partial",
            run_directory="/r",
            started=datetime(2026, 11, 22, 12, tzinfo=UTC),
            duration_s=61,
            calls=Calls(made=1234, cached=2, retried=1),
            usage=Usage(),
            cost_usd=None,
            merge="all",
            branches=("a", "b"),
            inquiries=[
                InquiryResult(
                    query=ATTACK,
                    slug="x",
                    status="complete",
                    directory="/r/x",
                    answered=2,
                    cost_usd=Decimal("0.0412"),
                ),
                InquiryResult(
                    query="y",
                    slug="y",
                    status="failed",
                    answered=0,
                    error=ErrorReport(kind="answer_refused", message=ATTACK),
                ),
            ],
        )
    )
    words = words_of(page)
    for said in ("1 of 2", "unknown", "$0.0412", "1,234", "1 min 01 s", "2026-11-22 12:00 UTC"):
        assert said in words
