"""One answer to "is this in S3?"."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefect_llm_reports.tasks.contract.errors import BadInput
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


OTHERS = {
    "gs://bucket/x": "give a folder, s3://bucket/prefix, or s3-bucket/NAME",
    "gs:/bucket": "give a folder, s3://bucket/prefix",
    "gs:bucket": "give a folder, s3://bucket/prefix",
    "GCS://bucket": "give a folder, s3://bucket/prefix",
    "az://container/x": "give a folder, s3://bucket/prefix",
    "abfss://c@account.dfs.core.windows.net/x": "give a folder, s3://bucket/prefix",
    "S3://bucket": "write s3://bucket/prefix, in small letters",
    " s3://bucket": "write s3://bucket/prefix, in small letters",
    "s3:/bucket/x": "write s3://bucket/prefix, in small letters",
    "s3:bucket": "write s3://bucket/prefix, in small letters",
    "s3a://bucket/x": "write s3://bucket/prefix",
    "S3-Bucket/NAME": "write s3-bucket/NAME, in small letters",
    "s3-bucket:NAME": "write s3-bucket/NAME, in small letters",
    "file:///srv/x": "give the path without file:",
    "file:x": "give the path without file:",
    "https://example.com/x": "give a folder, s3://bucket/prefix",
    "hdfs://host/x": "give a folder, s3://bucket/prefix",
    "somewhere://x": "give a folder, s3://bucket/prefix",
    "\\\\server\\share": "mount it, and give the mounted folder",
    "~nobody-has-this-name/x": "there is no such home folder; give the whole path",
    "a\0b": "holds a character that no path can have; remove it",
}


@pytest.mark.parametrize("location", OTHERS)
def test_an_address_of_another_kind_is_no_folder(location: str) -> None:
    """Addresses of other stores, and S3's misspelled, are refused wherever a place is named."""
    for named in (absolute, lambda name: store_location(name, Settings())):
        with pytest.raises(BadInput) as bad:
            named(location)
        (problem,) = bad.value.problems
        assert OTHERS[location] in problem
        assert problem.isprintable()


def test_passwords_of_an_address_are_not_repeated() -> None:
    """A refused address is shown without its credentials."""
    with pytest.raises(BadInput) as bad:
        absolute("https://me:hunter2@host/x")
    assert "hunter2" not in str(bad.value)


@pytest.mark.parametrize("name", ["C:/x", "notes: today", "reports:v2", "./gs://x", "a/gs:/x"])
def test_a_colon_alone_makes_no_address(name: str) -> None:
    """Names with a colon, and paths that begin with ./, are local."""
    assert absolute(name) == str(Path.cwd() / name)
