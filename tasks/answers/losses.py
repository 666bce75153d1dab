"""Failures of the answer store: warnings, answers not kept yet, and the reason."""

from __future__ import annotations

import logging

from prefect_llm_reports.tasks.contract.errors import StorageError

MOST_WARNINGS = 100

logger = logging.getLogger(__name__)


class Losses:
    """Answers that could not be read or kept.

    Attributes:
        unkept: Records that are not written, by key.
        lost: Why an answer could not be kept; None: all are kept.
    """

    def __init__(self) -> None:
        self.unkept: dict[str, bytes] = {}
        self.lost: StorageError | None = None
        self._warnings: list[str] = []

    def warn(self, text: str) -> None:
        """Add a warning to the log and to the result."""
        if len(self._warnings) < MOST_WARNINGS:
            self._warnings.append(text)
        logger.warning("%s", text)

    @property
    def warnings(self) -> list[str]:
        """All warnings; the last one counts the answers that are not kept."""
        if not self.unkept:
            return self._warnings
        count = len(self.unkept)
        answers = "1 answer was" if count == 1 else f"{count} answers were"
        return [*self._warnings, f"{answers} not kept and will be asked for again"]
