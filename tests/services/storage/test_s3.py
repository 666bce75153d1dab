"""Publishing into S3: a real server process, real faults on the wire, real kills."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prefect_llm_reports.tasks.results.verifying import Verification, Verifier
from prefect_llm_reports.tasks.storage.s3 import S3Place
from tests.harness import ROOT
from tests.harness.checker import asked
from tests.harness.fault_proxy import Fault, FaultProxy, Seen
from tests.harness.processes import (
    CALLS_A_TOPIC,
    CommandLine,
    Ended,
    endpoint_process,
    kill_group,
    wait_until,
)
from tests.harness.s3_server import KEY, SECRET, S3Server, s3_server

pytestmark = pytest.mark.services

BUCKET = "reports-bucket"
TYPES = {
    "report.md": "text/markdown; charset=utf-8",
    "report.html": "text/html; charset=utf-8",
    "summary.txt": "text/plain; charset=utf-8",
    "history.json": "application/json",
    "manifest.json": "application/json",
    "report.pdf": "application/pdf",
    "report.docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One S3 server for all tests of this module."""
    with s3_server(tmp_path_factory.mktemp("s3")) as running:
        running.client().create_bucket(Bucket=BUCKET)
        yield running


class Publisher:
    """The command line, an endpoint with a log, and a faulty way to an S3 server."""

    def __init__(
        self, command: CommandLine, log: Path, proxy: FaultProxy, server: S3Server, output: str
    ) -> None:
        self.command, self.log, self.proxy, self.server = command, log, proxy, server
        self.prefix = output
        self.environment = {**server.environment, "AWS_ENDPOINT_URL": proxy.url}

    @property
    def arguments(self) -> tuple[str, ...]:
        """A batch of two topics."""
        return ("Tidal power", "Heat pumps", "--output", f"s3://{BUCKET}/{self.prefix}")

    def run(self, *arguments: str, **changed: str) -> Ended:
        """Run the batch to its end."""
        return self.command.run(*(arguments or self.arguments), **{**self.environment, **changed})

    def objects(self) -> dict[str, Any]:
        """Every object of this test, by name."""
        listed = self.server.client().list_objects_v2(Bucket=BUCKET, Prefix=f"{self.prefix}/")
        return {found["Key"]: found for found in listed.get("Contents", ())}

    def verification(self) -> Verification:
        """What `llm-reports verify` finds."""
        return Verifier(S3Place(self.server.client(), BUCKET, self.prefix)).verify()


@pytest.fixture
def publisher(
    tmp_path: Path, api_url: str, server: S3Server, request: pytest.FixtureRequest
) -> Iterator[Publisher]:
    """A store, an endpoint and a prefix of this test."""
    log = tmp_path / "endpoint.log"
    with endpoint_process(log) as base_url, FaultProxy(server.url) as proxy:
        command = CommandLine(tmp_path, api_url, base_url)
        yield Publisher(command, log, proxy, server, f"t-{abs(hash(request.node.name))}")


def test_reports_are_published_with_their_types_and_published_again(publisher: Publisher) -> None:
    """Every file has its content type, the manifest comes last, and another run leaves it all."""
    first = publisher.run(*publisher.arguments, "--format", "pdf", "--format", "docx")
    before = publisher.objects()
    second = publisher.run()

    assert (first.status, second.status) == (0, 0), first.err + second.err
    assert len(asked(publisher.log)) == 2 * CALLS_A_TOPIC
    run_id = first.result["run_id"]
    slug = first.result["reports"][0]["slug"]
    client = publisher.server.client()
    for name, kind in TYPES.items():
        key = f"{publisher.prefix}/{run_id}/{slug}/{name}"
        assert client.head_object(Bucket=BUCKET, Key=key)["ContentType"] == kind
    puts = [seen.path for seen in publisher.proxy.seen if seen.method == "PUT"]
    written = [path.rpartition("/")[2] for path in puts if f"{run_id}/{slug}/" in path]
    assert written[-1] == "manifest.json"
    after = publisher.objects()
    for key in before:
        if run_id in key:
            assert after[key]["ETag"] == before[key]["ETag"]
            assert after[key]["LastModified"] == before[key]["LastModified"]
    found = publisher.verification()
    assert (found.status, found.runs, found.reports) == ("good", 2, 4), found.findings


def test_one_altered_and_one_missing_object_are_found(publisher: Publisher) -> None:
    """`verify` on a bucket names the object that was altered and the one that is gone."""
    done = publisher.run()
    [page, summary] = [
        f"{publisher.prefix}/{done.result['run_id']}/{done.result['reports'][0]['slug']}/{name}"
        for name in ("report.html", "summary.txt")
    ]
    client = publisher.server.client()
    body = client.get_object(Bucket=BUCKET, Key=page)["Body"].read()
    client.put_object(Bucket=BUCKET, Key=page, Body=body[:-9] + b"X" + body[-8:])
    client.delete_object(Bucket=BUCKET, Key=summary)
    with publisher.command.started(
        *("verify", f"s3://{BUCKET}/{publisher.prefix}"), **publisher.environment
    ) as process:
        out, _ = process.communicate(timeout=120)

    assert process.returncode == 1
    lines = out.splitlines()[:-1]
    assert sorted(line.split()[0] for line in lines) == ["altered", "missing"]
    assert {line.split()[1] for line in lines} == {
        f"s3://{BUCKET}/{page}:",
        f"s3://{BUCKET}/{summary}:",
    }


def test_a_bucket_that_is_missing_or_closed_is_found_before_any_call(publisher: Publisher) -> None:
    """No bucket, or no right to write into it: exit 2 with the reason, and nothing is asked."""
    missing = publisher.run("Tidal power", "--output", "s3://no-such-bucket/x")
    publisher.proxy.fault = lambda seen: (403, "AccessDenied") if seen.method == "PUT" else None
    closed = publisher.run()

    assert (missing.status, closed.status) == (2, 2), missing.err + closed.err
    assert "NoSuchBucket" in missing.err
    assert "AccessDenied" in closed.err
    if publisher.server.kind == "radosgw":  # moto accepts any key
        publisher.proxy.fault = lambda seen: None
        wrong = publisher.run(AWS_SECRET_ACCESS_KEY="not-the-secret")
        assert wrong.status == 2
        assert "SignatureDoesNotMatch" in wrong.err
    assert asked(publisher.log) == []
    assert publisher.objects() == {}


def test_a_slow_down_is_waited_out(publisher: Publisher) -> None:
    """A server that says SlowDown to the second PUT is asked again, and no answer is."""

    def second_put(seen: Seen) -> Fault:
        return (503, "SlowDown") if (seen.method, seen.number) == ("PUT", 2) else None

    publisher.proxy.fault = second_put
    done = publisher.run()

    assert done.status == 0, done.err
    assert len(asked(publisher.log)) == 2 * CALLS_A_TOPIC
    assert publisher.verification().status == "good"


def test_a_lasting_slow_down_stops_the_batch_and_costs_nothing(publisher: Publisher) -> None:
    """When nothing can be written any more the batch stops; the next run publishes with no call."""

    def no_more_reports(seen: Seen) -> Fault:
        return (503, "SlowDown") if seen.method == "PUT" and "/report." in seen.path else None

    publisher.proxy.fault = no_more_reports
    stopped = publisher.run()
    calls = len(asked(publisher.log))
    manifests = [key for key in publisher.objects() if key.endswith("manifest.json")]
    publisher.proxy.fault = lambda seen: None
    done = publisher.run()

    assert stopped.status == 4, stopped.err
    assert "SlowDown" in stopped.err
    assert manifests == []
    assert done.status == 0, done.err
    assert len(asked(publisher.log)) == max(calls, 2 * CALLS_A_TOPIC) == 2 * CALLS_A_TOPIC


def test_a_publisher_killed_in_mid_upload_leaves_nothing_that_looks_complete(
    publisher: Publisher,
) -> None:
    """SIGKILL while files are uploaded: no manifest is there, and a new run asks nothing."""
    assert publisher.run(*publisher.arguments[:-1], f"s3://{BUCKET}/elsewhere").status == 0
    paid = len(asked(publisher.log))
    held = threading.Event()

    def hold(seen: Seen) -> Fault:
        return held if seen.method == "PUT" and seen.path.endswith("history.json") else None

    publisher.proxy.fault = hold
    arguments = ("run", *publisher.arguments)
    with publisher.command.started(*arguments, **publisher.environment) as process:
        wait_until(lambda: any(s.path.endswith("report.html") for s in publisher.proxy.seen))
        wait_until(lambda: any(key.endswith("report.html") for key in publisher.objects()))
        kill_group(process)
    publisher.proxy.fault = lambda seen: None
    held.set()
    killed = publisher.objects()
    done = publisher.run()

    assert [key for key in killed if key.endswith(("manifest.json", "batch.json"))] == []
    assert done.status == 0, done.err
    assert len(asked(publisher.log)) == paid == 2 * CALLS_A_TOPIC
    found = publisher.verification()
    assert {one.kind for one in found.findings} == {"unfinished"}
    assert not any(done.result["run_id"] in one.path for one in found.findings)


def test_a_saved_bucket_with_its_own_endpoint_takes_reports(
    publisher: Publisher, api_url: str
) -> None:
    """`s3-bucket/NAME` holds address and credentials: the environment needs none."""
    saved = subprocess.run(
        [sys.executable, str(ROOT / "deployments/save_blocks.py")],
        env={
            **os.environ,
            **publisher.server.environment,
            "PREFECT_API_URL": api_url,
            "PREFECT_HOME": str(publisher.command.folder / "prefect"),
            "REPORTS_BUCKET": BUCKET,
            "REPORTS_BUCKET_FOLDER": publisher.prefix,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    done = publisher.command.run("Tidal power", "--output", "s3-bucket/reports")
    with publisher.command.started("verify", "s3-bucket/reports", "--json") as process:
        out, err = process.communicate(timeout=120)

    assert "s3-bucket/reports" in saved.stdout
    assert done.status == 0, done.err
    assert process.returncode == 0, err
    assert Verification.model_validate_json(out).reports == 1
    assert any(key.endswith("batch.json") for key in publisher.objects())
    for secret in (KEY, SECRET):
        assert secret not in done.out + done.err
