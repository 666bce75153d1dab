"""No paid answer is lost or bought twice: failing disks, doubled runs, changed options."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import time
from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from prefect import Task

from prefect_llm_reports.flows import BatchResult, report_batch
from prefect_llm_reports.tasks.contract.errors import BadInput, StorageError
from tests.flow.conftest import TOPICS, Bench
from tests.harness import faults
from tests.harness.checker import check_files, kept_requests, records, request_id
from tests.harness.endpoint import Endpoint
from tests.harness.failing_disk import ERRORS, FailingDisk

CALLS_A_TOPIC = 7
SMALL = ["Tidal power", "C++"]
CALLS_OF_SMALL = 6
"""Draft, critique and summary of two topics whose first critique is the last."""


def run_small(bench: Bench, endpoint: Endpoint) -> BatchResult:
    """Run a batch of two topics with one round of critique each."""
    return bench.run(endpoint, SMALL, max_iterations=1)


class _Sweep:
    """Small batches on a disk whose Nth operation fails, each with folders of its own."""

    def __init__(self, bench: Bench, disk: FailingDisk, folder: Path) -> None:
        self.bench, self.disk, self.folder = bench, disk, folder
        with Endpoint() as endpoint:
            bench.output, bench.store = folder / "sound" / "reports", folder / "sound" / "store"
            run_small(bench, endpoint)
        self.operations = [*disk.done]

    def fail(self, number: int, error: int) -> str:
        """Fail one operation, check what is left, and run again; says what failed."""
        folder = self.folder / f"{number}-{errno.errorcode[error]}"
        self.bench.output, self.bench.store = folder / "reports", folder / "store"
        with Endpoint() as endpoint:
            self.disk.begin(lambda at, kind, path: at == number, error)
            try:
                result = run_small(self.bench, endpoint)
            except (BadInput, StorageError):
                assert endpoint.requests == [], "an exception is for what fails before any call"
                result = None
            failed = self.disk.done[number - 1] if len(self.disk.done) >= number else "nothing -"
            self.disk.begin(lambda at, kind, path: False)
            check_files(self.bench.output)
            kept = kept_requests(self.bench.store)
            if result and failed.split()[1].startswith(f"{folder.name}/store"):
                assert result.warnings, f"{failed} failed and nothing was said"
            if result and result.status != "complete":
                assert result.error is not None
                assert result.error.kind in ("storage_error", "storage_full"), failed
            before = len(endpoint.requests)
            healthy = run_small(self.bench, endpoint)

            assert healthy.status == "complete", failed
            assert check_files(self.bench.output) >= len(SMALL)
            again = {request_id(r.key) for r in endpoint.requests[before:]}
            assert not again & kept, f"{failed} failed and kept answers were asked for again"
            assert len(endpoint.requests) == CALLS_OF_SMALL, f"{failed} cost a call"
        shutil.rmtree(folder)
        return failed


@pytest.fixture
def sweep(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Sweep:
    """A sweep of this test's own folder."""
    return _Sweep(bench, FailingDisk(tmp_path, monkeypatch), tmp_path)


def test_no_failing_disk_operation_costs_an_answer_or_a_report(sweep: _Sweep) -> None:
    """A storage operation of each sort fails once: nothing kept is lost, nothing torn is shown."""
    sorts: dict[tuple[str, str], int] = {}
    for number, operation in enumerate(sweep.operations, 1):
        kind, path = operation.split()
        if "probe" not in path:
            name = Path(path).suffix if "reports" in path else "store"
            sorts.setdefault((kind, name), number)
    assert {kind for kind, _ in sorts} >= {"open", "write", "fsync", "replace", "rename", "mkdir"}
    for turn, number in enumerate(sorts.values()):
        sweep.fail(number, ERRORS[turn % 2])


@pytest.mark.services
@pytest.mark.timeout(1800)
def test_not_one_of_all_disk_operations_costs_an_answer_or_a_report(sweep: _Sweep) -> None:
    """Each storage operation of a batch fails in turn: nothing is lost.

    One error each, the other one for its neighbours; both for all with FAULT_SWEEP=both.
    """
    both = os.environ.get("FAULT_SWEEP") == "both"
    failed = Counter[str]()
    for number in range(1, len(sweep.operations) + 10):
        for error in ERRORS if both else [ERRORS[number % 2]]:
            failed[sweep.fail(number, error).split()[0]] += 1
    assert failed.keys() >= {"open", "write", "fsync", "replace", "rename", "mkdir", "unlink"}


@pytest.mark.parametrize(
    ("error", "kind"), [(errno.EIO, "storage_error"), (errno.ENOSPC, "storage_full")]
)
def test_a_store_that_keeps_failing_stops_the_batch(
    bench: Bench,
    endpoint: Endpoint,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: int,
    kind: str,
) -> None:
    """Once answers cannot be kept no call is made, it is said and counted, and what is there stays.

    Of what was asked, only the answers that could not be written are asked for again.
    """
    disk = FailingDisk(tmp_path, monkeypatch)
    bench.run(endpoint, ["Edge computing"])
    before = len(endpoint.requests)
    store = bench.store
    disk.begin(lambda at, kind, path: kind == "write" and path.parent.parent == store, error)
    topics = ["Edge computing", *SMALL]
    result = bench.run(endpoint, topics, options={"concurrency": 1})

    assert result.status == "stopped"
    assert result.error is not None
    assert result.error.kind == kind
    assert "run the same command again" in result.error.message
    assert [r.status for r in result.reports] == ["published", "not_started", "not_started"]
    lost = len(endpoint.requests) - before
    assert 1 <= lost <= 2
    assert f"{lost} answer" in result.warnings[-1]
    assert "asked for again" in result.warnings[-1]
    if error == errno.EIO:
        assert any("attempt 3" in warning for warning in result.warnings)
    disk.begin(lambda at, kind, path: False)
    healthy = bench.run(endpoint, topics)
    assert healthy.status == "complete"
    assert len(endpoint.requests) == before + 2 * CALLS_A_TOPIC + lost


def test_an_output_that_fails_costs_no_call(
    bench: Bench, endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When reports cannot be written the batch stops, and the next run publishes without a call."""
    disk = FailingDisk(tmp_path, monkeypatch)
    disk.begin(lambda at, kind, path: kind == "write" and path.name == "report.md", errno.ENOSPC)
    result = run_small(bench, endpoint)
    calls = len(endpoint.requests)

    assert (result.status, result.error and result.error.kind) == ("stopped", "storage_full")
    assert check_files(bench.output) == 0
    disk.begin(lambda at, kind, path: False)
    assert run_small(bench, endpoint).status == "complete"
    assert len(endpoint.requests) == max(calls, CALLS_OF_SMALL)


def test_two_equal_runs_in_one_process_make_the_calls_of_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two batches on one event loop share each answer, and both publish everything."""

    async def both() -> list[BatchResult]:
        runs = [
            report_batch(
                topics=list(TOPICS),
                model="gpt-5-mini",
                output=str(bench.output / name),
                options={"store": str(bench.store)},
            )
            for name in ("one", "two")
        ]
        return await asyncio.gather(*runs)

    with Endpoint(latency=0.1) as endpoint:  # long enough that both want each answer at once
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.base_url)
        results = asyncio.run(both())
    assert [r.status for r in results] == ["complete", "complete"]
    assert len(endpoint.requests) == CALLS_A_TOPIC * len(TOPICS)
    assert sum(r.calls.made for r in results) == CALLS_A_TOPIC * len(TOPICS)
    assert sum(r.calls.cached for r in results) == CALLS_A_TOPIC * len(TOPICS)


def test_a_damaged_record_is_asked_for_again_once_and_named(
    bench: Bench, endpoint: Endpoint
) -> None:
    """One bit flipped in a kept answer costs one call; the result's warnings name the file."""
    bench.run(endpoint, ["Tidal power"])
    [damaged, *_] = sorted(records(bench.store))
    damaged.write_bytes(damaged.read_bytes().replace(b"a", b"b", 1))
    second = bench.run(endpoint, ["Tidal power"])
    third = bench.run(endpoint, ["Tidal power"])

    assert (second.calls.made, second.calls.cached) == (1, CALLS_A_TOPIC - 1)
    assert any(str(damaged) in warning for warning in second.warnings)
    assert (third.calls.made, third.warnings) == (0, [])


@pytest.mark.parametrize(
    "reply", [faults.refusal(), faults.filtered(), faults.cut_off(), faults.null_content()]
)
def test_an_answer_that_cannot_be_used_is_never_kept(
    bench: Bench, endpoint: Endpoint, reply: faults.Reply
) -> None:
    """What was refused, filtered, cut off or empty is not in the store, and is asked for anew."""
    endpoint.fail(reply, step="draft", times=None)
    result = bench.run(endpoint, ["Tidal power"])

    assert result.reports[0].status in ("failed", "not_started")
    assert list(records(bench.store)) == []


def _made(bench: Bench, endpoint: Endpoint, **changed: Any) -> Counter[str]:
    """The calls by step that a run of one topic makes."""
    before = len(endpoint.requests)
    result = bench.run(endpoint, ["Tidal power"], **changed)
    assert result.status == "complete"
    return Counter(r.step for r in endpoint.requests[before:])


def test_options_that_do_not_reach_the_model_never_buy_again(
    bench: Bench, endpoint: Endpoint, tmp_path: Path
) -> None:
    """Rounds, threshold, concurrency, budget, limits, deadline and output keep the answers."""
    assert _made(bench, endpoint).total() == CALLS_A_TOPIC
    prices = {"gpt-5-mini": {"input": "1", "output": "10"}}
    assert _made(bench, endpoint, output=str(tmp_path / "elsewhere")) == {}
    assert _made(bench, endpoint, quality_threshold=7.5) == {}
    assert _made(bench, endpoint, max_iterations=5) == {}
    assert (
        _made(
            bench,
            endpoint,
            options={
                "concurrency": 1,
                "budget_usd": "5",
                "prices": prices,
                "deadline_s": 33,
                "plateau": 3,
                "requests_per_minute": 6000,
                "store_days": 30,
                "store_mb": 100,
            },
        )
        == {}
    )
    # An earlier end needs another summary and nothing else; a later one goes on from there.
    assert _made(bench, endpoint, max_iterations=1) == {"summary": 1}
    assert _made(bench, endpoint, quality_threshold=6.5) == {"summary": 1}


@pytest.mark.parametrize(
    "changed",
    [
        {"audience": "engineers"},
        {"language": "German"},
        {"length_words": 900},
        {"house_style": "Short sentences."},
        {"max_output_tokens": 9000},
        {"temperature": 0.5},
        {"writer_model": "fake-large"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_options_that_reach_the_model_are_asked_anew(
    bench: Bench, endpoint: Endpoint, changed: dict[str, Any]
) -> None:
    """Whatever changes a prompt or the sampling changes the key, from the first draft on."""
    _made(bench, endpoint)
    assert _made(bench, endpoint, options=changed)["draft"] == 1
    assert _made(bench, endpoint) == {}


@pytest.mark.parametrize(
    ("template", "made"),
    [
        ("writer", {"draft": 1, "critique": 3, "revise": 2, "summary": 1}),
        ("critic", {"critique": 3}),
        ("reviser", {"revise": 2, "critique": 2, "summary": 1}),
        ("summarizer", {"summary": 1}),
    ],
)
def test_an_edited_template_misses_its_step_and_what_follows_from_it(
    bench: Bench, endpoint: Endpoint, tmp_path: Path, template: str, made: dict[str, int]
) -> None:
    """A changed prompt file is asked with; steps whose prompts stay the same keep their answers."""
    _made(bench, endpoint)
    packaged = (
        files("prefect_llm_reports.tasks.templates")
        .joinpath("prompts", f"{template}.j2")
        .read_text()
    )
    prompts = tmp_path / "house" / "prompts"
    prompts.mkdir(parents=True)
    (prompts / f"{template}.j2").write_text(packaged)
    same = _made(bench, endpoint, options={"templates": str(tmp_path / "house")})
    marked = packaged.replace("{% block system %}", "{% block system %}Be exact. ", 1)
    assert marked != packaged
    (prompts / f"{template}.j2").write_text(marked)

    assert same == {}
    assert _made(bench, endpoint, options={"templates": str(tmp_path / "house")}) == made
    assert _made(bench, endpoint, options={"templates": str(tmp_path / "house")}) == {}


def test_refresh_asks_for_everything_once(bench: Bench, endpoint: Endpoint) -> None:
    """With `refresh` all is asked anew, equal questions once, and the new answers are kept."""
    _made(bench, endpoint)
    assert _made(bench, endpoint, options={"refresh": True}).total() == CALLS_A_TOPIC
    assert _made(bench, endpoint) == {}


def test_expired_answers_are_asked_for_again(
    bench: Bench, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `store_days` answers older than that are asked for again, and only then."""
    _made(bench, endpoint)
    now = time.time
    monkeypatch.setattr(
        "prefect_llm_reports.tasks.answers.selection.time.time", lambda: now() + 2 * 86_400
    )
    assert _made(bench, endpoint, options={"store_days": 3}) == {}
    assert _made(bench, endpoint, options={"store_days": 1}).total() == CALLS_A_TOPIC
    assert _made(bench, endpoint, options={"store_days": 1}) == {}


def test_the_size_cap_spares_the_running_batch(bench: Bench, endpoint: Endpoint) -> None:
    """With `store_mb` older batches leave the store; what the batch itself used stays."""
    _made(bench, endpoint)
    old = set(records(bench.store))
    for path in old:
        path.write_bytes(path.read_bytes() + b" " * 400_000)
        os.utime(path, (1e9, 1e9))
    bench.run(endpoint, ["C++"], options={"store_mb": 1})
    new = set(records(bench.store)) - old

    assert len(new) == CALLS_A_TOPIC
    assert len(set(records(bench.store)) & old) == 2
    bench.run(endpoint, ["Tidal power"], options={"store_mb": 100})
    assert bench.run(endpoint, ["C++", "Tidal power"]).calls.made == 0


def test_a_kept_topic_takes_one_task_run(
    bench: Bench, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A topic whose every answer is kept is read by one task run, and published by the flow."""
    bench.run(endpoint)
    begun: list[str] = []
    create = Task.create_local_run

    async def recorded(task: Task[Any, Any], *args: Any, **kwargs: Any) -> Any:
        begun.append(task.name)
        return await create(task, *args, **kwargs)

    monkeypatch.setattr(Task, "create_local_run", recorded)
    result = bench.run(endpoint)
    assert result.status == "complete"
    assert begun == ["refine_report"] * len(TOPICS)


def test_a_character_that_is_none_costs_no_answer(bench: Bench, endpoint: Endpoint) -> None:
    """An answer with a lone surrogate is kept or refused like any other, never lost each time."""
    endpoint.fail(faults.answer("# Tides\n\nHalf a character: \ud83d."), step="draft", times=1)
    first = bench.run(endpoint, ["Tidal power"])
    calls = len(endpoint.requests)
    second = bench.run(endpoint, ["Tidal power"])

    assert (first.status, second.status) == ("complete", "complete")
    assert len(endpoint.requests) == calls
    assert json.loads((Path(second.run_directory) / "batch.json").read_text())


def test_a_cancelled_run_keeps_its_answers_and_leaves_no_lock(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is cancelled in mid-call hinders no other run of the same process."""
    request: dict[str, Any] = {
        "topics": TOPICS,
        "model": "gpt-5-mini",
        "output": str(bench.output),
        "options": {"store": str(bench.store), "concurrency": 3},
    }

    async def cancelled_then_whole(endpoint: Endpoint) -> tuple[BatchResult, int]:
        run = asyncio.ensure_future(report_batch(**request))
        await asyncio.to_thread(
            endpoint.wait_until, lambda: sum(r.answered is not None for r in endpoint.requests) >= 7
        )
        run.cancel()
        await asyncio.wait([run])
        asked = len(endpoint.requests)
        return await asyncio.wait_for(report_batch(**request), 120), asked

    with Endpoint(latency=0.1) as endpoint:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.base_url)
        result, asked = asyncio.run(cancelled_then_whole(endpoint))
        repeats = len(endpoint.requests) - CALLS_A_TOPIC * len(TOPICS)

    assert result.status == "complete"
    assert asked < CALLS_A_TOPIC * len(TOPICS)
    assert repeats <= 3, "only calls in flight may be repeated"
