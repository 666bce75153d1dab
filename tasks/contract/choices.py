"""Choices, bounds of numbers and defaults, each defined once.

Here: plain values, so that the command line shows them without importing pydantic. Not here: the
models that use them (`options`, `branches`, `requests`).
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

Merge = Literal["all", "any", "best", "vote", "concat", "synthesize"]
MERGES: tuple[Merge, ...] = get_args(Merge)
ASKING_MERGES: tuple[Merge, ...] = ("best", "synthesize")
"""Merges that call a model."""
PanelMerge = Literal["mean", "median", "minimum", "weighted"]
"""Ways in which the scores of a panel become one."""

Format = Literal["pdf", "docx"]
FORMATS: tuple[Format, ...] = get_args(Format)
"""Formats of a report beside Markdown and HTML; each needs the extra of its name."""


Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max", "default"]
EFFORTS: tuple[Effort, ...] = get_args(Effort)
"""Amounts of reasoning, in the words of all endpoints; each endpoint takes some of them."""

Tier = Literal["standard", "flex"]
TIERS: tuple[Tier, ...] = get_args(Tier)
"""Price tiers that a run can ask for."""


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
REPORT_WORDS = Range(100, 10_000)
EVIDENCE_WORDS = Range(250, 100_000)
"""Words of sources in a prompt; a passage has up to 250."""

DEADLINE_S = 120
"""Seconds that one call may take."""
FLEX_DEADLINE_S = 900
"""Seconds that a flex call may take, as its providers advise."""
PATIENCE_S, DEPLOYED_PATIENCE_S = 60.0, 900.0
"""Seconds to wait for an endpoint that is away: where a person waits, and in deployments."""
MAX_OUTPUT_TOKENS = 16_000
LANGUAGE = "English"
AUDIENCE = "informed readers who are not specialists"
LENGTH_WORDS = 1200
PROMPT_WORDS = 8000
"""Words of sources that a topic's prompts may hold."""
CLAIMS_A_CALL, WORDS_A_CLAIM = 10, 20
"""Claims whose support one call judges, and words of a report for each claim, as a rule."""

DEFAULT_MODEL = "gpt-5-mini"
DEFAULT_ROUNDS = 3
DEFAULT_THRESHOLD = 8
DEFAULT_MERGE: Merge = "all"
REPORT_CALLS_AT_ONCE = 8
BRANCH_CALLS_AT_ONCE = 32
REPORTS_FOLDER = "reports"
ANSWERS_FOLDER = "answers"
