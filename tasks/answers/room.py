"""Room on the disk for the answers under way, so that every paid answer can be kept."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager, suppress

from prefect_llm_reports.tasks.contract.calls import Ask
from prefect_llm_reports.tasks.contract.errors import StorageFull
from prefect_llm_reports.tasks.storage.places import Place

BYTES_A_TOKEN = 8
"""Most bytes that a token of an answer takes in a record, its characters escaped twice."""
RECORD_BYTES = 4096
"""Most bytes of a record beside the answer's text."""


class Room:
    """Reserves room for answers under way.

    Args:
        place: Where answers are kept; a place on the network always has room.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._under_way = 0

    @contextmanager
    def reserved(self, ask: Ask) -> Generator[None]:
        """Make sure, before a call, that its answer and those under way fit on the disk.

        Raises:
            StorageFull: They might not fit; nothing was asked or lost.
        """
        needed = (self._under_way + 1) * (BYTES_A_TOKEN * ask.max_output_tokens + RECORD_BYTES)
        if not self._place.on_network and not self._fits(needed):
            raise StorageFull(
                f"disk full: less than {needed / 1e6:.1f} MB left for answers in"
                f" {self._place.where}, so no further question was asked; make room and run the"
                " same command again"
            )
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    def _fits(self, needed: int) -> bool:
        free = _free_bytes(self._place.where)
        return free >= needed or (free == 0 and _can_write(self._place.where, needed))


def _free_bytes(folder: str) -> float:
    """Bytes that can still be written there; 0 when no further file can be made."""
    try:
        found = os.statvfs(folder)
    except OSError:  # the next write will report it
        return float("inf")
    size = found.f_frsize or found.f_bsize
    if not found.f_blocks or not size:  # a file system without figures
        return float("inf")
    return 0 if found.f_files and not found.f_favail else found.f_bavail * size


def _can_write(folder: str, count: int) -> bool:
    """Try to write this many bytes, where the file system reports no free space."""
    path = f"{folder}/.probe-{secrets.token_hex(4)}"
    handle = None
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.posix_fallocate(handle, 0, count)
    except OSError as error:
        return error.errno not in (errno.ENOSPC, errno.EDQUOT)
    finally:
        if handle is not None:
            os.close(handle)
            with suppress(OSError):
                os.unlink(path)
    return True
