"""Slow answers as a sign of overload: how long each step usually takes, and when that changes."""

from __future__ import annotations

import math
from dataclasses import dataclass

SLOW_FACTOR = 4.0
"""Answers that take this many times longer than usual for their step count as overload."""

SLOW_FROM_S = 5.0
"""Faster answers never count as slow."""

LEARNING = 20
"""Answers of a step before any of them can count as slow."""


@dataclass
class _Durations:
    """Usual and recent duration of one step's answers, as moving averages of log seconds.

    Durations have a long tail, hence logarithms: one answer of a minute is no overload. The usual
    duration begins as the plain mean of the first answers, so that one fast first answer does not
    make all later ones look slow.
    """

    usual: float
    recent: float
    seen: int = 1

    def slow(self, lasted: float) -> bool:
        self.seen += 1
        self.recent += 0.2 * (lasted - self.recent)
        slow = self.seen > LEARNING and self.recent > max(
            _log_seconds(SLOW_FROM_S), self.usual + math.log(SLOW_FACTOR)
        )
        if slow:
            self.usual = self.recent
        else:
            self.usual += max(0.02, 1 / self.seen) * (lasted - self.usual)
        return slow


class Slowness:
    """Watches the durations of answers, for each step on its own."""

    def __init__(self) -> None:
        self._steps: dict[str, _Durations] = {}

    def slow(self, step: str, seconds: float) -> bool:
        """Take note of an answer; True: the step's answers have become much slower than usual.

        The new duration is then the usual one, so that one change is reported once.
        """
        lasted = _log_seconds(seconds)
        durations = self._steps.get(step)
        if durations is None:
            self._steps[step] = _Durations(usual=lasted, recent=lasted)
            return False
        return durations.slow(lasted)


def _log_seconds(seconds: float) -> float:
    return math.log(max(seconds, 0.001))
