"""Where files can be: a local folder, or S3 by address or by saved block.

Here: the one answer to "is this in S3?", from the text alone. Not here: opening it (`storage`).
"""

from __future__ import annotations

from pathlib import Path

S3_ADDRESS = "s3://"
S3_BLOCK = "s3-bucket/"


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


def absolute(location: str) -> str:
    """The location so that it means the same from any working directory.

    Args:
        location: A folder's or a file's, as a person gives it.
    """
    return location if in_s3(location) else str(Path(location).expanduser().absolute())
