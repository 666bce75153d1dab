"""A limit on how much of a run's time its bookkeeping may take."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from contextlib import contextmanager

SHARE = 50
"""Bookkeeping takes at most one part of so many."""


class Throttle:
    """Decides when work that is done again and again is due, so that it takes a fiftieth at most.

    Args:
        least_s: Seconds from one beginning to the next, at least.
        most_s: Seconds after which the work is due, however long it took before.
    """

    def __init__(self, *, least_s: float = 0.0, most_s: float = math.inf) -> None:
        self._least_s = least_s
        self._most_s = most_s
        self._next = 0.0

    @property
    def due(self) -> bool:
        """Whether the work may be done now; never while it is being done."""
        return time.monotonic() >= self._next

    @contextmanager
    def measured(self) -> Generator[None]:
        """Do the work; after a failure it is due again at once."""
        began = time.monotonic()
        self._next = math.inf
        try:
            yield
        except BaseException:
            self._next = began
            raise
        took = time.monotonic() - began
        self._next = began + min(max(self._least_s, SHARE * took), self._most_s)
