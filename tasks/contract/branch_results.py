"""Records of branches: each branch's answer, the merge, a batch, a result directory.

Here: what a run of branches returns and writes. Not here: what a person writes to describe
branches (`contract.branches`).
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field

from prefect_llm_reports.tasks.contract.calls import Ranking, StepRecord
from prefect_llm_reports.tasks.contract.choices import Merge
from prefect_llm_reports.tasks.contract.records import (
    SCHEMA_VERSION,
    Calls,
    ErrorReport,
    FileEntry,
    Record,
    RunRecord,
    Usage,
)

InquiryStatus = Literal["complete", "partial", "failed", "stopped"]
"""The result of one input.

`complete`: there is a merge, and no branch failed that it needed. `partial`: there is a merge,
without some branches. `failed`: there is no merge. `stopped`: a fatal error ended the run.
"""


class BranchOutput(Record):
    """The result of one branch."""

    name: str
    status: Literal["answered", "failed", "cancelled", "not_asked"]
    output: Any = Field(default=None, description="The answer in the branch's form.")
    model: str | None = Field(default=None, description="The model that answered.")
    cached: bool = False
    error: ErrorReport | None = None


class Tally(Record):
    """Votes for one value."""

    value: Any = Field(description="The value, in the spelling of the first of these branches.")
    votes: int
    branches: tuple[str, ...]


class BranchesResult(Record):
    """The result of one input: every branch's output in order, and their merge."""

    schema_version: int = SCHEMA_VERSION
    status: InquiryStatus
    query: Any
    merge: Merge
    outputs: list[BranchOutput]
    merged: Any = None
    winner: str | None = Field(default=None, description="The chosen branch, if one was chosen.")
    ranking: tuple[Ranking, ...] = ()
    tally: tuple[Tally, ...] = ()
    usage: Usage = Usage()
    cost_usd: Decimal | None = Field(default=Decimal(0), description="Spent; None: unknown.")
    calls: Calls = Calls()
    duration_s: float = 0.0
    error: ErrorReport | None = Field(default=None, description="Why there is no merge.")
    warnings: tuple[str, ...] = ()

    @property
    def answered(self) -> int:
        """How many branches answered."""
        return sum(output.status == "answered" for output in self.outputs)

    @property
    def errors(self) -> dict[str, ErrorReport]:
        """What branches failed of, by branch."""
        return {output.name: output.error for output in self.outputs if output.error}


class InquiryResult(Record):
    """The result of one input of a batch."""

    query: str = Field(description="The input as people read it, shortened.")
    slug: str
    status: InquiryStatus
    directory: str | None = None
    answered: int = Field(description="Number of branches that answered.")
    usage: Usage = Usage()
    cost_usd: Decimal | None = Decimal(0)
    error: ErrorReport | None = Field(default=None, description="Why there is no merge.")
    errors: dict[str, ErrorReport] = Field(
        default={}, description="What branches failed of, by branch."
    )


class BranchBatchResult(RunRecord):
    """The result of many inputs of one program; also the content of batch.json."""

    merge: Merge
    branches: tuple[str, ...]
    inquiries: list[InquiryResult]
    error: ErrorReport | None = Field(default=None, description="The error that stopped the batch.")
    warnings: tuple[str, ...] = ()


class BranchManifest(Record):
    """The record of one input's result directory; written last."""

    schema_version: int = SCHEMA_VERSION
    query: Any
    slug: str
    status: InquiryStatus
    merge: Merge
    offline: bool
    branches: list[dict[str, Any]]
    steps: list[StepRecord]
    usage: Usage
    cost_usd: Decimal | None
    flow_run_id: str | None
    packages: dict[str, str]
    created: datetime
    files: list[FileEntry]
