"""The kept answers that a batch may use: by age, and only new ones after `refresh`."""

from __future__ import annotations

import time

DAY_S = 86_400


class Selection:
    """The answers that a batch may use, and those that it has used.

    Args:
        days: Older answers are passed over; None: any age is fine.
        refresh: Answers that were kept before the batch are passed over.

    Attributes:
        used: Keys of the answers that the batch has read or written.
    """

    def __init__(self, days: float | None = None, *, refresh: bool = False) -> None:
        self.used: set[str] = set()
        self._max_age_s = days * DAY_S if days else None
        self._written: set[str] | None = set() if refresh else None

    def may_read(self, key: str) -> bool:
        """Whether an answer under this key may be used, if it is young enough."""
        return self._written is None or key in self._written

    def young_enough(self, kept_at: float) -> bool:
        """Whether an answer that was kept at this Unix time may be used."""
        return self._max_age_s is None or time.time() - kept_at <= self._max_age_s

    def read(self, key: str) -> None:
        """Record the use of an answer."""
        self.used.add(key)

    def written(self, key: str) -> None:
        """Record an answer that the batch itself has kept."""
        self.used.add(key)
        if self._written is not None:
            self._written.add(key)
