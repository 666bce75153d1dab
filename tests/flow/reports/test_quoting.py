"""Quotes of batches of reports: compared with what the same batch then really takes."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from prefect.settings import get_current_settings

from prefect_llm_reports.flows.cli.main import main
from prefect_llm_reports.tasks.contract.quotes import Quote
from prefect_llm_reports.tasks.contract.reports import BatchResult
from prefect_llm_reports.tasks.contract.requests import BatchRequest
from prefect_llm_reports.tasks.contract.settings import Settings
from prefect_llm_reports.tasks.llm.blocks import LLMEndpoint
from prefect_llm_reports.tasks.reports.checking import check_batch
from prefect_llm_reports.tasks.reports.quoting import quote_batch
from prefect_llm_reports.tasks.runtime.artifacts import QUOTE_KEY
from tests.flow.conftest import Bench
from tests.flow.reports.test_artifacts import artifacts, last_run
from tests.harness.endpoint import Endpoint, Request
from tests.harness.faults import Reply

PRICES = {
    "gpt-5-mini": {
        "input": "2",
        "output": "10",
        "tiers": {"flex": {"input": "1", "output": "5"}, "batch": {"input": "1", "output": "5"}},
    },
    "dear-critic": {"input": "20", "output": "100"},
}
PANEL = [
    {"name": "evidence", "focus": "Is every claim supported?", "model": "dear-critic"},
    {"name": "style", "focus": "Is it clear?"},
]


def chance(*of: Any) -> int:
    """A number that looks like chance and is the same in every run."""
    return int(hashlib.sha256(repr(of).encode()).hexdigest()[:8], 16)


def varied(request: Request) -> Reply | None:
    """Reports of 300 to 700 words, and scores from 6 to 9, by topic and round."""
    words = "word " * (300 + chance(request.topic, "words") % 400)
    if request.step == "draft":
        return Reply(text=f"# {request.topic}\n\nMarker: draft 1\n\n## On it\n\n{words}")
    if request.step == "revise":
        return Reply(
            text=f"# {request.topic}\n\nRevision: {request.iteration}\n\n## On it\n\n{words}"
        )
    if request.step == "critique":
        score = 6 + chance(request.topic, request.iteration) % 4
        said = {"score": score, "strengths": ["s"], "improvements": ["i " * 40], "summary": "m"}
        return Reply(text=json.dumps(said))
    return None


@pytest.fixture
def varied_endpoint() -> Iterator[Endpoint]:
    """An endpoint whose reports and scores vary with the topic."""
    with Endpoint(script=varied) as running:
        yield running


def named(first: int, count: int) -> list[str]:
    """So many topics that are all different."""
    return [f"Topic number {number}" for number in range(first, first + count)]


def quoted(
    bench: Bench,
    server: Endpoint | None,
    topics: list[Any],
    model: str = "gpt-5-mini",
    options: dict[str, Any] | None = None,
) -> Quote:
    """The quote of a batch, which asked the endpoint for nothing."""
    if server:
        bench.point_to(server)
    before = len(server.requests) if server else 0
    chosen = {"store": str(bench.store), "prices": PRICES, **(options or {}), "quote": True}
    request = BatchRequest(topics=topics, model=model, output=str(bench.output), options=chosen)
    quote = asyncio.run(quote_batch(check_batch(request, Settings(), {})))
    assert server is None or len(server.requests) == before
    return quote


def files(folder: Path) -> set[str]:
    """All files and folders below a folder."""
    return {str(path) for path in folder.rglob("*")}


def run(bench: Bench, server: Endpoint, topics: list[Any], **options: Any) -> BatchResult:
    """A batch at the prices of these tests."""
    return bench.run(server, topics, options={"prices": PRICES, **options})


@pytest.mark.parametrize(
    ("count", "options"),
    [
        (20, {}),
        (10, {"critics": PANEL, "candidates": 2, "plateau": 1}),
    ],
    ids=["one critic", "panel and candidates"],
)
def test_a_second_batch_costs_what_was_quoted(
    bench: Bench, varied_endpoint: Endpoint, count: int, options: dict[str, Any]
) -> None:
    """Learnt from a first batch, the usual cost is within 25 %, and the worst is never exceeded."""
    run(bench, varied_endpoint, named(0, count), **options)
    quote = quoted(bench, varied_endpoint, named(100, count), options=options)
    assert (quote.topics.new, quote.topics.changed, quote.topics.cached) == (count, 0, 0)
    assert quote.calls.cached == 0
    assert all(step.records for step in quote.steps)

    true = run(bench, varied_endpoint, named(100, count), **options)
    assert true.status == "complete"
    assert true.cost_usd
    assert quote.usual
    assert quote.worst
    assert abs(quote.usual - true.cost_usd) <= Decimal("0.25") * true.cost_usd
    assert quote.worst >= true.cost_usd
    assert abs(quote.calls.made - true.calls.made) <= 0.2 * true.calls.made
    assert quote.calls.made_at_most >= true.calls.made
    assert quote.usual_usd.flex == quote.usual_usd.batch
    if "critics" in options:  # dear-critic has one price only
        assert quote.usual_usd.flex is None
    else:
        assert quote.usual_usd.flex == quote.usual / 2


def test_what_is_stored_costs_nothing(bench: Bench, varied_endpoint: Endpoint) -> None:
    """Nothing, a half, or all of a batch is in the store; a changed topic counts as changed."""
    topics = named(0, 6)
    nothing = quoted(bench, varied_endpoint, topics)
    assert not bench.store.exists()
    assert not bench.output.exists()
    assert nothing.topics.new == 6

    first = run(bench, varied_endpoint, topics[:3])
    kept = files(bench.store), files(bench.output)
    half = quoted(bench, varied_endpoint, topics)
    assert (half.topics.new, half.topics.cached) == (3, 3)
    assert half.calls.cached == first.calls.made
    whole = quoted(bench, varied_endpoint, topics[:3])
    assert (whole.calls.made, whole.calls.made_at_most, whole.topics.cached) == (0, 0, 3)
    assert (whole.usual, whole.worst, whole.seconds, whole.steps) == (0, 0, 0, ())
    assert (files(bench.store), files(bench.output)) == kept

    guided = [{"title": title, "guidance": "for CTOs"} for title in topics[:3]]
    assert quoted(bench, varied_endpoint, guided).topics.changed == 3
    longer = quoted(bench, varied_endpoint, topics[:3], options={"length_words": 3000})
    assert (longer.topics.changed, longer.calls.cached) == (3, 0)
    summary = quoted(bench, varied_endpoint, topics[:3], options={"summary_model": "dear-critic"})
    assert (summary.topics.changed, summary.calls.made) == (3, 3)
    assert summary.calls.cached == first.calls.made - 3
    afresh = quoted(bench, varied_endpoint, topics[:3], options={"refresh": True})
    assert afresh.calls.cached == 0
    assert afresh.calls.made > 0


def test_the_run_shows_the_quote(bench: Bench, endpoint: Endpoint) -> None:
    """In the UI: Completed with the figures as its message, and a Markdown artifact."""
    quote = cast("Quote", run(bench, endpoint, ["Tidal | power", "Rust"], quote=True))
    assert isinstance(quote, Quote)
    ended = last_run()
    assert ended.state
    assert ended.state.is_completed()
    assert ended.state.message == f"Quote: 2 topics, usually {quote.usual:.2f} USD"
    [shown] = artifacts(QUOTE_KEY, run_id=ended.id)[QUOTE_KEY]
    assert "No call was made" in shown.data
    assert "| at worst |" in shown.data
    assert endpoint.requests == []
    assert not bench.store.exists()
    assert not bench.output.exists()


def test_a_budget_leaves_undone_what_it_does_not_suffice_for(
    bench: Bench, varied_endpoint: Endpoint
) -> None:
    """The quote says about how many topics the same budget then really leaves undone."""
    run(bench, varied_endpoint, named(0, 10))
    usual = quoted(bench, varied_endpoint, named(100, 12)).usual
    assert usual
    budget = {"budget_usd": str(usual * Decimal("0.8"))}
    quote = quoted(bench, varied_endpoint, named(100, 12), options=budget)
    true = run(bench, varied_endpoint, named(100, 12), **budget)
    undone = sum(report.status != "published" for report in true.reports)
    assert undone > 0
    assert quote.undone == pytest.approx(undone, abs=2)
    assert quote.undone_at_worst == 12
    assert quoted(bench, varied_endpoint, named(0, 10), options=budget).undone == 0


def test_the_account_and_the_concurrency_decide_about_the_time(bench: Bench) -> None:
    """The slowest of concurrency, chain of calls, requests and tokens a minute counts."""
    topics = named(0, 40)
    alone = quoted(bench, None, topics, model="gpt-5-mini", options={"concurrency": 1})
    eight = quoted(bench, None, topics, model="gpt-5-mini", options={"concurrency": 8})
    chain = quoted(bench, None, topics, model="gpt-5-mini", options={"concurrency": 1000})
    assert eight.seconds == pytest.approx(alone.seconds / 8, rel=0.01)
    assert chain.limited_by == "calls that wait for each other"
    for name in ("requests_per_minute", "tokens_per_minute"):
        slow = quoted(bench, None, topics, model="gpt-5-mini", options={name: 10})
        figure = (
            slow.calls.made
            if "requests" in name
            else (slow.usage.input_tokens + slow.usage.output_tokens)
        )
        assert slow.seconds == pytest.approx(figure * 6, rel=0.01)
        assert name.replace("_per_", " a ") in slow.limited_by


def test_a_quote_needs_no_key_and_names_what_has_no_price(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a key or an address; a model without a price has a cost of None, never 0."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    unknown = quoted(bench, None, ["Tidal power"], model="house-model")
    assert unknown.unpriced == ("house-model",)
    assert (unknown.usual, unknown.worst) == (None, None)
    free = quoted(bench, None, ["Tidal power"], model="offline")
    assert (free.usual, free.worst, free.unpriced) == (0, 0, ())


def test_the_worst_cost_is_that_of_the_dearest_fallback(bench: Bench) -> None:
    """The usual cost is that of the first endpoint, the highest that of any."""
    plain = quoted(bench, None, ["Tidal power"], model="gpt-5-mini")
    fallbacks = {"fallbacks": [{"model": "dear-critic"}]}
    with_one = quoted(bench, None, ["Tidal power"], model="gpt-5-mini", options=fallbacks)
    assert with_one.usual == plain.usual
    assert with_one.worst == 10 * (plain.worst or 0)


def test_a_saved_endpoint_is_quoted_by_its_name(
    bench: Bench,
    endpoint: Endpoint,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its prices, model and limits hold, in a run and on the command line."""
    prices = {"house": {"input": 1, "output": 1}}
    block: Any = LLMEndpoint(
        base_url=endpoint.base_url, model="house", prices=prices, requests_per_minute=1
    )
    block.save("quoted", overwrite=True)
    monkeypatch.setenv("LLM_REPORTS_STORE", str(bench.store))
    monkeypatch.setenv("PREFECT_API_URL", str(get_current_settings().api.url))
    assert main(["run", "Rust", "--endpoint", "quoted", "--quote", "--json"]) == 0
    shown = Quote.model_validate_json(capsys.readouterr().out)
    found = bench.run(None, ["Rust"], endpoint="quoted", model=None, options={"quote": True})
    assert shown == found
    assert {step.model for step in shown.steps} == {"house"}
    assert shown.usual
    assert shown.limited_by == "1 request a minute"
    assert endpoint.requests == []


def test_shards_are_quoted_as_the_whole(bench: Bench) -> None:
    """A batch that would be split is quoted as it is."""
    found = quoted(bench, None, named(0, 4), model="gpt-5-mini", options={"shards": 2})
    assert found.topics.new == 4


def test_longer_guidance_costs_more(bench: Bench, varied_endpoint: Endpoint) -> None:
    """Records of short questions are no measure of long ones: the prompts' lengths count."""
    run(bench, varied_endpoint, named(0, 3))
    guided = [{"title": title, "guidance": "cover this " * 900} for title in named(0, 3)]
    quote = quoted(bench, varied_endpoint, guided)
    true = run(bench, varied_endpoint, guided)
    assert true.usage.input_tokens > 20_000
    assert quote.usage.input_tokens == pytest.approx(true.usage.input_tokens, rel=0.2)
