"""Quotes of programs of branches: compared with what the same program then really takes."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any, cast

import pytest

from prefect_llm_reports.flows import branch_batch, parallel_branches
from prefect_llm_reports.tasks.branches.checking import check_branches
from prefect_llm_reports.tasks.branches.quoting import quote_branches
from prefect_llm_reports.tasks.contract.branch_results import BranchBatchResult
from prefect_llm_reports.tasks.contract.quotes import Quote
from prefect_llm_reports.tasks.contract.requests import BranchesRequest
from prefect_llm_reports.tasks.contract.settings import Settings
from prefect_llm_reports.tasks.runtime.artifacts import QUOTE_KEY
from tests.flow.reports.test_artifacts import artifacts, last_run
from tests.harness.endpoint import Endpoint, Request
from tests.harness.faults import Reply

PRICES = {
    "gpt-5-mini": {"input": "2", "output": "10"},
    "dear-judge": {"input": "20", "output": "100"},
}
PROGRAM: list[Any] = [
    {"name": "facts", "instructions": "List the facts."},
    {"name": "calm", "instructions": "Answer calmly.", "uses": ["facts.answer"]},
    {"name": "bold", "instructions": "Answer boldly.", "uses": ["facts"], "model": "dear-judge"},
]
MERGES: list[tuple[str, int]] = [("best", 5), ("synthesize", 4)]
"""Each merge with the calls that one input takes."""


def varied(request: Request) -> Reply | None:
    """Answers of 20 to 200 words, by the request."""
    texts = json.dumps(request.body["messages"]) if isinstance(request.body, dict) else ""
    if "thinking" not in json.dumps((request.body or {}).get("response_format", "")):
        return None
    words = "word " * (20 + int(hashlib.sha256(texts.encode()).hexdigest()[:8], 16) % 180)
    return Reply(text=json.dumps({"thinking": "It follows.", "answer": words}))


def questions(first: int, count: int) -> list[str]:
    """So many different questions."""
    return [f"What is known about number {number}?" for number in range(first, first + count)]


class Desk:
    """Puts questions to a program, or has that quoted."""

    def __init__(self, folder: Path, server: Endpoint) -> None:
        self.store, self.output, self.server = folder / "store", folder / "answers", server

    def run(self, queries: list[str], merge: Any = "all", **more: Any) -> Any:
        """Run the flow for one input or for several."""
        options = {"store": str(self.store), "prices": PRICES, **more.pop("options", {})}
        given = {"branches": PROGRAM, "merge": merge, "model": "gpt-5-mini", **more}
        given["options"] = options
        if len(queries) == 1:
            return asyncio.run(parallel_branches(queries[0], **given))
        return asyncio.run(branch_batch(queries=queries, output=str(self.output), **given))

    def quoted(
        self,
        queries: list[str],
        merge: str = "all",
        branches: list[Any] | None = PROGRAM,
        model: str = "gpt-5-mini",
        options: dict[str, Any] | None = None,
    ) -> Quote:
        """The quote, which asked for nothing."""
        before = len(self.server.requests)
        chosen = {"store": str(self.store), "prices": PRICES, **(options or {}), "quote": True}
        request = BranchesRequest(
            queries=queries,
            branches=cast("Any", branches),
            merge=merge,
            model=model,
            options=chosen,
            output=str(self.output) if len(queries) > 1 else None,
        )
        checked = check_branches(request, Settings(), {})
        quote = asyncio.run(quote_branches(checked))
        assert len(self.server.requests) == before
        return quote


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A desk with an endpoint whose answers have various lengths."""
    with Endpoint(script=varied) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test-key")
        yield Desk(tmp_path, server)


@pytest.mark.parametrize(("merge", "calls"), MERGES)
def test_a_second_batch_costs_what_was_quoted(desk: Desk, merge: str, calls: int) -> None:
    """With branches that use others, and every merge: within 25 %, and never above the worst."""
    judge = {"merge_model": "dear-judge"}
    desk.run(questions(0, 6), merge, options=judge)
    quote = desk.quoted(questions(100, 6), merge, options=judge)
    assert quote.items == "inputs"
    assert quote.topics.new == 6
    assert quote.calls.made == quote.calls.made_at_most == 6 * calls
    assert all(step.records for step in quote.steps)
    assert quote.usual_usd.flex is None, "no model has a price of its own there"

    true: BranchBatchResult = desk.run(questions(100, 6), merge, options=judge)
    assert true.status == "complete"
    assert true.cost_usd
    assert quote.usual
    assert quote.worst
    assert float(quote.usual) == pytest.approx(float(true.cost_usd), rel=0.25)
    assert quote.worst >= true.cost_usd
    assert quote.calls.made == true.calls.made

    again = desk.quoted(questions(96, 10), merge, options=judge)
    assert (again.topics.new, again.topics.cached) == (4, 6)
    assert again.calls.cached == 6 * calls


def test_what_is_stored_costs_nothing(desk: Desk) -> None:
    """One input: new, cached, partly cached; a changed branch is asked with those that use it."""
    query = questions(0, 1)
    assert desk.quoted(query, "best").topics.new == 1
    assert not desk.store.exists()
    desk.run(query, "best")
    whole = desk.quoted(query, "best")
    assert (whole.topics.cached, whole.calls.made, whole.calls.cached) == (1, 0, 5)
    assert (whole.usual, whole.worst, whole.seconds) == (0, 0, 0)

    last = [*PROGRAM[:2], {**PROGRAM[2], "instructions": "Answer very boldly."}]
    changed = desk.quoted(query, "best", branches=last)
    assert (changed.topics.changed, changed.calls.made, changed.calls.cached) == (1, 3, 2)
    first = [{**PROGRAM[0], "instructions": "List all facts."}, *PROGRAM[1:]]
    anew = desk.quoted(query, "best", branches=first)
    assert (anew.topics.new, anew.calls.made, anew.calls.cached) == (1, 5, 0)
    merge_only = desk.quoted(query, "synthesize")
    assert (merge_only.calls.made, merge_only.calls.cached) == (1, 3)


def test_one_stored_answer_suffices_for_any(desk: Desk) -> None:
    """Of branches of which any will do, one stored answer makes the input wholly cached."""
    branches: list[Any] = [{"name": "left"}, {"name": "right", "instructions": "Be brief."}]
    query = questions(0, 1)
    assert desk.quoted(query, "any", branches=branches).calls.made == 2
    desk.run(query, "all", branches=branches[1:])
    assert desk.quoted(query, "any", branches=branches).topics.cached == 1


def test_votes_and_free_models(desk: Desk) -> None:
    """A vote makes no call of its own; the embedded engine costs nothing."""
    assert desk.quoted(questions(0, 1), "vote", branches=None).calls.made == 2
    assert desk.quoted(questions(0, 2), "concat").calls.made == 6
    free = desk.quoted(questions(0, 3), "best", model="offline")
    assert (free.usual, free.worst, free.calls.made) == (0, 0, 15)


def test_both_flows_end_with_a_quote(desk: Desk) -> None:
    """The option makes a quote of a run with one input, and of one with several."""
    for queries in (questions(0, 1), questions(0, 2)):
        found = desk.run(queries, "best", options={"quote": True})
        assert isinstance(found, Quote)
        ended = last_run()
        assert ended.state
        assert ended.state.is_completed()
        assert str(ended.state.message).startswith(f"Quote: {len(queries)} input")
        assert artifacts(QUOTE_KEY, run_id=ended.id)[QUOTE_KEY]
    assert desk.server.requests == []
    assert not desk.store.exists()
    assert not desk.output.exists()
