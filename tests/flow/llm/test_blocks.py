"""Saved endpoints and buckets: made from the environment, picked by name, keys kept encrypted."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from typing import cast

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.sorting import FlowRunSort
from prefect.settings import get_current_settings
from prefect.types import SecretDict
from prefect_aws import AwsCredentials, S3Bucket
from pydantic import SecretStr, ValidationError

from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.records import Price
from prefect_llm_reports.tasks.llm.blocks import LLMEndpoint
from tests.flow.conftest import Bench
from tests.harness import ROOT, faults
from tests.harness.endpoint import Endpoint


def save(**environment: str) -> subprocess.CompletedProcess[str]:
    """Run deployments/save_blocks.py with this environment."""
    return subprocess.run(
        [sys.executable, str(ROOT / "deployments" / "save_blocks.py")],
        env={
            **os.environ,
            "PREFECT_API_URL": str(get_current_settings().api.url),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_an_endpoint_is_saved_from_the_environment_and_used_by_name(
    bench: Bench, endpoint: Endpoint
) -> None:
    """save_blocks.py saves key, address and default model; a run that names it needs no more."""
    done = save(
        OPENAI_API_KEY="sk-from-environment",
        OPENAI_BASE_URL=endpoint.base_url,
        LLM_ENDPOINT_NAME="saved",
        LLM_ENDPOINT_MODEL="house-model",
        LLM_REPORTS_PRICES='{"house-model": {"input": 1, "output": 2}}',
    )
    assert done.stdout == "saved llm-endpoint/saved\n", done.stderr

    result = bench.run(None, ["Tidal power"], endpoint="saved", model=None)

    assert result.status == "complete"
    assert {r.body["model"] for r in endpoint.requests if r.body} == {"house-model"}
    assert {r.headers["authorization"] for r in endpoint.requests} == {"Bearer sk-from-environment"}
    assert result.cost_usd


def test_what_the_environment_does_not_name_stays_as_it_was_saved() -> None:
    """A new key keeps the limits and prices that people have set; a new address keeps nothing."""
    address = "https://gateway.example/v1"
    LLMEndpoint(
        base_url=address,
        api_key=SecretStr("sk-old"),
        model="house-model",
        requests_per_minute=60,
        extra_headers=SecretDict({"X-Team": "reports"}),
        prices={"house-model": Price(input=Decimal(1), output=Decimal(2))},
    ).save("kept", _sync=True)

    def saved(**environment: str) -> LLMEndpoint:
        done = save(LLM_ENDPOINT_NAME="kept", **environment)
        assert done.stdout == "saved llm-endpoint/kept\n", done.stderr
        return cast("LLMEndpoint", LLMEndpoint.load("kept", _sync=True))

    again = saved(OPENAI_API_KEY="sk-new", OPENAI_BASE_URL=address)
    assert again.api_key == SecretStr("sk-new")
    assert (again.model, again.requests_per_minute) == ("house-model", 60)
    assert again.extra_headers.get_secret_value() == {"X-Team": "reports"}
    assert again.prices.keys() == {"house-model"}
    assert saved(OPENAI_BASE_URL=address, LLM_ENDPOINT_MODEL="other").model == "other"
    elsewhere = saved(OPENAI_BASE_URL="https://elsewhere.example/v1")
    assert (elsewhere.api_key, elsewhere.model, elsewhere.requests_per_minute) == (None,) * 3
    assert not elsewhere.extra_headers.get_secret_value()


def test_a_bucket_keeps_its_credentials_at_the_same_address() -> None:
    """A new folder needs no key again; another server gets none."""
    bucket = {"REPORTS_BUCKET": "mine", "REPORTS_BUCKET_NAME": "kept"}
    keys = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "very-secret"}
    assert save(**bucket, **keys, AWS_ENDPOINT_URL="http://127.0.0.1:9").returncode == 0
    assert save(**bucket, REPORTS_BUCKET_FOLDER="2026").returncode == 0
    found = cast("S3Bucket", S3Bucket.load("kept", _sync=True))
    credentials = cast("AwsCredentials", found.credentials)
    assert found.bucket_folder.strip("/") == "2026"
    assert credentials.aws_secret_access_key == SecretStr("very-secret")
    assert credentials.aws_client_parameters.endpoint_url == "http://127.0.0.1:9"
    assert save(**bucket, AWS_ENDPOINT_URL="http://127.0.0.1:8").returncode == 0
    moved = cast("S3Bucket", S3Bucket.load("kept", _sync=True))
    assert cast("AwsCredentials", moved.credentials).aws_secret_access_key is None
    assert moved.bucket_folder == ""


def test_a_block_given_to_the_flow_is_used_and_its_key_kept_out_of_the_run(
    bench: Bench, endpoint: Endpoint
) -> None:
    """In Python a saved block does as well as its name; the run's parameters have no key."""
    block = LLMEndpoint(base_url=endpoint.base_url, api_key=SecretStr("sk-given"), model="given")
    block.save("given", _sync=True)

    result = bench.run(None, ["Tidal power"], endpoint=block, model=None)

    assert result.status == "complete"
    assert {r.headers["authorization"] for r in endpoint.requests} == {"Bearer sk-given"}
    with get_client(sync_client=True) as client:
        [run] = client.read_flow_runs(limit=1, sort=FlowRunSort.START_TIME_DESC)
    assert run.id.hex.endswith(result.run_id.rpartition("-")[2])
    assert "sk-given" not in run.model_dump_json()


def test_extra_headers_are_sent_from_the_block_and_kept_out_of_the_run(
    bench: Bench, endpoint: Endpoint
) -> None:
    """A gateway gets its headers; what it repeats of their secrets reaches neither run nor file."""
    secret = "gateway-canary-1"
    endpoint.fail(faults.error(400, f"no {secret}"), topic="C++", times=None)
    done = save(
        OPENAI_BASE_URL=endpoint.base_url,
        LLM_ENDPOINT_NAME="gateway",
        LLM_ENDPOINT_HEADERS=f'{{"X-Gateway-Key": "{secret}", "X-Title": "Reports"}}',
    )
    assert done.stdout == "saved llm-endpoint/gateway\n", done.stderr

    result = bench.run(None, ["Tidal power", "C++"], endpoint="gateway", model="m")

    assert [report.status for report in result.reports] == ["published", "failed"]
    assert {r.headers["x-gateway-key"] for r in endpoint.requests} == {secret}
    assert {r.headers["x-title"] for r in endpoint.requests} == {"Reports"}
    with get_client(sync_client=True) as client:
        [run] = client.read_flow_runs(limit=1, sort=FlowRunSort.START_TIME_DESC)
    kept = [path.read_text() for path in bench.output.rglob("*") if path.suffix in (".json", ".md")]
    assert secret not in f"{run.model_dump_json()} {result.model_dump_json()} {kept}"


def test_headers_that_are_no_json_are_not_saved() -> None:
    """The command says how they are written, and does not repeat them."""
    done = save(OPENAI_BASE_URL="http://127.0.0.1:9/v1", LLM_ENDPOINT_HEADERS="X-Key: canary")
    assert done.returncode == 1
    assert "LLM_ENDPOINT_HEADERS is no JSON object" in done.stderr
    assert "canary" not in done.stderr


def test_the_bucket_block_is_saved_with_bounded_waits() -> None:
    """save_blocks.py saves bucket and credentials; the secret is not in the block's text."""
    done = save(
        REPORTS_BUCKET="my-bucket",
        AWS_ACCESS_KEY_ID="id",
        AWS_SECRET_ACCESS_KEY="very-secret",
        AWS_ENDPOINT_URL="http://127.0.0.1:9",
    )
    assert done.stdout == "saved s3-bucket/reports\n", done.stderr

    from prefect_llm_reports.tasks.storage.s3 import open_s3

    place = open_s3("s3-bucket/reports/2026")
    assert place.where == "s3://my-bucket/2026"
    assert place.client.meta.endpoint_url == "http://127.0.0.1:9"
    assert place.client.meta.config.connect_timeout == 10


def test_nothing_in_the_environment_is_said() -> None:
    """Without anything to save, save_blocks.py says what to set."""
    done = save()
    assert done.returncode == 1
    assert "OPENAI_API_KEY" in done.stderr


def test_an_endpoint_block_shows_no_key_and_checks_its_address() -> None:
    """The key is a secret in every form of the block; credentials in the address are refused."""
    block = LLMEndpoint(api_key=SecretStr("sk-hidden"))
    assert "sk-hidden" not in f"{block!r} {block} {block.model_dump_json()} {block.endpoint()!r}"
    with pytest.raises((ValidationError, BadInput)):
        LLMEndpoint(base_url="https://user:pass@example.com/v1")
    with pytest.raises(BadInput, match="unencrypted"):
        LLMEndpoint(base_url="http://example.com/v1").endpoint()
    assert LLMEndpoint(base_url="http://example.com/v1", allow_http=True).endpoint()


def test_every_field_of_the_block_is_described() -> None:
    """The UI shows a description beside each field of the block's form."""
    properties = LLMEndpoint.model_json_schema()["properties"]
    assert [name for name, field in properties.items() if not field.get("description")] == []
