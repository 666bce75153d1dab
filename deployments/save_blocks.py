"""Save the blocks that flows use, with values from the environment; run it again to update them.

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
from typing import Any

from prefect_aws import AwsClientParameters, AwsCredentials, S3Bucket
from pydantic import SecretStr

from prefect_llm_reports.tasks.contract.settings import Settings
from prefect_llm_reports.tasks.llm.blocks import LLMEndpoint
from prefect_llm_reports.tasks.storage.s3 import CLIENT_CONFIG


def save_endpoint() -> str | None:
    """Save the LLM endpoint, and return its full name; None if the environment has no endpoint."""
    settings = Settings()
    if not settings.openai_api_key and not settings.openai_base_url:
        return None
    fields: dict[str, Any] = {
        "api_key": settings.openai_api_key,
        "model": os.environ.get("LLM_ENDPOINT_MODEL") or None,
        "allow_http": settings.allow_http,
        "prices": settings.prices,
    }
    if headers := os.environ.get("LLM_ENDPOINT_HEADERS"):
        fields["extra_headers"] = _headers(headers)
    if settings.openai_base_url:
        fields["base_url"] = settings.openai_base_url
    block = LLMEndpoint(**fields)
    block.endpoint()  # raises an error if the address is wrong, before it is saved
    name = os.environ.get("LLM_ENDPOINT_NAME") or "default"
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
    secret = os.environ.get("AWS_SECRET_ACCESS_KEY")
    credentials = AwsCredentials(
        aws_access_key_id=os.environ.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=SecretStr(secret) if secret else None,
        region_name=os.environ.get("AWS_DEFAULT_REGION"),
        aws_client_parameters=AwsClientParameters(
            endpoint_url=os.environ.get("AWS_ENDPOINT_URL"), config=CLIENT_CONFIG
        ),
    )
    credentials.save(name, overwrite=True, _sync=True)  # pyright: ignore
    block = S3Bucket(
        bucket_name=bucket,
        credentials=credentials,
        bucket_folder=os.environ.get("REPORTS_BUCKET_FOLDER", ""),
    )
    block.save(name, overwrite=True, _sync=True)  # pyright: ignore
    return f"s3-bucket/{name}"


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
