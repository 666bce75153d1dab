"""A batch that is split: over threads, over a worker's runs, over processes and a Dask cluster."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId
from prefect.client.schemas.objects import FlowRun
from prefect.flow_engine import run_flow
from prefect.states import AwaitingRetry, Crashed, Pending
from prefect.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner

from prefect_llm_reports.flows import BatchResult, report_batch, shards
from prefect_llm_reports.flows.shards import report_shard
from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.reports import accounts
from prefect_llm_reports.tasks.results.verifying import Verifier
from prefect_llm_reports.tasks.runtime.progress import Progress, progress_of_caller
from prefect_llm_reports.tasks.shards import deployments, task_runners
from prefect_llm_reports.tasks.shards import run as shard_runs
from prefect_llm_reports.tasks.shards.desk import Desk
from prefect_llm_reports.tasks.storage.places import LocalPlace, open_place
from tests.flow.conftest import Bench
from tests.harness import faults
from tests.harness.endpoint import Endpoint
from tests.harness.hands import DEPLOYMENT, Hands
from tests.harness.processes import wait_until

PRICES = {"gpt-5-mini": {"input": "2", "output": "10"}}
READ = ("report.md", "report.html", "summary.txt")


def titles(count: int) -> list[str]:
    """So many topics."""
    return [f"Topic number {n}" for n in range(count)]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the shards often."""
    for module in (deployments, task_runners):
        monkeypatch.setattr(module, "LOOK_S", 0.1)


def batch_of(bench: Bench, endpoint: Endpoint, topics: list[str], **options: Any) -> dict[str, Any]:
    """The parameters of a batch of a bench."""
    os.environ |= {"OPENAI_BASE_URL": endpoint.base_url, "OPENAI_API_KEY": "sk-test-key"}
    return {
        "topics": topics,
        "model": "gpt-5-mini",
        "output": str(bench.output),
        "options": {"store": str(bench.store), **options},
    }


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """Leave the environment as it was."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def on(runner: Any, given: dict[str, Any]) -> BatchResult:
    """Run a batch with another task runner."""
    flow: Any = report_batch.with_options(task_runner=runner)
    return asyncio.run(flow(**given))


def by_hands(given: dict[str, Any], hands: Hands) -> BatchResult:
    """Run a batch whose shards are runs of a deployment."""
    given["options"] |= {"shard_deployment": DEPLOYMENT}

    async def run() -> BatchResult:
        async with hands:
            flow: Any = report_batch
            return await flow(**given)

    return asyncio.run(run())


def children(of: UUID) -> list[FlowRun]:
    """The runs that a flow run has started."""

    async def read() -> list[FlowRun]:
        async with get_client() as client:
            chosen = FlowRunFilterParentFlowRunId(any_=[of])
            return await client.read_flow_runs(
                flow_run_filter=FlowRunFilter(parent_flow_run_id=chosen)
            )

    return asyncio.run(read())


def check(bench: Bench, result: BatchResult) -> None:
    """The output is whole, and nothing of the shards is left in it."""
    found = Verifier(open_place(str(bench.output))).verify()
    assert found.findings == []
    assert not (Path(result.run_directory) / ".shards").exists()


def texts(result: BatchResult) -> dict[str, bytes]:
    """What readers read, by topic and file."""
    return {
        f"{report.slug}/{name}": (Path(report.directory or "") / name).read_bytes()
        for report in result.reports
        for name in READ
    }


def test_a_split_batch_is_the_batch(bench: Bench) -> None:
    """Shards in threads: reports, calls, cost, order and pages as without; then nothing to pay."""
    topics = titles(7)
    options: dict[str, Any] = {"prices": PRICES, "concurrency": 4}
    with Endpoint(latency=0.05) as endpoint:
        whole = bench.run(endpoint, topics, options=options)
        bench.store = bench.store.with_name("other")
        given = batch_of(bench, endpoint, topics, shards=3, **options)
        split = on(ThreadPoolTaskRunner(max_workers=3), given)
        assert len(endpoint.requests) == 2 * 49
        assert endpoint.peak <= 4
        again = on(ThreadPoolTaskRunner(max_workers=3), given)

    assert (split.status, again.status) == ("complete", "complete")
    assert texts(split) == texts(whole)
    assert [r.topic for r in split.reports] == topics
    assert (split.calls, split.usage, split.cost_usd) == (whole.calls, whole.usage, whole.cost_usd)
    assert [r.cost_usd for r in split.reports] == [r.cost_usd for r in whole.reports]
    assert (again.calls.made, again.calls.cached) == (0, 49)
    assert {r.changes.state for r in again.reports if r.changes} == {"unchanged"}
    assert len(endpoint.requests) == 2 * 49
    check(bench, split)


def test_workers_of_a_deployment_share_a_batch(bench: Bench, endpoint: Endpoint) -> None:
    """Each shard is a run below the batch's own, with small parameters, and all are finished."""
    hands = Hands()
    given = batch_of(bench, endpoint, titles(6), shards=3, concurrency=6)
    result = by_hands(given, hands)

    assert result.status == "complete"
    assert sorted(hands.shards()) == [1, 2, 3]
    assert len(endpoint.requests) == len({r.key for r in endpoint.requests}) == 42
    for run in children(last_run_of_batches()):
        assert run.parameters.keys() == {"output", "run_id", "shard"}
        assert run.state is not None
        assert run.state.message is not None
        assert run.state.message.startswith("2 published; 14 calls made")
    check(bench, result)


def test_a_split_batch_opens_no_session(
    bench: Bench, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shards alone reach for the endpoint and for the store of answers."""
    made: list[str] = []
    for name in ("Session", "AnswerStore"):
        real = getattr(accounts, name)

        def counted(*given: Any, _real: Any = real, _name: str = name, **more: Any) -> Any:
            made.append(_name)
            return _real(*given, **more)

        monkeypatch.setattr(accounts, name, counted)
    given = batch_of(bench, endpoint, titles(2), shards=2, concurrency=2)
    result = by_hands(given, Hands())
    assert result.status == "complete"
    assert sorted(made) == ["AnswerStore", "AnswerStore", "Session", "Session"]


def last_run_of_batches() -> UUID:
    """The batch that began last."""

    async def read() -> UUID:
        from prefect.client.schemas.filters import FlowFilter, FlowFilterName
        from prefect.client.schemas.sorting import FlowRunSort

        async with get_client() as client:
            [run] = await client.read_flow_runs(
                flow_filter=FlowFilter(name=FlowFilterName(any_=["report-batch"])),
                sort=FlowRunSort.START_TIME_DESC,
                limit=1,
            )
            return run.id

    return asyncio.run(read())


def test_a_killed_shard_is_tried_again_and_pays_nothing_twice(bench: Bench) -> None:
    """A shard whose process dies in the middle is finished by another run."""
    hands = Hands()
    with Endpoint(latency=0.05) as endpoint:
        killed: list[FlowRun] = []

        def dies(run: FlowRun) -> bool:
            first = run.parameters["shard"] == 1 and not killed
            if first and endpoint.count(status=200) >= 12:
                killed.append(run)
                return True
            return False

        hands.dies = dies
        given = batch_of(bench, endpoint, titles(6), shards=2, concurrency=4, prices=PRICES)
        result = by_hands(given, hands)
        asked = [r.key for r in endpoint.requests]

    assert result.status == "complete"
    assert hands.shards() in ([1, 2, 1], [2, 1, 1])
    assert len(killed) == 1
    assert len(set(asked)) == 42
    assert len(asked) - 42 <= 2, "more than the killed shard's calls in flight were repeated"
    assert result.calls.made == 42
    check(bench, result)


def test_a_shard_that_cannot_run_harms_no_other(bench: Bench, endpoint: Endpoint) -> None:
    """After three tries its topics fail, with the name of its run; the others are published."""
    hands = Hands()
    hands.refuses = lambda run: run.parameters["shard"] == 2
    result = by_hands(batch_of(bench, endpoint, titles(5), shards=2), hands)

    assert result.status == "partial"
    assert sorted(hands.shards()) == [1, 2, 2, 2]
    assert [r.status for r in result.reports] == [
        "published", "failed", "published", "failed", "published",
    ]  # fmt: skip
    error = result.reports[1].error
    assert error is not None
    assert error.kind == "shard_failed"
    assert "shard 2 (flow run shard 2 of " in error.message
    assert "crashed: no such image" in error.message
    assert len(endpoint.requests) == 21
    check(bench, result)


def test_what_a_dead_shard_had_published_counts(bench: Bench) -> None:
    """Reports whose manifest is there are published, also when their shard is given up."""
    hands = Hands()
    with Endpoint(latency=0.05) as endpoint:
        hands.dies = lambda run: (
            run.parameters["shard"] == 1 and len([*bench.output.glob("*/*/manifest.json")]) >= 2
        )
        given = batch_of(bench, endpoint, titles(8), shards=2, concurrency=2)
        result = by_hands(given, hands)

    published = {r.slug for r in result.reports if r.status == "published"}
    assert published == {p.parent.name for p in bench.output.glob("*/*/manifest.json")}
    assert result.status in ("partial", "complete")
    assert {r.slug for r in result.reports[1::2]} <= published
    check(bench, result)


def test_a_rejected_key_stops_all_shards(bench: Bench, endpoint: Endpoint) -> None:
    """What is fatal for one shard ends the batch: no new try, the rest is not started."""
    hands = Hands()
    endpoint.fail(faults.unauthorized(), times=None)
    result = by_hands(batch_of(bench, endpoint, titles(40), shards=4, concurrency=4), hands)

    assert result.status == "stopped"
    assert result.error is not None
    assert result.error.kind == "key_rejected"
    assert {r.status for r in result.reports} <= {"failed", "not_started"}
    assert len(endpoint.requests) <= 4
    assert len(hands.taken) <= 4
    check(bench, result)


def test_all_shards_together_keep_to_the_budget(bench: Bench) -> None:
    """Less than the cost, split three ways: not a cent more is billed than the batch allows."""
    options: dict[str, Any] = {"prices": PRICES, "max_output_tokens": 1000, "length_words": 300}
    topics = titles(12)
    with Endpoint() as endpoint:
        whole = bench.run(endpoint, topics, options={**options, "store": str(bench.store / "w")})
    assert whole.cost_usd is not None
    budget = whole.cost_usd * 2 / 3
    with Endpoint() as endpoint:
        given = batch_of(bench, endpoint, topics, shards=3, budget_usd=str(budget), **options)
        result = on(ThreadPoolTaskRunner(max_workers=3), given)
        billed = endpoint.billed_usd(2, 10)

    assert result.status == "stopped"
    assert result.cost_usd == billed
    assert Decimal(0) < billed <= budget
    kinds = {r.error.kind for r in result.reports if r.error}
    assert kinds == {"budget_exhausted"}
    assert billed > budget * 3 / 4, "what one shard did not need was of use to no other"
    check(bench, result)


def test_a_batch_needs_the_deployment_that_runs_its_shards(
    bench: Bench, endpoint: Endpoint
) -> None:
    """A deployment that is not there is bad input, before any call."""
    with pytest.raises(BadInput, match="report-shard/nowhere: there is no such deployment"):
        bench.run(
            endpoint, titles(2), options={"shards": 2, "shard_deployment": "report-shard/nowhere"}
        )
    assert endpoint.requests == []
    assert not bench.output.exists() or [*bench.output.iterdir()] == []


def test_an_order_that_is_not_there_is_bad_input(bench: Bench) -> None:
    """A shard started by hand, or with an output that is not shared, says so and calls nothing."""
    flow: Any = report_shard
    with pytest.raises(BadInput, match="no order in"):
        asyncio.run(flow(output=str(bench.output), run_id="20260314T060000Z-5c1e77d0", shard=1))


def test_a_worker_with_another_endpoint_refuses(bench: Bench, endpoint: Endpoint) -> None:
    """A worker whose own endpoint differs from the batch's does not send topics there."""
    hands = Hands()
    given = batch_of(bench, endpoint, titles(2), shards=2)

    def elsewhere(run: FlowRun) -> bool:
        os.environ["OPENAI_BASE_URL"] = "http://127.0.0.1:9/v1"
        return False

    hands.refuses = elsewhere
    result = by_hands(given, hands)
    assert {r.status for r in result.reports} == {"failed"}
    error = result.reports[0].error
    assert error is not None
    assert "is not the batch's" in error.message
    assert endpoint.requests == []


def test_a_signal_ends_all_shards(bench: Bench) -> None:
    """SIGTERM: no new call, what is in flight is kept, and no shard is left behind."""
    progress = Progress()
    with Endpoint() as endpoint:
        endpoint.fail(faults.held(), times=None)
        given = batch_of(bench, endpoint, titles(8), shards=2, concurrency=2)

        async def run() -> BatchResult:
            progress_of_caller.set(progress)
            flow: Any = report_batch.with_options(task_runner=ThreadPoolTaskRunner(max_workers=2))
            running = asyncio.ensure_future(flow(**given))
            await asyncio.to_thread(endpoint.wait_until, lambda: len(endpoint.requests) == 2)
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.to_thread(until_heeded, bench)
            endpoint.release()
            return await running

        result = asyncio.run(run())
        asked = len(endpoint.requests)

    assert result.status == "stopped"
    assert result.error is not None
    assert result.error.kind == "interrupted"
    assert asked == 2
    assert {r.status for r in result.reports} == {"not_started"}
    assert result.calls.made == 2
    check(bench, result)


def until_heeded(bench: Bench, shards: int = 2) -> None:
    """Wait until the shards at work have written down that they were stopped."""

    def stopped() -> list[bool]:
        [run] = bench.output.glob("2*")
        return [r.stopped is not None for r in Desk(LocalPlace(bench.output), run.name).records()]

    wait_until(lambda: stopped() == [True] * shards)


def test_a_retried_batch_takes_over_the_shards_that_are_at_work(bench: Bench) -> None:
    """A batch whose process died goes on with the same runs when it is retried."""
    hands = Hands()
    with Endpoint() as endpoint:
        endpoint.fail(faults.held(), times=2)
        given = batch_of(bench, endpoint, titles(4), shards=2, concurrency=2)
        given["options"] |= {"shard_deployment": DEPLOYMENT}
        flow: Any = report_batch

        async def run() -> Any:
            async with hands, get_client() as client:
                made = await client.create_flow_run(flow, parameters=given, state=Pending())
                first = asyncio.ensure_future(
                    run_flow(flow, flow_run=made, parameters=given, return_type="state")
                )
                await asyncio.to_thread(endpoint.wait_until, lambda: len(endpoint.requests) == 2)
                with pytest.MonkeyPatch.context() as dead:  # a killed process withdraws nothing
                    dead.setattr(Desk, "withdraw", lambda *_: None)
                    first.cancel()
                    await asyncio.gather(first, return_exceptions=True)
                await client.set_flow_run_state(made.id, Crashed(), force=True)
                await client.set_flow_run_state(made.id, AwaitingRetry(), force=True)
                again = await client.read_flow_run(made.id)
                [order] = bench.output.glob("*/.shards/0002.order.json")
                before = order.stat().st_ino
                second = asyncio.ensure_future(
                    run_flow(flow, flow_run=again, parameters=given, return_type="state")
                )
                await asyncio.to_thread(wait_until, lambda: order.stat().st_ino != before)
                endpoint.release()
                return await (await second).result()

        result: BatchResult = asyncio.run(run())

    assert result.status == "complete"
    assert len(hands.taken) == 2
    assert len(endpoint.requests) == 28
    assert [r.status for r in result.reports] == ["published"] * 4
    check(bench, result)


def test_approval_and_shards_do_not_go_together(bench: Bench, endpoint: Endpoint) -> None:
    """What cannot be done is refused before any call."""
    given = batch_of(bench, endpoint, titles(4), shards=2, approval=True)
    with pytest.raises(BadInput, match="cannot wait for a decision"):
        on(ThreadPoolTaskRunner(max_workers=2), given)
    assert endpoint.requests == []


def test_a_signal_cancels_the_runs_of_shards(bench: Bench) -> None:
    """SIGTERM: a shard at work ends by itself, one that waits for a worker never begins."""
    hands = Hands(slots=1)
    with Endpoint() as endpoint:
        endpoint.fail(faults.held(), times=None)
        given = batch_of(bench, endpoint, titles(6), shards=2, concurrency=2)
        given["options"] |= {"shard_deployment": DEPLOYMENT}

        async def run() -> BatchResult:
            progress_of_caller.set(Progress())
            async with hands:
                flow: Any = report_batch
                running = asyncio.ensure_future(flow(**given))
                await asyncio.to_thread(endpoint.wait_until, lambda: len(endpoint.requests) == 1)
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.to_thread(until_heeded, bench, 1)
                endpoint.release()
                return await running

        result = asyncio.run(run())
        asked = len(endpoint.requests)

    assert result.status == "stopped"
    assert {r.status for r in result.reports} == {"not_started"}
    assert (asked, result.calls.made) == (1, 1)
    states = {r.parameters["shard"]: r.state_name for r in children(last_run_of_batches())}
    assert states[2 if hands.shards() == [1] else 1] == "Cancelled"
    assert len(hands.taken) == 1
    check(bench, result)


def check_made_by_two(bench: Bench, runner: Any) -> None:
    """Two processes make the same files with the same calls as one, and share the work."""
    with Endpoint(latency=0.05) as endpoint:
        one = bench.run(endpoint, titles(4))
        bench.store = bench.store.with_name("other")
        two = on(runner, batch_of(bench, endpoint, titles(4)))
        keys = [r.key for r in endpoint.requests]

    assert two.status == "complete"
    assert len(keys) == 2 * len(set(keys)) == 56
    assert texts(two) == texts(one)
    assert shared_by(two) == 2
    check(bench, two)


def test_two_processes_make_what_one_makes(bench: Bench) -> None:
    """The same files and calls from Prefect's process pool, with the work shared by both."""
    check_made_by_two(bench, ProcessPoolTaskRunner(max_workers=2))


def test_a_dask_cluster_makes_what_one_process_makes(bench: Bench) -> None:
    """The same files and calls from a Dask cluster of two processes, the work shared by both."""
    from prefect_dask import DaskTaskRunner

    cluster = {
        "n_workers": 2,
        "threads_per_worker": 1,
        "host": "127.0.0.1",
        "dashboard_address": None,
    }
    check_made_by_two(bench, DaskTaskRunner(cluster_kwargs=cluster))


def test_what_nobody_foresaw_is_tried_again(
    bench: Bench, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An API that is overloaded when a shard begins costs a try, not the shard's topics."""
    began: list[int] = []
    really = shard_runs.read_order

    def read(output: str, run_id: str, number: int) -> Any:
        began.append(number)
        if began.count(number) == 1:
            raise RuntimeError("503 Service Unavailable")
        return really(output, run_id, number)

    monkeypatch.setattr(shards, "read_order", read)
    given = batch_of(bench, endpoint, titles(4))
    result = on(ThreadPoolTaskRunner(max_workers=2), given)

    assert result.status == "complete"
    assert sorted(began) == [1, 1, 2, 2]
    assert len(endpoint.requests) == 28


def shared_by(result: BatchResult) -> int:
    """How many flow runs published the reports of a batch, by their manifests."""
    from prefect_llm_reports.tasks.contract.reports import Manifest

    found = [Path(r.directory or "", "manifest.json").read_bytes() for r in result.reports]
    return len({Manifest.model_validate_json(body).flow_run_id for body in found})
