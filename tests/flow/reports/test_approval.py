"""Finished reports wait for a person's decision before they are published."""

from __future__ import annotations

import asyncio
import hashlib
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
import yaml
from prefect.client.orchestration import PrefectClient, get_client
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow

from prefect_llm_reports.flows import BatchResult, report_batch
from prefect_llm_reports.tasks.reports.approval import REVIEW_KEY, WAITING
from tests.flow.conftest import Bench
from tests.flow.reports.test_artifacts import artifacts
from tests.harness.endpoint import Endpoint

TOPICS = ["Edge computing", "Tidal power"]


@pytest.fixture(autouse=True)
def reached(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """The endpoint is this process's, and a waiting run looks often."""
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-key")
    monkeypatch.setattr("prefect_llm_reports.tasks.reports.approval.POLL_S", 0.05)


class Deployed:
    """A deployment's run, started as a worker would: again and again, each time from its start.

    Args:
        bench: Where it works.
        options: Options of the batch.
    """

    def __init__(self, bench: Bench, **options: Any) -> None:
        self._parameters = {
            "topics": TOPICS,
            "output": str(bench.output),
            "options": {"store": str(bench.store), "approval": True, **options},
        }

    async def begin(self, client: PrefectClient) -> UUID:
        """Schedule a run."""
        made = await cast(Any, report_batch).to_deployment("test")
        run = await client.create_flow_run_from_deployment(
            await made.aapply(), parameters=self._parameters
        )
        return run.id

    async def work(self, client: PrefectClient, run_id: UUID) -> str:
        """Run it until it is suspended or over; the name of the state it is then in."""
        run = await client.read_flow_run(run_id)
        with suppress(Pause):
            await cast(Any, run_flow(report_batch, flow_run=run, return_type="state"))
        state = (await client.read_flow_run(run_id)).state
        assert state is not None
        return state.name


def test_nothing_is_published_before_it_is_approved(bench: Bench, endpoint: Endpoint) -> None:
    """The run is suspended, holds no process, and once approved publishes without a call."""
    run = Deployed(bench)

    async def decide() -> None:
        async with get_client() as client:
            run_id = await run.begin(client)
            assert await run.work(client, run_id) == "Suspended"
            assert endpoint.count() == 14
            assert not [*bench.output.glob("*/*/manifest.json")]
            decision = {"decision": "approve", "reviewer": "Ada L."}
            await client.resume_flow_run(run_id, run_input=decision)
            assert await run.work(client, run_id) == "Completed"

    asyncio.run(decide())
    for manifest in bench.output.glob("*/*/manifest.json"):
        assert_approved(manifest.parent)
    assert endpoint.count() == 14
    assert len([*bench.output.glob("*/*/manifest.json")]) == 2
    [batch] = bench.output.glob("*/batch.json")
    assert json.loads(batch.read_text())["calls"] == {"made": 0, "cached": 14, "retried": 0}
    *_, asked, review = artifacts(REVIEW_KEY)[REVIEW_KEY]
    assert asked.description == "2 reports are finished, scores 8 to 8."
    assert "Edge computing" in review.data
    assert review.description == "Decided: approve; 2 of 2 reports are published."


def assert_approved(folder: Path) -> None:
    """All files of a report say that a person approved it, and the digest is of what they hold."""
    made = json.loads((folder / "manifest.json").read_text())["provenance"]
    history = json.loads((folder / "history.json").read_text())
    text = next(d["text"] for d in history["drafts"] if d["number"] == history["best"])
    summary = (folder / "summary.txt").read_text()
    digest = hashlib.sha256(f"{text}\0{summary}".encode()).hexdigest()
    assert made["ai_generated"] is True
    assert made["digital_source_type"].endswith("/trainedAlgorithmicMedia")
    assert made["human_decision"] == "approved"
    approval = made["approval"]
    assert (approval["reviewer"], approval["digest"]) == ("Ada L.", digest)
    moment = datetime.fromisoformat(approval["time"])
    assert timedelta(0) <= datetime.now(UTC) - moment < timedelta(minutes=10)
    front = yaml.safe_load((folder / "report.md").read_text().split("---\n")[1])
    assert (front["human_decision"], front["reviewer"]) == ("approved", "Ada L.")
    assert front["reviewed_sha256"] == digest
    for name in ("report.html", "index.html"):
        page = (folder / name).read_text()
        assert "Approved by Ada L." in page
        assert f'<meta name="reviewed-sha256" content="{digest}">' in page


def test_a_comment_goes_first_into_the_next_revision(bench: Bench, endpoint: Endpoint) -> None:
    """The report that is commented on is revised once more, though accepted; the other is not."""
    run = Deployed(bench)
    wish = "Name the cost of the barrage."

    async def decide() -> None:
        async with get_client() as client:
            run_id = await run.begin(client)
            await run.work(client, run_id)
            assert endpoint.count() == 14
            comments = [{"report": "tidal power", "comment": wish}]
            await client.resume_flow_run(
                run_id,
                run_input={"decision": "refine", "reviewer": "Ada L.", "comments": comments},
            )
            assert await run.work(client, run_id) == "Suspended"
            assert endpoint.count() == 17, "a revision, its critique and a summary of one report"
            await client.resume_flow_run(run_id, run_input={"decision": "approve"})
            assert await run.work(client, run_id) == "Completed"
            assert endpoint.count() == 17

    asyncio.run(decide())
    asked = [str(r.body) for r in endpoint.requests if wish in str(r.body)]
    assert len(asked) == 1
    points = asked[0].partition('"improvements":')[2]
    assert 0 < points.index(wish) < points.index(",")
    [tidal] = bench.output.glob("*/tidal*/history.json")
    history = json.loads(tidal.read_text())
    assert history["best"] == len(history["drafts"])
    [remark] = history["remarks"]
    assert (remark["comment"], remark["reviewer"]) == (wish, "Ada L.")
    assert wish in (tidal.parent / "index.html").read_text()
    [other] = bench.output.glob("*/edge*/history.json")
    assert "remarks" not in json.loads(other.read_text())
    nameless = json.loads((tidal.parent / "manifest.json").read_text())["provenance"]
    assert nameless["human_decision"] == "approved"
    assert nameless["approval"]["reviewer"] == ""


def test_a_decision_out_of_bounds_is_refused(bench: Bench) -> None:
    """The form keeps help and bounds of each field, and the run goes on waiting."""
    run = Deployed(bench)

    async def decide() -> None:
        async with get_client() as client:
            run_id = await run.begin(client)
            assert await run.work(client, run_id) == "Suspended"
            refused = await client.resume_flow_run(run_id, run_input={"quality_threshold": 11})
            assert "11 is greater than the maximum of 10" in str(refused.details)
            state = (await client.read_flow_run(run_id)).state
            assert state is not None
            assert state.is_paused()
            assert state.state_details.run_input_keyset is not None
            key = state.state_details.run_input_keyset["schema"]
            schema = json.loads(await client.read_flow_run_input(run_id, key))
            assert all(field["description"] for field in schema["properties"].values())

    asyncio.run(decide())


def test_rejected_reports_are_not_published_and_are_no_failure(
    bench: Bench, endpoint: Endpoint
) -> None:
    """A rejected batch ends Completed, each report says who held it back, nothing is written."""
    run = Deployed(bench)

    async def decide() -> None:
        async with get_client() as client:
            run_id = await run.begin(client)
            await run.work(client, run_id)
            assert WAITING in (await client.read_flow_run(run_id)).tags
            await client.resume_flow_run(run_id, run_input={"decision": "reject"})
            assert await run.work(client, run_id) == "Completed"
            assert WAITING not in (await client.read_flow_run(run_id)).tags

    asyncio.run(decide())
    [written] = bench.output.glob("*/batch.json")
    result = BatchResult.model_validate_json(written.read_text())
    assert [r.status for r in result.reports] == ["held_back", "held_back"]
    assert result.status == "complete"
    assert {r.error.kind for r in result.reports if r.error} == {"held_back"}
    assert not [*bench.output.glob("*/*/manifest.json")]
    latest = artifacts(REVIEW_KEY)[REVIEW_KEY][-1]
    assert latest.description == "Decided: reject; 0 of 2 reports are published."


def test_refining_goes_on_with_another_threshold_and_asks_again(bench: Bench) -> None:
    """With a higher threshold and more rounds only the further calls are made; then asked again."""
    run = Deployed(bench)
    with Endpoint(scores=[6, 7, 8, 9]) as endpoint:
        bench_url = endpoint.base_url

        async def decide(monkeypatch: pytest.MonkeyPatch) -> None:
            monkeypatch.setenv("OPENAI_BASE_URL", bench_url)
            async with get_client() as client:
                run_id = await run.begin(client)
                assert await run.work(client, run_id) == "Suspended"
                assert endpoint.count() == 14
                await client.resume_flow_run(
                    run_id,
                    run_input={"decision": "refine", "quality_threshold": 9, "max_iterations": 4},
                )
                assert await run.work(client, run_id) == "Suspended"
                # a revision, its critique and another summary for each of the two
                assert endpoint.count() == 20
                await client.resume_flow_run(
                    run_id,
                    run_input={
                        "decision": "approve",
                        "quality_threshold": 9,
                        "hold_back": ["tidal POWER"],
                    },
                )
                assert await run.work(client, run_id) == "Completed"
                assert endpoint.count() == 20

        with pytest.MonkeyPatch.context() as patch:
            asyncio.run(decide(patch))
    [written] = bench.output.glob("*/batch.json")
    edge, tidal = BatchResult.model_validate_json(written.read_text()).reports
    assert (edge.status, edge.score, edge.iterations) == ("published", 9, 4)
    assert tidal.status == "held_back"
    assert tidal.error is not None
    assert "the decision names it" in tidal.error.message


def test_called_from_python_the_run_waits_in_its_process(bench: Bench) -> None:
    """Without a deployment the run is paused; a decision in the UI lets it go on."""

    async def run() -> BatchResult:
        running: Any = report_batch(
            topics=TOPICS,
            output=str(bench.output),
            options={"store": str(bench.store), "approval": True},
        )
        task = asyncio.ensure_future(running)
        async with get_client() as client:
            while True:
                await asyncio.sleep(0.1)
                [last] = await client.read_flow_runs(limit=1, sort=cast(Any, "START_TIME_DESC"))
                if last.state and last.state.is_paused():
                    break
                assert not task.done(), task
            await client.resume_flow_run(
                last.id, run_input={"decision": "approve", "hold_back": ["2"]}
            )
        return cast("BatchResult", await task)

    result = asyncio.run(run())
    assert [r.status for r in result.reports] == ["published", "held_back"]
    assert Path(result.run_directory, "batch.json").exists()


def test_nobody_decides(bench: Bench) -> None:
    """When the time is over the run fails and says how to be asked again; nothing is published."""
    with pytest.raises(Exception, match="nobody decided on 2 finished reports within"):
        bench.run(None, TOPICS, options={"approval": True, "approval_days": 1e-5})
    assert not [*bench.output.glob("*/*/manifest.json")]
