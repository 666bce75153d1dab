"""Where files can be: a local folder, or S3 by address or by saved block.

Here: the one answer to "is this in S3?", from the text alone. Not here: opening it (`storage`).
"""

from __future__ import annotations

import re
from pathlib import Path

from prefect_llm_reports.tasks.contract.errors import BadInput

S3_ADDRESS = "s3://"
S3_BLOCK = "s3-bucket/"


_SCHEMES = (
    "s3|s3a|s3n|gs|gcs|az|azure|abfs|abfss|wasb|wasbs|adl|dbfs|hdfs|oss|cos|r2|b2|minio|file|http"
    "|https|ftp|ftps|sftp|scp|ssh|smb|cifs|nfs|dav|davs|webdav|git|memory|github|data"
)
_SCHEME = re.compile(rf"\s*(?:[a-z][a-z0-9+.-]+:[/\\]|(?:{_SCHEMES}):)", re.I)
_ALMOST = re.compile(r"\s*s3-bucket[/:]", re.I)


def in_s3(location: str) -> bool:
    """Whether a location is `s3://bucket/key` or `s3-bucket/NAME`; all else is a local path.

    Args:
        location: A folder's or a file's, as a person gives it.
    """
    return location.startswith((S3_ADDRESS, S3_BLOCK))


def saved_bucket(location: str) -> str | None:
    """The part after `s3-bucket/`: a saved block's name and a path; None: no block is named.

    Args:
        location: A folder's or a file's, as a person gives it.
    """
    return location.removeprefix(S3_BLOCK) if location.startswith(S3_BLOCK) else None


def checked_location(location: str) -> str:
    """Refuse an address of an unsupported kind, such as `gs://bucket`, and an impossible path.

    Args:
        location: A folder's or a file's, as a person gives it.

    Returns:
        The location as it was given.

    Raises:
        BadInput: It would be taken for a folder called `gs:`, or no folder can have this name.
    """
    if in_s3(location):
        return location
    shown = ascii(location if len(location) <= 80 else f"{location[:77]}...")
    if found := _SCHEME.match(location) or _ALMOST.match(location):
        scheme = found[0].strip().rstrip(":/\\").lower()
        way = {
            "file": "give the path without file:",
            "s3": "write s3://bucket/prefix, in small letters",
            "s3a": "write s3://bucket/prefix",
            "s3n": "write s3://bucket/prefix",
            "s3-bucket": "write s3-bucket/NAME, in small letters",
        }.get(scheme, "give a folder, s3://bucket/prefix, or s3-bucket/NAME")
        raise BadInput(
            f"{_without_credentials(shown)} is an address of a kind that is not supported; {way}"
            " (for a local name that reads so, write ./ in front)"
        )
    if location.startswith("\\\\"):
        raise BadInput(
            f"{shown} is a network path of Windows; mount it, and give the mounted folder"
        )
    if "\0" in location or any("\ud800" <= sign <= "\udfff" for sign in location):
        raise BadInput(f"{shown} holds a character that no path can have; remove it")
    try:
        Path(location).expanduser()
    except RuntimeError:
        raise BadInput(f"{shown}: there is no such home folder; give the whole path") from None
    return location


def _without_credentials(address: str) -> str:
    return re.sub(r"//[^/@]*@", "//", address)


def absolute(location: str) -> str:
    """Make a location independent of the working directory.

    Args:
        location: A folder's or a file's, as a person gives it.

    Raises:
        BadInput: It is neither an address in S3 nor a path.
    """
    if in_s3(checked_location(location)):
        return location
    return str(Path(location).expanduser().absolute())
