"""Room on the disk for the answers under way, so that nothing is paid for that cannot be kept."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager

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
        """Ask only while the answer, and those under way, will fit on the disk.

        Raises:
            StorageFull: They might not fit; nothing was asked or lost.
        """
        needed = (self._under_way + 1) * (BYTES_A_TOKEN * ask.max_output_tokens + RECORD_BYTES)
        if not self._place.on_network and _free_bytes(self._place.where) < needed:
            raise StorageFull(
                f"disk full: less than {needed / 1e6:.1f} MB left for answers in"
                f" {self._place.where}, nothing was asked that could not be kept; make room and"
                " run the same command again"
            )
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1


def _free_bytes(folder: str) -> float:
    """Bytes that can still be written there; 0 when no further file can be made."""
    try:
        found = os.statvfs(folder)
    except OSError:  # the next write will report it
        return float("inf")
    return 0 if found.f_files and not found.f_favail else found.f_bavail * found.f_frsize
