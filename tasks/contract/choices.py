"""What a person can choose from, the bounds of numbers, and the defaults, each known once.

Here: plain values, so that the command line shows them without importing pydantic. Not here: the
models that use them (`options`, `branches`, `requests`).
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

Merge = Literal["all", "any", "best", "vote", "concat", "synthesize"]
MERGES: tuple[Merge, ...] = get_args(Merge)
ASKING_MERGES: tuple[Merge, ...] = ("best", "synthesize")
"""Merges that call a model."""

Format = Literal["pdf", "docx"]
FORMATS: tuple[Format, ...] = get_args(Format)
"""Formats of a report beside Markdown and HTML; each needs the extra of its name."""


class Range(NamedTuple):
    """Numbers from `least` to `most`, both included."""

    least: int
    most: int

    def __str__(self) -> str:
        return f"{self.least} to {self.most}"

    def holds(self, value: float) -> bool:
        """Whether a number is in the range; NaN is not."""
        return self.least <= value <= self.most


ROUNDS = Range(1, 10)
"""Rounds of critique that a report may take."""
SCORES = Range(1, 10)
"""Scores of drafts and candidates."""
CALLS_AT_ONCE = Range(1, 1000)
ANSWER_TOKENS = Range(256, 200_000)
TEMPERATURES = Range(0, 2)

DEFAULT_MODEL = "gpt-5-mini"
DEFAULT_ROUNDS = 3
DEFAULT_THRESHOLD = 8
DEFAULT_MERGE: Merge = "all"
REPORT_CALLS_AT_ONCE = 8
BRANCH_CALLS_AT_ONCE = 32
REPORTS_FOLDER = "reports"
ANSWERS_FOLDER = "answers"
