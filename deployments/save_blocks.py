"""Save the blocks that flows use, with values from the environment; run it again to update them.

What the environment does not name stays as it was saved, as long as the block's address is the
same: with another address or bucket a block begins anew, so that no key goes to another host.

    OPENAI_API_KEY=... python deployments/save_blocks.py
    LLM_ENDPOINT_NAME=local OPENAI_BASE_URL=http://127.0.0.1:11434/v1 LLM_ENDPOINT_MODEL=qwen3 \
        python deployments/save_blocks.py
    REPORTS_BUCKET=my-bucket REPORTS_BUCKET_FOLDER=reports python deployments/save_blocks.py

OPENAI_API_KEY or OPENAI_BASE_URL saves `llm-endpoint/NAME`, with NAME from LLM_ENDPOINT_NAME or
"default"; LLM_ENDPOINT_MODEL, LLM_ENDPOINT_HEADERS (as JSON), LLM_REPORTS_PRICES and
LLM_REPORTS_ALLOW_HTTP are its other fields.
REPORTS_BUCKET saves `s3-bucket/NAME` and `aws-credentials/NAME`, with NAME from
REPORTS_BUCKET_NAME or "reports"; REPORTS_BUCKET_FOLDER, AWS_ENDPOINT_URL, AWS_DEFAULT_REGION,
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are their other fields.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, TypeVar, cast

from prefect.blocks.core import Block
from prefect_aws import AwsClientParameters, AwsCredentials, S3Bucket
from pydantic import SecretStr

from prefect_llm_reports.tasks.contract.settings import Settings
from prefect_llm_reports.tasks.llm.blocks import LLMEndpoint
from prefect_llm_reports.tasks.storage.s3 import CLIENT_CONFIG

AnyBlock = TypeVar("AnyBlock", bound=Block)


def save_endpoint() -> str | None:
    """Save the LLM endpoint, and return its full name; None if the environment has no endpoint."""
    settings = Settings()
    if not settings.openai_api_key and not settings.openai_base_url:
        return None
    name = os.environ.get("LLM_ENDPOINT_NAME") or "default"
    headers = os.environ.get("LLM_ENDPOINT_HEADERS")
    given: dict[str, Any] = {
        "base_url": settings.openai_base_url,
        "api_key": settings.openai_api_key,
        "model": os.environ.get("LLM_ENDPOINT_MODEL"),
        "allow_http": settings.allow_http,
        "prices": settings.prices,
        "extra_headers": _headers(headers) if headers else None,
    }
    block = LLMEndpoint(**_named(given))
    known = _saved(LLMEndpoint, name)
    if known and known.base_url == block.base_url:
        block = LLMEndpoint(**{**_fields(known), **_named(given)})
    block.endpoint()  # raises an error if the address is wrong, before it is saved
    block.save(name, overwrite=True, _sync=True)  # pyright: ignore
    return f"llm-endpoint/{name}"


def _headers(written: str) -> dict[str, Any]:
    try:
        found = json.loads(written)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        sys.exit(
            "error: LLM_ENDPOINT_HEADERS is no JSON object; write it as"
            ' {"HTTP-Referer": "https://reports.example.com"}'
        )
    return found


def save_bucket() -> str | None:
    """Save the bucket and its credentials, and return its name; None without REPORTS_BUCKET."""
    bucket = os.environ.get("REPORTS_BUCKET")
    if not bucket:
        return None
    name = os.environ.get("REPORTS_BUCKET_NAME") or "reports"
    known = _saved(S3Bucket, name)
    address = os.environ.get("AWS_ENDPOINT_URL")
    before: dict[str, Any] = {}
    if known and known.bucket_name == bucket and isinstance(known.credentials, AwsCredentials):
        was = known.credentials.aws_client_parameters.endpoint_url
        if address in (None, was):
            before, address = _fields(known.credentials), was
    secret = os.environ.get("AWS_SECRET_ACCESS_KEY")
    given = {
        "aws_access_key_id": os.environ.get("AWS_ACCESS_KEY_ID"),
        "aws_secret_access_key": SecretStr(secret) if secret else None,
        "region_name": os.environ.get("AWS_DEFAULT_REGION"),
        "aws_client_parameters": AwsClientParameters(endpoint_url=address, config=CLIENT_CONFIG),
    }
    fields: dict[str, Any] = before | _named(given)
    credentials = AwsCredentials(**fields)
    credentials.save(name, overwrite=True, _sync=True)  # pyright: ignore
    folder = os.environ.get("REPORTS_BUCKET_FOLDER")
    if folder is None:
        folder = known.bucket_folder if known and before else ""
    block = S3Bucket(bucket_name=bucket, credentials=credentials, bucket_folder=folder)
    block.save(name, overwrite=True, _sync=True)  # pyright: ignore
    return f"s3-bucket/{name}"


def _saved(kind: type[AnyBlock], name: str) -> AnyBlock | None:
    """The block of this name; None: there is none, or it cannot be read."""
    try:
        return cast("AnyBlock", kind.load(name, _sync=True))  # pyright: ignore
    except (ValueError, RuntimeError):
        return None


def _fields(block: Block) -> dict[str, Any]:
    """What a block holds, by field."""
    return {name: getattr(block, name) for name in type(block).model_fields}


def _named(given: dict[str, Any]) -> dict[str, Any]:
    """The fields that the environment names."""
    return {name: value for name, value in given.items() if value}


def main() -> None:
    """Save what the environment names, and say what was saved."""
    saved = [name for name in (save_endpoint(), save_bucket()) if name]
    if not saved:
        sys.exit(
            "error: nothing to save; set OPENAI_API_KEY or OPENAI_BASE_URL to save an LLM endpoint,"
            " REPORTS_BUCKET to save a bucket, and run this again"
        )
    sys.stdout.write("".join(f"saved {name}\n" for name in saved))


if __name__ == "__main__":
    main()
