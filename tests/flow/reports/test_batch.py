"""The main job end to end: topics in, published result directories out."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import TaskRun, TaskRunResult

from prefect_llm_reports.flows import report_batch
from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.reports import BatchResult
from tests.flow.conftest import TOPICS, Bench
from tests.harness import faults
from tests.harness.endpoint import Endpoint

FILES = {
    "report.md", "report.html", "summary.txt", "history.json", "manifest.json", "index.html",
    "changes.md",
}  # fmt: skip
SAME_BYTES = ("report.md", "report.html", "summary.txt")


def test_five_topics_take_35_calls_and_are_published(bench: Bench, endpoint: Endpoint) -> None:
    """With scores 6, 7, 8 a topic takes 7 calls: draft, 3 critiques, 2 revisions, summary."""
    result = bench.run(endpoint)

    assert result.status == "complete"
    assert len(endpoint.requests) == 35
    assert result.calls.made == 35
    steps = {step: endpoint.count(step=step) for step in ("draft", "critique", "revise", "summary")}
    assert steps == {"draft": 5, "critique": 15, "revise": 10, "summary": 5}
    assert [r.topic for r in result.reports] == TOPICS
    for report in result.reports:
        assert (report.status, report.score, report.iterations) == ("published", 8, 3)
        assert report.stop_reason == "accepted"
        assert {p.name for p in Path(report.directory or "").iterdir()} == FILES


def test_the_same_batch_again_makes_no_call_and_equal_bytes(
    bench: Bench, endpoint: Endpoint
) -> None:
    """A second run of the same topics asks nothing and writes the same report bytes."""
    first = bench.run(endpoint)
    second = bench.run(endpoint)

    assert len(endpoint.requests) == 35
    assert (second.calls.made, second.calls.cached) == (0, 35)
    assert second.run_directory != first.run_directory
    for one, two in zip(first.reports, second.reports, strict=True):
        for name in SAME_BYTES:
            assert (Path(one.directory or "") / name).read_bytes() == (
                Path(two.directory or "") / name
            ).read_bytes()


def test_a_later_run_says_what_changed_since_the_last(bench: Bench, endpoint: Endpoint) -> None:
    """First runs are new, equal ones unchanged, others tell their sections; in every output."""
    first = bench.run(endpoint, ["Tidal power"])
    second = bench.run(endpoint, ["Tidal power", "C++"])
    third = bench.run(endpoint, ["Tidal power"], options={"audience": "engineers"})

    def change(result: BatchResult) -> tuple[str, str]:
        [count] = [r.changes for r in result.reports if r.topic == "Tidal power"]
        assert count is not None
        return count.state, count.since

    assert change(first) == ("new", "")
    assert change(second) == ("unchanged", first.run_id)
    assert change(third) == ("changed", second.run_id)
    said = Path(third.reports[0].directory or "", "changes.md").read_text()
    assert f"Since run {second.run_id}: " in said
    page = Path(third.reports[0].directory or "", "index.html").read_text()
    assert "<ins>" in page.split('id="changes"')[1]
    assert "unchanged</a>" in Path(second.run_directory, "index.html").read_text()
    history = Path(second.reports[0].directory or "", "changes.md").read_text()
    assert f"Nothing has changed since run {first.run_id}." in history


def test_a_house_template_is_used_and_checked_first(
    bench: Bench, endpoint: Endpoint, tmp_path: Path
) -> None:
    """Pages are rendered by the house's templates; a mistake in one ends the run before a call."""
    own = tmp_path / "house" / "pages"
    own.mkdir(parents=True)
    options = {"templates": str(tmp_path / "house")}
    (own / "run.html.j2").write_text("{{ nonsense }}")
    with pytest.raises(BadInput, match=r"pages/run\.html\.j2"):
        bench.run(endpoint, ["Tidal power"], options=options)
    assert endpoint.requests == []
    block = "{% block page %}<p>ACME {{ super() }}{% endblock %}"
    for name in ("report", "reader", "run", "index"):
        (own / f"{name}.html.j2").write_text(
            '{% extends "packaged/' + name + '.html.j2" %}' + block
        )
    (own / "run.html.j2").write_text('{% extends "packaged/run.html.j2" %}' + block)
    [report] = bench.run(endpoint, ["Tidal power"], options=options).reports
    directory = Path(report.directory or "")
    pages = [directory / "report.html", directory / "index.html", directory.parent / "index.html"]
    for page in (*pages, directory.parents[1] / "index.html"):
        assert "<p>ACME" in page.read_text(), page


def test_the_best_scored_draft_wins_not_the_last(bench: Bench) -> None:
    """When a revision scores lower, the earlier draft is published and revised further."""
    with Endpoint(scores=(7, 5)) as endpoint:
        result = bench.run(endpoint, ["Tidal power"])
        revisions = [r for r in endpoint.requests if r.step == "revise"]
    [report] = result.reports
    history = bench.history(result, "Tidal power")

    assert (report.score, report.stop_reason) == (7, "iterations_exhausted")
    assert history["best"] == 1
    assert [d["score"] for d in history["drafts"]] == [7, 5, 5]
    assert [d["parent"] for d in history["drafts"]] == [None, 1, 1]
    assert all(d["critique"] for d in history["drafts"])
    prompts = [r.body["messages"][1]["content"] for r in revisions if r.body]
    assert [("<setbacks>" in prompt) for prompt in prompts] == [False, True]


def test_every_returned_draft_was_scored(bench: Bench, endpoint: Endpoint) -> None:
    """When rounds run out, no unscored revision is asked for or returned."""
    result = bench.run(endpoint, ["Tidal power"], max_iterations=2)

    assert result.reports[0].stop_reason == "iterations_exhausted"
    assert (endpoint.count(step="critique"), endpoint.count(step="revise")) == (2, 1)


def test_a_plateau_ends_refinement_when_asked_for(bench: Bench) -> None:
    """With `plateau` set, rounds without a better score end the refinement."""
    with Endpoint(scores=(6, 6, 6, 6, 6)) as endpoint:
        result = bench.run(endpoint, ["C++"], max_iterations=5, options={"plateau": 1})
    assert (result.reports[0].stop_reason, result.reports[0].iterations) == ("plateau", 2)


def test_one_failing_topic_leaves_the_others_published(bench: Bench, endpoint: Endpoint) -> None:
    """A topic whose critique is rejected fails with its reason; the others are published."""
    endpoint.fail(faults.error(400, "no"), step="critique", topic="Tidal", times=None)
    result = bench.run(endpoint)

    assert result.status == "partial"
    assert {r.topic: r.status for r in result.reports} == {
        topic: "failed" if topic == "Tidal power" else "published" for topic in TOPICS
    }
    error = result.reports[2].error
    assert error is not None
    assert (error.kind, error.step) == ("call_rejected", "critique")


def test_something_unforeseen_stays_with_its_topic(
    bench: Bench, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unforeseen exception fails one report, without its text on the page."""
    from prefect_llm_reports.tasks.reports import refining

    refine = refining.refine

    async def fragile(plan: Any, topic: Any, *more: Any) -> Any:
        if topic.title == "C++":
            raise ZeroDivisionError("secret detail")
        return await refine(plan, topic, *more)

    monkeypatch.setattr(refining, "refine", fragile)
    result = bench.run(endpoint)

    assert [r.status for r in result.reports].count("published") == 4
    assert result.reports[4].error is not None
    assert result.reports[4].error.kind == "unexpected"
    assert "secret detail" not in (Path(result.run_directory) / "index.html").read_text()


def test_task_runs_read_as_steps_of_a_report(bench: Bench, endpoint: Endpoint) -> None:
    """In the UI a task run has step, round, topic, a critique its score; arrows join them."""
    result = bench.run(endpoint, ["Tidal power"])
    [manifest] = bench.manifests(result)
    flow_run_id = manifest.flow_run_id

    async def task_runs() -> list[TaskRun]:
        async with get_client() as client:
            for _ in range(100):
                runs = await client.read_task_runs(
                    flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))  # pyright: ignore
                )
                if len(runs) >= 11 and all(run.state and run.state.is_final() for run in runs):
                    break
                await asyncio.sleep(0.1)
            return runs

    runs = {run.name.partition(" \u00b7 ")[0]: run for run in asyncio.run(task_runs())}
    assert all(run.name.endswith(" \u00b7 Tidal power") for run in runs.values())
    assert runs.keys() == {
        *("report", "draft"),
        *(f"critique {n}" for n in (1, 2, 3)),
        *(f"revise {n}" for n in (1, 2)),
        *("markdown", "html", "summary", "publish"),
    }
    chain = ["draft", "critique 1", "revise 1", "critique 2", "revise 2", "critique 3"]
    for before, after in pairwise(chain):
        used = {one.id for one in runs[after].task_inputs["ask"] if isinstance(one, TaskRunResult)}
        assert used == {runs[before].id}
    history = json.loads((Path(result.reports[0].directory or "") / "history.json").read_text())
    for number, draft in enumerate(history["drafts"], start=1):
        state = runs[f"critique {number}"].state
        assert state
        assert (state.message or "").startswith(f"score {draft['score']:g}: ")


def test_the_manifest_says_how_the_report_came_about(bench: Bench, endpoint: Endpoint) -> None:
    """manifest.json names steps, models, prompt digests, usage, options and every checksum."""
    result = bench.run(endpoint, ["Tidal power"], options={"audience": "engineers"})
    [manifest] = bench.manifests(result)
    import hashlib

    assert [s.step for s in manifest.steps] == [
        "draft", "critique", "revise", "critique", "revise", "critique", "summary",
    ]  # fmt: skip
    assert manifest.options["audience"] == "engineers"
    assert manifest.options["quality_threshold"] == 8
    assert manifest.usage == result.usage
    assert {f.name for f in manifest.files} == FILES - {"manifest.json"}
    for entry in manifest.files:
        body = (Path(result.reports[0].directory or "") / entry.name).read_bytes()
        assert (len(body), hashlib.sha256(body).hexdigest()) == (entry.size, entry.sha256)


def test_cost_is_unknown_or_exact(bench: Bench, endpoint: Endpoint) -> None:
    """A local model without a price costs 'unknown'; with one, what its tokens cost."""
    unknown = bench.run(endpoint, ["Tidal power"])
    priced = bench.run(
        endpoint,
        ["C++"],
        options={"prices": {"gpt-5-mini": {"input": "1", "output": "10"}}},
    )
    cpp = [r for r in endpoint.requests if r.topic == "C++"]
    assert unknown.cost_usd is None
    assert priced.cost_usd is not None
    usage = priced.usage
    assert len(cpp) == 7
    assert priced.cost_usd * 1_000_000 == usage.input_tokens + 10 * usage.output_tokens


def test_offline_topics_need_their_rounds(bench: Bench) -> None:
    """The embedded engine refines five topics over several rounds and says that it wrote them."""
    result = bench.run(None)

    assert result.status == "complete"
    assert result.offline
    assert result.cost_usd == 0
    assert all(r.iterations >= 2 and (r.score or 0) >= 8 for r in result.reports)
    directory = Path(result.reports[0].directory or "")
    assert "offline: true" in (directory / "report.md").read_text()
    assert "offline" in (directory / "report.html").read_text()
    assert json.loads((directory / "manifest.json").read_text())["offline"] is True


@pytest.mark.parametrize("ending", ["txt", "csv", "json", "yaml"])
def test_topics_come_from_files_too(bench: Bench, tmp_path: Path, ending: str) -> None:
    """A topics file is added to the topics given; repeats are written once, with a warning."""
    texts = {
        "txt": "Heat pumps\r\n\r\nC++\r\n",
        "csv": '\ufefftitle,guidance\r\n"Heat pumps",\r\nC++,\r\n',
        "json": '["Heat pumps", "C++"]',
        "yaml": "- Heat pumps\n- C++\n",
    }
    file = tmp_path / f"topics.{ending}"
    file.write_bytes(texts[ending].encode())
    result = bench.run(None, ["C++"], topics_file=str(file))

    assert [r.topic for r in result.reports] == ["C++", "Heat pumps"]
    assert any("C++" in warning for warning in result.warnings)


def test_all_problems_are_named_at_once_and_nothing_is_called(
    bench: Bench, endpoint: Endpoint, tmp_path: Path
) -> None:
    """Bad input ends before any call, with every problem in one error."""
    rows = "".join(f"topic {n},\n" for n in range(1, 6))
    topics_file = tmp_path / "topics.csv"
    topics_file.write_text(f"title,guidance\n{rows},no title\n")
    blocked = tmp_path / "file"
    blocked.write_text("")
    prompts = tmp_path / "house" / "prompts"
    prompts.mkdir(parents=True)
    (prompts / "writer.j2").write_text(
        "{% block system %}x{% endblock %}{% block user %}{{ nonsense }}{% endblock %}"
    )
    with pytest.raises(BadInput) as caught:
        bench.run(
            endpoint,
            [],
            topics_file=str(topics_file),
            output=str(blocked / "reports"),
            options={"templates": str(tmp_path / "house")},
        )
    said = "\n".join(caught.value.problems)
    assert "row 7" in said
    assert "nonsense" in said
    assert "not writable" in said
    assert endpoint.requests == []


def test_no_endpoint_is_never_replaced_silently(bench: Bench) -> None:
    """Without key, address and offline model the batch stops and says what to set."""
    with pytest.raises(BadInput, match="OPENAI_API_KEY"):
        bench.run(None, model="gpt-5-mini")


def test_an_out_of_range_threshold_is_refused_by_the_flow() -> None:
    """Bounds of the form are checked before anything runs."""
    with pytest.raises(Exception, match="quality_threshold"):
        asyncio.run(report_batch(topics=["x"], model="offline", quality_threshold=11))


def test_a_task_of_ones_own_may_start_a_batch(bench: Bench, endpoint: Endpoint) -> None:
    """Inside of another flow's task the batch is the same, and keeps each answer at once."""

    @task
    async def reports() -> BatchResult:
        batch: Any = report_batch(
            topics=["Tidal power"],
            output=str(bench.output),
            options={"store": str(bench.store)},
            model="gpt-5-mini",
        )
        return await batch

    @flow
    async def nightly() -> BatchResult:
        return await reports()

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_BASE_URL", endpoint.base_url)
        patch.setenv("OPENAI_API_KEY", "sk-test-key")
        result = asyncio.run(nightly())
    assert result.status == "complete"
    assert endpoint.count() == 7
    assert len([*bench.store.glob("??/*.json")]) == 7


class Lines(logging.Handler):
    """Keeps what is logged, tracebacks included."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record as a handler would write it."""
        self.text += self.format(record) + "\n"


@pytest.fixture
def log() -> Iterator[Lines]:
    """The log of the runs of this test."""
    lines = Lines()
    loggers = [logging.getLogger(f"prefect.{kind}_runs") for kind in ("task", "flow")]
    for one in loggers:
        one.addHandler(lines)
    yield lines
    for one in loggers:
        one.removeHandler(lines)


FAULTS: dict[str, faults.Reply] = {
    "refused": faults.status(400),
    "unauthorized": faults.unauthorized(),
    "broken": faults.status(500),
    "filtered": faults.filtered(),
}


@pytest.mark.parametrize("reply", FAULTS.values(), ids=FAULTS)
def test_a_runs_log_has_a_line_for_each_topic_that_ended_badly(
    reply: faults.Reply, bench: Bench, log: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no traceback; topics that were not begun are one line for all."""
    monkeypatch.setenv("LLM_REPORTS_BACKOFF_S", "0")
    with Endpoint(script=lambda _: reply) as endpoint:
        result = bench.run(endpoint, [f"Topic {n}" for n in range(6)])
    failed = [report.topic for report in result.reports if report.status == "failed"]
    assert failed
    assert "Traceback" not in log.text
    lines = log.text.splitlines()
    for topic in failed:
        assert sum(line.startswith(f"{topic}: failed: draft: ") for line in lines) == 1
    not_begun = len(result.reports) - len(failed)
    assert sum("not begun: " in line for line in lines) == (not_begun > 0)
    assert len(lines) <= len(failed) + 6


def test_a_bug_keeps_its_traceback(
    bench: Bench, endpoint: Endpoint, log: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unexpected error is no topic's fault, and somebody has to find it."""
    from prefect_llm_reports.tasks.reports import refining

    async def broken(*_: Any) -> Any:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(refining, "refine", broken)
    bench.run(endpoint, ["Tidal power"])
    assert "Traceback" in log.text
    assert "ZeroDivisionError: a bug" in log.text
