"""One answer to "is this in S3?"."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefect_llm_reports.tasks.contract.locations import absolute, in_s3, saved_bucket
from prefect_llm_reports.tasks.contract.settings import Settings, store_location

LOCAL = ["s3-topics.yaml", "s3store", "s3", "s3/x", "s3-bucket", "./s3://x", "reports", ""]


@pytest.mark.parametrize("location", LOCAL)
def test_a_name_that_begins_like_s3_is_local(location: str) -> None:
    """Only `s3://` and `s3-bucket/` begin an address; other names are relative to this folder."""
    assert not in_s3(location)
    assert saved_bucket(location) is None
    assert absolute(location) == str(Path.cwd() / location)
    if location:
        assert store_location(location, Settings()) == str(Path.cwd() / location)


@pytest.mark.parametrize("location", ["s3://bucket/prefix", "s3-bucket/name/within"])
def test_an_address_stays_as_it_is(location: str) -> None:
    """An address in S3 is kept, whatever the working directory."""
    assert in_s3(location)
    assert absolute(location) == store_location(location, Settings()) == location


def test_a_saved_block_is_told_from_a_bucket() -> None:
    """Only `s3-bucket/NAME` names a block, which a Prefect server has to look up."""
    assert saved_bucket("s3-bucket/name/within") == "name/within"
    assert saved_bucket("s3://name/within") is None
