"""What an operator sees of a batch in the Prefect UI: name, final state, artifacts."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterKey,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import ArtifactSort, FlowRunSort
from prefect.flow_engine import run_flow

from prefect_llm_reports.flows import parallel_branches, report_batch
from prefect_llm_reports.tasks.reports.artifacts import RESULT_KEY, TOPICS_KEY
from prefect_llm_reports.tasks.reports.progress_bar import PROGRAM_KEY, PROGRESS_KEY
from prefect_llm_reports.tasks.reports.summaries import SUMMARIES_KEY
from prefect_llm_reports.tasks.runtime import artifacts as showing
from tests.flow.conftest import Bench
from tests.harness import faults
from tests.harness.endpoint import Endpoint

HOSTILE = "Heat *pumps* ![x](http://e.example/x.png) <script>alert(1)</script> [a](javascript:b)"


def last_run() -> FlowRun:
    """The flow run that began last."""

    async def read() -> FlowRun:
        async with get_client() as client:
            [run] = await client.read_flow_runs(limit=1, sort=FlowRunSort.START_TIME_DESC)
            return run

    return asyncio.run(read())


def artifacts(*keys: str, run_id: UUID | None = None) -> dict[str, list[Any]]:
    """The artifacts of these keys, oldest version first, of one run or of all."""

    async def read() -> dict[str, list[Any]]:
        async with get_client() as client:
            found = await client.read_artifacts(
                artifact_filter=ArtifactFilter(
                    key=ArtifactFilterKey(any_=[*keys]),
                    flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]) if run_id else None,
                ),
                sort=ArtifactSort.CREATED_DESC,
            )
            return {k: [a for a in reversed(found) if a.key == k] for k in keys}

    return asyncio.run(read())


def run_deployed(flow: Any, **parameters: Any) -> FlowRun:
    """Run a flow as a deployment's run; what a worker starts, in this process."""

    async def run() -> UUID:
        async with get_client() as client:
            made = await flow.to_deployment("test")
            deployment_id = await made.aapply()
            flow_run = await client.create_flow_run_from_deployment(
                deployment_id, parameters=parameters
            )
            await cast(Any, run_flow(flow, flow_run=flow_run, return_type="state"))
            return flow_run.id

    async def read(run_id: UUID) -> FlowRun:
        async with get_client() as client:
            return await client.read_flow_run(run_id)

    return asyncio.run(read(asyncio.run(run())))


def test_a_run_is_named_after_what_it_does(bench: Bench) -> None:
    """The name has the first topic, how many more there are, the file, and the model."""
    file = bench.output.parent / "more topics.txt"
    file.write_text("Tidal power\n")
    bench.run(None, ["A" * 80, {"title": "Rust"}, "Go"], topics_file=str(file), max_iterations=1)
    assert last_run().name == f"{'A' * 59}… + 2 more + more topics.txt · offline"


def test_a_complete_batch_says_what_it_did(bench: Bench) -> None:
    """The state's message has the counts; called from Python, the result comes back as ever."""
    result = bench.run(None, ["Tidal power"])
    state = last_run().state
    assert state is not None
    assert result.status == "complete"
    assert (state.name, state.type.value) == ("Completed", "COMPLETED")
    assert state.message == "1 published; 7 calls made, 0 cached, 0 retried; 0.0000 USD"


def test_a_partial_batch_is_not_only_a_green_tick(bench: Bench, endpoint: Endpoint) -> None:
    """One failed report: the state is called Partial and says which error came first."""
    endpoint.fail(faults.status(400), topic="Tidal power", times=None)
    result = bench.run(endpoint, ["Edge computing", "Tidal power"])
    state = last_run().state
    assert state is not None
    assert result.status == "partial"
    assert state.name == "Partial"
    assert state.message is not None
    assert state.message.startswith("1 published, 1 failed; 7 calls made")
    assert "first: " in state.message


def test_a_deployments_partial_run_is_failed(
    bench: Bench, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for a deployment's result: its run is red, says counts, and can be retried."""
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-key")
    endpoint.fail(faults.status(400), topic="Tidal power", times=None)
    run = run_deployed(
        report_batch,
        topics=["Edge computing", "Tidal power"],
        output=str(bench.output),
        options={"store": str(bench.store)},
    )
    assert run.state is not None
    assert (run.state.name, run.state.type.value) == ("Partial", "FAILED")
    assert "1 published, 1 failed" in (run.state.message or "")
    assert "Retry to continue" in (run.state.message or "")
    assert len([*bench.output.glob("*/*/manifest.json")]) == 1


def test_a_stop_is_named_after_its_reason(bench: Bench, endpoint: Endpoint) -> None:
    """A rejected key ends the run Stopped, a used-up budget BudgetExhausted."""
    endpoint.fail(faults.unauthorized(), times=None)
    assert bench.run(endpoint, ["Edge computing"]).status == "stopped"
    state = last_run().state
    assert state is not None
    assert state.name == "Stopped"
    assert "key" in (state.message or "")

    with Endpoint() as other:
        result = bench.run(
            other,
            ["Edge computing", "Tidal power"],
            options={
                "budget_usd": "0.000001",
                "prices": {"gpt-5-mini": {"input": 1, "output": 1}},
            },
        )
    assert result.status == "stopped"
    state = last_run().state
    assert state is not None
    assert state.name == "BudgetExhausted"
    assert "2 not started" in (state.message or "")


def test_branches_without_a_merge_end_a_deployments_run_failed(
    endpoint: Endpoint, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One input whose merge fails is a Failed run of a deployment."""
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-key")
    endpoint.fail(faults.status(400), times=None)
    run = run_deployed(parallel_branches, query="Why?", options={"store": str(bench.store)})
    assert run.state is not None
    assert (run.state.name, run.state.type.value) == ("Failed", "FAILED")
    assert "0 of 2 branches answered" in (run.state.message or "")
    assert run.name == "Why?"


def test_the_topics_and_summaries_are_shown_without_what_is_in_them(bench: Bench) -> None:
    """Table and summaries escape untrusted text: no image, no HTML, no script link is left."""
    result = bench.run(
        None,
        ["Tidal power", HOSTILE],
        options={"pages_url": "https://reports.example.com/all/"},
    )
    shown = artifacts(TOPICS_KEY, RESULT_KEY, PROGRAM_KEY, PROGRESS_KEY, run_id=last_run().id)
    assert {key: len(versions) for key, versions in shown.items()} == dict.fromkeys(shown, 1)

    [plain, hostile] = [r.slug for r in result.reports]
    row, other = json.loads(shown[TOPICS_KEY][-1].data)
    at = f"https://reports.example.com/all/{result.run_id}"
    score = result.reports[0].score
    assert row == {
        "Topic": "Tidal power",
        "Status": "published",
        "Score": f"{score:g}",
        "Iterations": result.reports[0].iterations,
        "Stop reason": "accepted",
        "Calls": 7,
        "Cached": 0,
        "Tokens": result.reports[0].usage.input_tokens + result.reports[0].usage.output_tokens,
        "USD": "0.0000",
        "Error": "",
        "Report": f"{at}/{plain}/index.html",
    }
    summary = artifacts(f"report-{hostile}")[f"report-{hostile}"][-1]
    outcome = shown[RESULT_KEY][-1].data
    assert "![" not in other["Topic"]
    assert "\\" not in other["Topic"]  # one of the UIs would show it
    for text in (summary.data, summary.description, outcome):
        assert "\\!\\[" in text or "!\\[" in text
    for text in (other["Topic"], summary.data, summary.description, outcome):
        assert "<script" not in text
        assert "](javascript" not in text.replace("\\](", "")
    assert f"[Open the run's page]({at}/index.html)" in outcome
    assert f"- [Tidal power]({at}/{plain}/index.html), score {score:g}" in outcome
    assert f"]({at}/{hostile}/index.html), score" in outcome
    assert shown[PROGRESS_KEY][-1].data == 100
    assert shown[PROGRESS_KEY][-1].description == (
        "2 of 2 topics done; 14 calls made, 0 cached; 0.0000 USD"
    )
    assert "data:image/svg+xml;base64," in shown[PROGRAM_KEY][-1].data


def test_an_unchanged_report_gets_no_new_version_of_its_summary(bench: Bench) -> None:
    """The summary's artifact is versioned by report; a rerun that changes nothing adds none."""
    [report] = bench.run(None, ["Seaweed farming"]).reports
    key = f"report-{report.slug}"
    assert len(artifacts(key)[key]) == 1
    bench.run(None, ["Seaweed farming"])
    assert len(artifacts(key)[key]) == 1
    bench.run(None, ["Seaweed farming"], max_iterations=1)
    assert len(artifacts(key)[key]) == 2


def test_the_summaries_of_a_large_batch_are_in_one_artifact(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond a number of topics all summaries stand together, in input order, up to a limit."""
    monkeypatch.setattr("prefect_llm_reports.tasks.reports.summaries.MOST_ALONE", 1)
    bench.run(None, ["Kelp farming", "Heat pumps"])
    [shown] = artifacts(SUMMARIES_KEY, run_id=last_run().id)[SUMMARIES_KEY]
    assert shown.data.index("# Kelp farming") < shown.data.index("# Heat pumps")
    assert shown.description == "Executive summaries of 2 reports."

    monkeypatch.setattr("prefect_llm_reports.tasks.reports.summaries.MOST_SUMMARIES", 1)
    bench.run(None, ["Kelp farming", "Heat pumps"])
    [shown] = artifacts(SUMMARIES_KEY, run_id=last_run().id)[SUMMARIES_KEY]
    assert shown.data.count("\n\nscore ") == 1
    assert "1 more are on the run's page" in shown.description


def test_the_progress_moves_while_the_batch_runs(
    bench: Bench, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bar moves with the calls of unfinished topics, and never to its end before its time."""
    moves: list[float] = []
    move = showing.aupdate_progress_artifact

    async def seen(shown: UUID, progress: float, description: str | None = None) -> UUID:
        moves.append(progress)
        if len(moves) == 3:
            endpoint.release()
        return await move(shown, progress, description)

    monkeypatch.setattr(showing, "aupdate_progress_artifact", seen)
    monkeypatch.setattr("prefect_llm_reports.tasks.reports.progress_bar.PACE_S", 0.02)
    endpoint.fail(faults.held(), step="revise", times=1)
    bench.run(endpoint, ["Edge computing"])
    assert moves == sorted(moves)
    assert 0 < moves[2] < 100
    assert moves[-1] == 100


async def _refuse(*_: Any, **__: Any) -> UUID:
    raise ConnectionError("no artifacts today")


async def _never_answer(*_: Any, **__: Any) -> UUID:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize("fault", [_refuse, _never_answer])
@pytest.mark.parametrize("missing", [["create_markdown", "create_table"], ["create_progress"]])
def test_an_artifact_that_cannot_be_written_costs_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, missing: list[str], fault: Any
) -> None:
    """A server that refuses artifacts, or keeps them waiting, costs warnings and no report."""
    for name in (*missing, "update_progress"):
        monkeypatch.setattr(showing, f"a{name}_artifact", fault)
    monkeypatch.setattr(showing, "PATIENCE_S", 0.2)
    result = bench.run(None, ["Tidal power"])
    assert result.status == "complete"
    assert (Path(result.run_directory) / "batch.json").exists()


def test_the_log_tells_decisions_and_failures_not_that_steps_ended_well(
    bench: Bench, endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    """A line for each score and for each topic that failed, none for task runs that ended."""
    endpoint.fail(faults.status(400), topic="Tidal power", times=None)
    task_runs = logging.getLogger("prefect.task_runs")  # it does not pass its lines on
    task_runs.addHandler(caplog.handler)
    with caplog.at_level(logging.INFO):
        bench.run(endpoint, ["Edge computing", "Tidal power"])
    task_runs.removeHandler(caplog.handler)
    said = [record.getMessage() for record in caplog.records]
    assert sum("scored" in line for line in said) == 3
    assert sum(line.startswith("Tidal power: failed: draft: ") for line in said) == 1
    assert not any(line.startswith("Finished in state Completed") for line in said)
    assert not any("Task run failed" in line for line in said)
