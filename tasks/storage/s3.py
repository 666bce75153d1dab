"""Files in an S3 bucket, through prefect-aws, which only this module imports.

Credentials come from boto's own chain for `s3://bucket/prefix`, or from a saved `S3Bucket` block
for `s3-bucket/NAME`. A store needs a server with conditional writes; an output does without them.
Here: buckets as places, and the conditional writes that leases need. Not here: folders (`places`),
leases (`answers.leases`).
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from prefect_aws import AwsClientParameters, AwsCredentials, S3Bucket

from prefect_llm_reports.tasks.contract.errors import BadInput, StorageError, StorageFull
from prefect_llm_reports.tasks.contract.locations import S3_ADDRESS, saved_bucket
from prefect_llm_reports.tasks.storage.media_types import media_type

CLIENT_CONFIG: dict[str, Any] = {
    "connect_timeout": 10,
    "read_timeout": 60,
    "retries": {"mode": "standard", "max_attempts": 4},
    "max_pool_connections": 32,
}
"""Without these a server that hangs fails after minutes. Boto retries slow-downs."""

UPLOADS = 16
"""Uploads at the same time, for all reports of a run together."""

MARKER_ATTEMPTS = 3
"""Attempts to write a marker; a server may refuse two writers at the same time (409)."""

logger = logging.getLogger(__name__)
MISSING = frozenset({"NoSuchKey", "404", "NotFound"})
EXISTS = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
UNSUPPORTED = frozenset(
    {"NotImplemented", "UnsupportedOperation", "MethodNotAllowed", "501", "405"}
    | {"InvalidArgument", "InvalidRequest", "BadRequest", "400"}
)
"""Error codes of servers that do not support conditional writes."""


def error_code(error: ClientError) -> str:
    """The server's code for the error."""
    response: Any = error.response
    return str(response.get("Error", {}).get("Code", ""))


@contextmanager
def explained(doing: str) -> Generator[None]:
    """Turn boto's errors into ours, which name the next action."""
    try:
        yield
    except ClientError as error:
        code = error_code(error)
        if code in ("QuotaExceeded", "EntityTooLarge", "InsufficientStorage", "507"):
            raise StorageFull(
                f"disk full while {doing} ({code}); make room and run the same command again"
            ) from None
        raise StorageError(
            f"{doing} failed: {code or 'unknown error'}; check bucket, permissions and server,"
            " then run the same command again"
        ) from None
    except BotoCoreError as error:
        raise StorageError(
            f"{doing} failed: {type(error).__name__}; check the S3 server and the credentials,"
            " then run the same command again"
        ) from None


class _Unsupported(Exception):
    """The server does not support conditional writes."""

    def __init__(self, error: ClientError) -> None:
        super().__init__()
        self.error = error


class S3Place:
    """A prefix of a bucket.

    Args:
        client: An S3 client of boto3; several threads use it.
        bucket: The bucket's name.
        prefix: Prefix of all names, without a slash at its ends; may be empty.

    Attributes:
        conditional: Whether the server obeys the conditions of writes, set by `probe`.
        warnings: Warnings about the place, set by `probe`.
    """

    on_network = True

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self.client = client
        self.bucket = bucket
        self.prefix = f"{prefix}/" if prefix else ""
        self.where = f"s3://{bucket}/{prefix}".rstrip("/")
        self.conditional = True
        self.warnings: list[str] = []
        self._uploads = ThreadPoolExecutor(UPLOADS, thread_name_prefix="upload")

    def path(self, name: str) -> str:
        """The full name of a file or folder."""
        return f"s3://{self.bucket}/{self.prefix}{name}"

    def read(self, name: str) -> bytes | None:
        """The object's bytes; None when there is no such object."""
        found = self._opened(name)
        if found is None:
            return None
        with explained(f"reading {self.path(name)}"):
            return found["Body"].read()

    def read_bounded(self, name: str, most: int) -> bytes | int | None:
        """The object's bytes if they are at most so many; else its size, and nothing is read.

        Args:
            name: The object's name.
            most: Bytes to read at most.

        Returns:
            The bytes, or the size of an object that is larger; None when there is no such object.
        """
        found = self._opened(name)
        if found is None:
            return None
        with explained(f"reading {self.path(name)}"), closing(found["Body"]) as body:
            size: int = found["ContentLength"]
            return size if size > most else body.read()

    def _opened(self, name: str) -> Any:
        """The server's answer with the object's body still to be read; None: no such object."""
        with explained(f"reading {self.path(name)}"):
            try:
                return self.client.get_object(Bucket=self.bucket, Key=self.prefix + name)
            except ClientError as error:
                if error_code(error) in MISSING:
                    return None
                raise

    def write(self, name: str, body: bytes) -> None:
        """Write a whole object."""
        with explained(f"writing {self.path(name)}"):
            self._put(name, body)

    def remove(self, name: str) -> None:
        """Remove an object; a missing one is fine, and an empty folder does not exist in S3."""
        with explained(f"removing {self.path(name)}"):
            self.client.delete_object(Bucket=self.bucket, Key=self.prefix + name)

    def names(self, folder: str = "", *, hidden: bool = False) -> list[str]:
        """Names directly in a folder, sorted; `hidden` adds those that begin with a dot."""
        at = f"{self.prefix}{folder}/" if folder else self.prefix
        found: set[str] = set()
        with explained(f"listing {self.path(folder)}"):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=at, Delimiter="/"
            )
            for page in pages:
                found |= {o["Key"][len(at) :] for o in page.get("Contents", ())}
                found |= {p["Prefix"][len(at) : -1] for p in page.get("CommonPrefixes", ())}
        return sorted(name for name in found if name and (hidden or not name.startswith(".")))

    def listed(self, prefix: str, *, most: int, whole: bool = False) -> list[tuple[str, int, str]]:
        """The objects below a prefix, in the order of their keys.

        Args:
            prefix: Beginning of their names here.
            most: Objects to list at most.
            whole: Only the object of just this name.

        Returns:
            The name of each, its bytes, and a tag that changes with its content.
        """
        found: list[tuple[str, int, str]] = []
        with explained(f"listing {self.path(prefix)}"):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket,
                Prefix=self.prefix + prefix,
                PaginationConfig={"MaxItems": 1 if whole else most},
            )
            for page in pages:
                for entry in page.get("Contents", ()):
                    name: str = entry["Key"][len(self.prefix) :]
                    if name and not name.endswith("/") and (name == prefix or not whole):
                        found.append((name, entry["Size"], entry["ETag"]))
        return found

    def dated(self, folder: str) -> list[tuple[float, str]]:
        """The objects directly in a folder: when each was written, as Unix time, and its name."""
        found: list[tuple[float, str]] = []
        with explained(f"listing {self.path(folder)}"):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=f"{self.prefix}{folder}/", Delimiter="/"
            )
            for page in pages:
                for entry in page.get("Contents", ()):
                    name = entry["Key"][len(self.prefix) :]
                    found.append((entry["LastModified"].timestamp(), name))
        return found

    def sweep(self, folder: str = "") -> int:
        """Remove nothing: an object appears in a bucket whole, or not at all."""
        del folder
        return 0

    def publish(self, folder: str, files: Mapping[str, bytes], last: str) -> bool:
        """Upload the other files in parallel, then `last`, unless another writer was faster."""
        with explained(f"publishing {self.path(folder)}"):
            if self.age(f"{folder}/{last}"):
                return False
            uploads = [
                self._uploads.submit(self._put, f"{folder}/{name}", body)
                for name, body in files.items()
                if name != last
            ]
            wait(uploads)
            for upload in uploads:
                upload.result()
            for _ in range(MARKER_ATTEMPTS):
                if self._mark(f"{folder}/{last}", files[last]):
                    return True
                if self.age(f"{folder}/{last}"):
                    return False
        raise StorageError(
            f"publishing {self.path(folder)} failed: several processes write {last} at the same"
            " time; run the same command again"
        )

    def probe(self) -> None:
        """Try all operations of a run on a small object: write, read, list, remove, conditions.

        Raises:
            BadInput: One of them fails; a server without conditions is only noted.
        """
        name = f".probe-{secrets.token_hex(4)}"
        try:
            if self.read(name) is not None:
                raise StorageError(
                    f"reading {self.path(name)} gave an object that does not exist; check the S3"
                    " server"
                )
            self.write(name, b"probe")
            if self.read(name) != b"probe":
                raise StorageError(
                    f"reading {self.path(name)} gave other content than was written; check the S3"
                    " server"
                )
            self.names()
            self.conditional = self._keeps_conditions(name)
            self.remove(name)
        except StorageError as error:
            raise BadInput(f"{self.where} is not writable: {error}") from error
        if not self.conditional:
            self.warnings = [
                f"the S3 server of {self.where} does not support conditional writes: do not Retry"
                " a run there while it is still at work"
            ]

    def _keeps_conditions(self, name: str) -> bool:
        """Whether the server refuses a write whose condition does not hold."""
        try:
            with explained(f"writing {self.path(name)}"):
                if self._put_if(name, b"probe", IfNoneMatch="*") is not None:
                    return False
                tag = (self.age(name) or ("",))[0]
                if self._put_if(name, b"probe", IfMatch='"0123456789abcdef0123456789abcdef"'):
                    return False
                return self._put_if(name, b"probe", IfMatch=tag) is not None
        except _Unsupported:
            return False

    def _mark(self, name: str, body: bytes) -> bool:
        """Write the object that completes a folder; False: another writer was first."""
        if self.conditional:
            try:
                with explained(f"writing {self.path(name)}"):
                    return self._put_if(name, body, IfNoneMatch="*") is not None
            except _Unsupported:
                self.conditional = False
        if self.age(name):
            return False
        self.write(name, body)
        return True

    def create(self, name: str, body: bytes) -> str | None:
        """Write a new object and return its tag; None when it exists already."""
        return self._conditionally(name, body, IfNoneMatch="*")

    def replace(self, name: str, body: bytes, tag: str) -> str | None:
        """Replace an object that still has this tag and return the new tag; None otherwise."""
        return self._conditionally(name, body, IfMatch=tag)

    def age(self, name: str) -> tuple[str, float] | None:
        """An object's tag, and its age in seconds by the server's clock; None: no such object."""
        with explained(f"looking at {self.path(name)}"):
            try:
                found = self.client.head_object(Bucket=self.bucket, Key=self.prefix + name)
            except ClientError as error:
                if error_code(error) in MISSING:
                    return None
                raise
        now = parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"]["date"])
        return found["ETag"], (now - found["LastModified"]).total_seconds()

    def _conditionally(self, name: str, body: bytes, **condition: str) -> str | None:
        with explained(f"writing {self.path(name)}"):
            try:
                return self._put_if(name, body, **condition)
            except _Unsupported as unsupported:
                raise unsupported.error from None

    def _put_if(self, name: str, body: bytes, **condition: str) -> str | None:
        """Write under a condition and return the tag; None: the condition does not hold."""
        try:
            return self._put(name, body, **condition)["ETag"]
        except ClientError as error:
            code = error_code(error)
            if code in EXISTS | MISSING:
                return None
            if code in UNSUPPORTED:
                raise _Unsupported(error) from None
            raise

    def _put(self, name: str, body: bytes, **conditions: str) -> Any:
        return self.client.put_object(
            Bucket=self.bucket,
            Key=self.prefix + name,
            Body=body,
            ContentType=media_type(name),
            **conditions,
        )


def open_s3(location: str) -> S3Place:
    """Open the place that `s3://bucket/prefix` or `s3-bucket/NAME` names.

    Raises:
        BadInput: The address names no bucket, or there is no such block.
    """
    if (saved_name := saved_bucket(location)) is not None:
        block_name, _, within = saved_name.partition("/")
        saved: Any = S3Bucket
        try:
            block: Any = saved.load(block_name, _sync=True)
        except ValueError:
            raise BadInput(
                f"{location}: no S3Bucket block named {block_name!r} is saved; save it in the UI"
                " under Blocks or with deployments/save_blocks.py"
            ) from None
        folder = "/".join(part.strip("/") for part in (block.bucket_folder, within) if part)
        return S3Place(_client(block.credentials), block.bucket_name, folder)
    bucket, _, prefix = location.removeprefix(S3_ADDRESS).partition("/")
    if not bucket:
        raise BadInput(f"{location} names no bucket; give s3://bucket/prefix")
    return S3Place(_client(AwsCredentials()), bucket, prefix.strip("/"))


def _client(credentials: Any) -> Any:
    """An S3 client whose waits are bounded, unless the block sets its own bounds."""
    parameters: AwsClientParameters = credentials.aws_client_parameters
    bounded = parameters.model_copy(
        update={"config": {**CLIENT_CONFIG, **(parameters.config or {})}}
    )
    session = credentials.get_boto3_session()
    override = bounded.get_params_override()
    if isinstance(override.get("config"), dict):
        override["config"] = Config(**override["config"])
    return session.client("s3", **override)
