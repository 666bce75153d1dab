"""Sources in S3: one object, or all below a prefix.

Here: listing and reading through `storage`. Not here: which of them are read (`finding`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prefect_llm_reports.tasks.contract.errors import BadInput, StorageError
from prefect_llm_reports.tasks.sources.reading import ending, kind_of
from prefect_llm_reports.tasks.storage.interface import Place
from prefect_llm_reports.tasks.storage.s3 import S3Place, open_s3

_MOST_BYTES = 50_000_000


@dataclass(frozen=True)
class InBucket:
    """An object in a bucket.

    Attributes:
        location: Its address.
        size: Its bytes.
        state: Changes when the object does.
        named: The address names this object, not a prefix of it.
        read: Reads its bytes.
    """

    location: str
    size: int
    state: str
    named: bool
    read: Callable[[], bytes]


def objects_of(address: str, places: dict[str, Place], most: int) -> Iterator[InBucket]:
    """The objects that an address names, in the order of their keys.

    Args:
        address: `s3://bucket/prefix`, or `s3-bucket/NAME` with a path.
        places: Places that are open, by address; receives new ones.
        most: Objects that may be read; a few more are listed, so that the bound can be named.

    Raises:
        BadInput: The bucket cannot be listed, or there are too many objects.
    """
    whole = address.rstrip("/") if address.strip("/") != "s3:" else address
    folder, _, last = whole.rpartition("/")
    try:
        if ending(last) and not address.endswith("/") and folder not in ("s3:/", "s3-bucket"):
            place = _opened(folder, places)
            if found := place.listed(last, most=1, whole=True):
                yield _of(place, *found[0], named=True)
                return
            if kind_of(last):
                raise BadInput("no such object; check bucket and key")
        place = _opened(whole, places)
        listed = place.listed("", most=20 * most)
    except StorageError as error:
        raise BadInput(str(error)) from None
    for name, size, tag in listed:
        parts = name.split("/")
        if not any(part.startswith((".", "~$")) for part in parts):
            yield _of(place, name, size, tag, named=False)


def _opened(address: str, places: dict[str, Place]) -> S3Place:
    if address not in places:
        places[address] = open_s3(address)
    place = places[address]
    assert isinstance(place, S3Place)
    return place


def _of(place: S3Place, name: str, size: int, tag: str, *, named: bool) -> InBucket:
    def read() -> bytes:
        body = place.read_bounded(name, _MOST_BYTES)
        if body is None:
            raise BadInput(f"source {place.path(name)}: removed meanwhile; start again")
        if isinstance(body, int):
            return bytes(_MOST_BYTES + 1)
        return body

    return InBucket(place.path(name), size, tag, named, read)
