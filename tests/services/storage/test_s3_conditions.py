"""S3 servers without conditional writes: an output does without them, a store is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.inputs.requests import writable_place
from prefect_llm_reports.tasks.storage.s3 import S3Place, open_s3
from tests.harness.checker import asked
from tests.harness.fault_proxy import Fault, FaultProxy, Seen
from tests.harness.processes import CALLS_A_TOPIC, CommandLine
from tests.harness.s3_server import S3Server, s3_server

pytestmark = pytest.mark.services

BUCKET = "reports-bucket"
ANSWERS: dict[str, Fault] = {
    "501": (501, "NotImplemented"),
    "400": (400, "InvalidArgument"),
    "405": (405, "MethodNotAllowed"),
    "ignored": None,
    "only if-match ignored": None,
}

OF_A_RUN = pytest.mark.parametrize("proxy", ["501", "ignored"], indirect=True)
"""A run does what the probe has found, whichever the answer was."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One S3 server for all tests of this module."""
    with s3_server(tmp_path_factory.mktemp("s3"), "moto") as running:
        running.client().create_bucket(Bucket=BUCKET)
        yield running


@pytest.fixture(params=ANSWERS)
def proxy(
    request: pytest.FixtureRequest, server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultProxy]:
    """A way to the server that answers conditional writes as other servers do."""

    def conditional(seen: Seen) -> Fault:
        return ANSWERS[request.param] if seen.conditional and seen.method == "PUT" else None

    with FaultProxy(server.url) as proxy:
        proxy.fault = conditional
        if "ignored" in request.param:
            proxy.ignored = (
                {"if-match"} if "only" in request.param else {"if-match", "if-none-match"}
            )
        for name, value in {**server.environment, "AWS_ENDPOINT_URL": proxy.url}.items():
            monkeypatch.setenv(name, value)
        yield proxy


def opened(proxy: FaultProxy, prefix: str) -> S3Place:
    return open_s3(f"s3://{BUCKET}/{prefix}-{proxy.url.rpartition(':')[2]}")


def test_the_probe_tries_what_will_be_used(proxy: FaultProxy) -> None:
    """The probe finds the missing conditions, leaves nothing behind, and a store is refused."""
    place = opened(proxy, "probe")
    place.probe()
    assert not place.conditional
    assert "does not support conditional writes" in place.warnings[0]
    assert place.names(hidden=True) == []
    with pytest.raises(BadInput) as refused:
        writable_place(place.where, private=True)
    (problem,) = refused.value.problems
    assert problem.startswith(
        f"store {place.where}: the S3 server does not support conditional writes"
    )
    assert "keep the store in a folder (LLM_REPORTS_STORE)" in problem


def test_publication_is_whole_and_once(proxy: FaultProxy) -> None:
    """A folder is published, its last file last, and a complete one stays; probed or not."""
    for probed in (True, False):
        place = opened(proxy, f"publish-{probed}")
        if probed:
            place.probe()
        proxy.seen.clear()
        files = {"manifest.json": b"{}", "a.md": b"a", "b.md": b"b"}
        assert place.publish("r", files, "manifest.json")
        assert place.names("r") == ["a.md", "b.md", "manifest.json"]
        written = [seen.path for seen in proxy.seen if seen.method == "PUT"]
        assert written[-1].endswith("manifest.json")
        assert not place.publish("r", {**files, "a.md": b"other"}, "manifest.json")
        assert place.read("r/a.md") == b"a"


@OF_A_RUN
def test_a_batch_publishes_everything_it_paid_for(
    proxy: FaultProxy, server: S3Server, command: CommandLine, log: Path
) -> None:
    """With the store in a folder the batch ends well, and says once what is missing."""
    environment = {**server.environment, "AWS_ENDPOINT_URL": proxy.url}
    output = opened(proxy, "batch").where
    done = command.run("Tidal power", "--output", output, **environment)
    assert done.status == 0, done.err
    assert "does not support conditional writes" in done.err
    assert len(asked(log)) == CALLS_A_TOPIC
    assert any("manifest.json" in name for name in _names(server))


@OF_A_RUN
def test_a_store_there_ends_before_any_call(
    proxy: FaultProxy, server: S3Server, command: CommandLine, log: Path
) -> None:
    """A store that could pay twice is refused: exit 2, one sentence, no call."""
    environment = {**server.environment, "AWS_ENDPOINT_URL": proxy.url}
    store = opened(proxy, "store").where
    done = command.run("Tidal power", LLM_REPORTS_STORE=store, **environment)
    assert done.status == 2, done.err
    assert "error: store s3://" in done.err
    assert asked(log) == []


def _names(server: S3Server) -> list[str]:
    return [o["Key"] for o in server.client().list_objects_v2(Bucket=BUCKET).get("Contents", ())]
