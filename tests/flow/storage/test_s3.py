"""Output, answers and leases in S3, against a real S3 server process."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, cast

import boto3
import pytest
from prefect.task_runners import ThreadPoolTaskRunner

from prefect_llm_reports.flows import report_batch
from prefect_llm_reports.tasks.answers.leases import S3Leases
from prefect_llm_reports.tasks.contract.errors import BadInput, StorageError
from prefect_llm_reports.tasks.inputs import files
from prefect_llm_reports.tasks.results.verifying import Verifier
from prefect_llm_reports.tasks.storage.places import open_place
from prefect_llm_reports.tasks.storage.s3 import S3Place, open_s3
from tests.flow.conftest import Bench
from tests.harness.endpoint import Endpoint
from tests.harness.processes import free_port, wait_until

BUCKET = "reports-bucket"


@pytest.fixture(scope="module")
def s3_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an S3 server that enforces conditional writes."""
    port = free_port()
    said = tmp_path_factory.mktemp("s3") / "log"
    with said.open("w") as log:  # not a pipe: it would fill with requests, and stop the server
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
    try:
        wait_until(lambda: "Running on" in said.read_text() or server.poll() is not None)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.communicate()


@pytest.fixture
def s3(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of the server, and an environment from which boto finds it too."""
    for name, value in {
        "AWS_ENDPOINT_URL": s3_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    yield client
    listed = client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    for found in listed:
        client.delete_object(Bucket=BUCKET, Key=found["Key"])


def test_reports_and_answers_live_in_s3(bench: Bench, endpoint: Endpoint, s3: Any) -> None:
    """A batch with output and store in S3 publishes there, and runs again without a call."""
    where = {"output": f"s3://{BUCKET}/out", "options": {"store": f"s3://{BUCKET}/answers"}}
    first = bench.run(endpoint, ["Tidal power", "C++"], **where)
    second = bench.run(endpoint, ["Tidal power", "C++"], **where)

    assert (first.status, second.status) == ("complete", "complete")
    assert len(endpoint.requests) == 14
    assert (second.calls.made, second.calls.cached) == (0, 14)
    keys = {o["Key"]: o for o in s3.list_objects_v2(Bucket=BUCKET)["Contents"]}
    folder = (first.reports[0].directory or "").removeprefix(f"s3://{BUCKET}/")
    assert f"{folder}/manifest.json" in keys
    page = s3.get_object(Bucket=BUCKET, Key=f"{folder}/report.html")
    assert page["ContentType"] == "text/html; charset=utf-8"
    index = s3.get_object(Bucket=BUCKET, Key="out/index.html")["Body"].read().decode()
    assert first.run_id in index
    assert second.run_id in index
    assert not [key for key in keys if ".leases/" in key]


def test_a_quote_reads_answers_and_runs_in_s3(bench: Bench, endpoint: Endpoint, s3: Any) -> None:
    """It finds what is stored, learns from it, and writes no object."""
    where: dict[str, Any] = {"output": f"s3://{BUCKET}/out"}
    options: dict[str, Any] = {"store": f"s3://{BUCKET}/answers"}
    bench.run(endpoint, ["Tidal power"], **where, options=options)
    asked = len(endpoint.requests)
    before = {o["Key"]: o["ETag"] for o in s3.list_objects_v2(Bucket=BUCKET)["Contents"]}
    topics = ["Tidal power", {"title": "Tidal power", "guidance": "for CTOs"}, "C++"]
    quote: Any = bench.run(endpoint, topics, **where, options={**options, "quote": True})
    assert (quote.topics.new, quote.topics.changed, quote.topics.cached) == (1, 1, 1)
    assert (quote.calls.made, quote.calls.cached) == (14, 7)
    assert all(step.records for step in quote.steps)
    assert len(endpoint.requests) == asked
    after = {o["Key"]: o["ETag"] for o in s3.list_objects_v2(Bucket=BUCKET)["Contents"]}
    assert after == before


def test_shards_share_store_and_output_in_s3(bench: Bench, endpoint: Endpoint, s3: Any) -> None:
    """Shards meet in S3: reports, answers, orders and records; nothing of it is left behind."""
    split: Any = report_batch.with_options(task_runner=cast("Any", ThreadPoolTaskRunner(2)))
    bench.point_to(endpoint)

    def run() -> Any:
        return asyncio.run(
            split(
                topics=["Tidal power", "C++", "Rust"],
                model="gpt-5-mini",
                output=f"s3://{BUCKET}/out",
                options={"store": f"s3://{BUCKET}/answers"},
            )
        )

    first, second = run(), run()
    assert (first.status, second.status) == ("complete", "complete")
    assert len(endpoint.requests) == 21
    assert (second.calls.made, second.calls.cached) == (0, 21)
    found = Verifier(open_place(f"s3://{BUCKET}/out")).verify()
    assert (found.findings, found.reports) == ([], 6)
    keys = [o["Key"] for o in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert not [key for key in keys if ".shards/" in key or ".leases/" in key]


def test_topics_are_read_from_s3(bench: Bench, endpoint: Endpoint, s3: Any) -> None:
    """A topics file may be an object in a bucket; one that is not there is bad input."""
    s3.put_object(Bucket=BUCKET, Key="in/topics.txt", Body=b"Tidal power\n")
    result = bench.run(endpoint, [], topics_file=f"s3://{BUCKET}/in/topics.txt")
    assert [r.topic for r in result.reports] == ["Tidal power"]
    with pytest.raises(BadInput, match="no such object"):
        bench.run(endpoint, [], topics_file=f"s3://{BUCKET}/in/none.txt")


def test_an_object_is_read_only_if_its_format_may_be_that_large(
    s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large object is refused by its length, a missing one by its name, before any call."""
    monkeypatch.setattr(files, "MEGABYTE", 1)
    for name, size in (("most.txt", 50), ("over.txt", 51)):
        s3.put_object(Bucket=BUCKET, Key=name, Body=b"x" * size)
    assert files.read_file(f"s3://{BUCKET}/most.txt", "topics")[1:] == (b"x" * 50,)
    for name, problem in (
        ("over.txt", f"s3://{BUCKET}/over.txt: the file has 51 bytes, a .txt file may have 50 MB"),
        ("none.txt", f"topics file s3://{BUCKET}/none.txt: no such object; check bucket and key"),
    ):
        with pytest.raises(BadInput) as bad:
            files.read_file(f"s3://{BUCKET}/{name}", "topics")
        assert str(bad.value).startswith(problem)


def test_another_machine_goes_on_with_the_shared_store(
    bench: Bench, s3: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With the store in S3, a run elsewhere uses the answers that a stopped run had paid for."""
    from tests.harness import faults

    store = {"store": f"s3://{BUCKET}/shared"}
    with Endpoint() as endpoint:
        endpoint.fail(faults.quota("credit_balance_exhausted"), step="summary", times=None)
        stopped = bench.run(endpoint, ["Tidal power"], options=store)
        endpoint.release()
        paid = endpoint.count(status=200)
        bench.output = tmp_path_factory.mktemp("elsewhere")
        assert (stopped.status, paid) == ("stopped", 6)
    with Endpoint(port=int(endpoint.base_url.split(":")[2].split("/")[0])) as endpoint:
        done = bench.run(endpoint, ["Tidal power"], options=store)
        assert done.status == "complete"
        assert [r.step for r in endpoint.requests] == ["summary"]


@pytest.mark.parametrize("location", ["s3://no-such-bucket/x", "s3://", "s3-bucket/nobody"])
def test_an_output_that_cannot_be_written_is_bad_input(
    bench: Bench, endpoint: Endpoint, s3: Any, location: str
) -> None:
    """A missing bucket or block is found by the write probe, before any call."""
    with pytest.raises(BadInput, match=r"not writable|no bucket|no S3Bucket block"):
        bench.run(endpoint, ["Tidal power"], output=location)
    assert endpoint.requests == []


def test_a_lease_is_exclusive_expires_and_is_given_back(s3: Any) -> None:
    """One of two machines gets a lease; a dead owner's lease is free after its time."""
    place = open_s3(f"s3://{BUCKET}/leases")

    async def contend() -> None:
        one, two = S3Leases(place, lease_s=60), S3Leases(place, lease_s=60)
        assert await one.try_lock("k")
        assert not await two.try_lock("k")
        one.unlock("k")
        await one.aclose()
        assert await two.try_lock("k")
        await two.aclose()

        dead, heir = S3Leases(place, lease_s=-1), S3Leases(place, lease_s=-1)
        assert await dead.try_lock("j")
        assert dead._renewing is not None
        dead._renewing.cancel()
        assert await heir.try_lock("j")
        await heir.aclose()

    asyncio.run(contend())


def test_publishing_again_keeps_the_first(s3: Any) -> None:
    """A folder whose last file is there is complete and stays as it is."""
    place: S3Place = open_s3(f"s3://{BUCKET}/twice")
    place.publish("run/a", {"x.txt": b"one", "manifest.json": b"{}"}, "manifest.json")
    place.publish("run/a", {"x.txt": b"two", "manifest.json": b"[]"}, "manifest.json")

    assert place.read("run/a/x.txt") == b"one"
    assert place.read("run/a/none") is None
    assert place.names("run") == ["a"]
    assert json.loads(place.read("run/a/manifest.json") or b"") == {}


def test_a_server_that_is_gone_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer from S3 ends in an error that says so, in bounded time."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    place = open_s3(f"s3://{BUCKET}/x")
    place.client.meta.config.retries = {"total_max_attempts": 1}
    with pytest.raises(StorageError, match="check the S3 server"):
        place.read("a")
