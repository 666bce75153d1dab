"""Records of reports: topics, drafts, critiques, results, manifests; nothing here acts."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from slugify import slugify

from prefect_llm_reports.tasks.contract.calls import StepRecord
from prefect_llm_reports.tasks.contract.choices import SCORES
from prefect_llm_reports.tasks.contract.records import (
    SCHEMA_VERSION,
    Calls,
    ErrorReport,
    FileEntry,
    Record,
    RunRecord,
    Usage,
    digest,
)

Status = Literal["published", "failed", "not_started"]
StopReason = Literal["accepted", "iterations_exhausted", "plateau", "budget_exhausted"]


class Topic(Record):
    """The topic of one report."""

    title: str = Field(
        description="What the report is about, in a few words or a sentence.",
        min_length=1,
        max_length=2000,
        json_schema_extra={"position": 0},
    )
    guidance: str = Field(
        default="",
        description="Optional: angle, audience or points to cover in this one report.",
        max_length=20_000,
        json_schema_extra={"position": 1},
    )

    @field_validator("title", "guidance")
    @classmethod
    def _one_spelling(cls, value: str) -> str:
        return unicodedata.normalize("NFC", value).strip()

    @field_validator("title")
    @classmethod
    def _not_blank(cls, value: str) -> str:
        if not re.search(r"\S", value.replace("\0", "")):
            raise ValueError("the title is blank; give the report a topic")
        return value

    @property
    def mark(self) -> str:
        """The eight-digit hash of title and guidance that ends the slug; quicker than the slug."""
        return digest(f"{self.title}\0{self.guidance}" if self.guidance else self.title)[:8]

    @cached_property
    def slug(self) -> str:
        """The report's folder name: at most 80 ASCII characters and an eight-digit hash."""
        words = slugify(self.title, max_length=71, word_boundary=True) or "topic"
        return f"{words}-{self.mark}"


class Critique(BaseModel):
    """A critic's judgement of one draft; also the strict schema the model must answer in."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    score: int = Field(
        ge=SCORES.least,
        le=SCORES.most,
        description="Overall quality from 1 to 10; 8 or more is ready for publication.",
    )
    strengths: list[str] = Field(description="What works and must be kept, one point each.")
    improvements: list[str] = Field(
        description="What to change, most important first; each point concrete enough to act on."
    )
    summary: str = Field(description="The judgement in one or two sentences.")


class CriticOpinion(Record):
    """One critic's opinion of a draft, in a panel."""

    name: str
    weight: float = 1
    critique: Critique


class PanelCritique(Record):
    """A panel's judgement of one draft: the critics' opinions, merged."""

    score: float
    strengths: list[str]
    improvements: list[str]
    summary: str
    critics: tuple[CriticOpinion, ...]
    missing: tuple[str, ...] = Field(default=(), description="Critics that gave no judgement.")
    disagreement: float = Field(description="Difference between the highest and the lowest score.")


class Draft(Record):
    """One version of a report; a revision is a draft with a parent."""

    number: int
    parent: int | None
    text: str
    score: float | None = None
    critique: Critique | PanelCritique | None = None


class Candidate(Record):
    """One of several first drafts, with the judge's scores."""

    number: int
    text: str
    chosen: bool
    score: float | None = Field(
        default=None, description="Mean of the judge's scores; None: not judged."
    )
    reasons: tuple[str, ...] = ()


class Refined(Record):
    """A topic's drafts and the one that won."""

    topic: Topic
    drafts: tuple[Draft, ...]
    best: int
    iterations: int
    stop_reason: StopReason
    created: int
    steps: tuple[StepRecord, ...]
    candidates: tuple[Candidate, ...] = ()

    @property
    def winner(self) -> Draft:
        """The best-scored draft."""
        return next(d for d in self.drafts if d.number == self.best)


class History(Record):
    """All drafts of a report with their scores and critiques: history.json."""

    schema_version: int = SCHEMA_VERSION
    topic: Topic
    drafts: tuple[Draft, ...] = Field(description="In the order in which they were written.")
    best: int = Field(description="Number of the draft that was published.")
    stop_reason: StopReason
    candidates: tuple[Candidate, ...] = Field(
        default=(), description="The first drafts that a judge compared; absent: there was one."
    )


class ChangeCount(Record):
    """Changes since the last report on the topic, counted in sections."""

    state: Literal["new", "unchanged", "changed", "unknown"]
    since: str = Field(default="", description="The run of the last report; empty: none.")
    added: int = 0
    dropped: int = 0
    rewritten: int = 0


class ReportResult(Record):
    """The result of one topic."""

    topic: str
    slug: str
    status: Status
    score: float | None = None
    iterations: int = 0
    stop_reason: StopReason | None = None
    directory: str | None = None
    calls: Calls = Calls()
    usage: Usage = Usage()
    cost_usd: Decimal | None = Field(
        default=Decimal(0), description="Spent on this report in this run; None: unknown."
    )
    error: ErrorReport | None = None
    changes: ChangeCount | None = Field(
        default=None, description="Changes since the last report on the topic; None: not published."
    )


class PaceRecord(Record):
    """The load on an endpoint in a run, and its adaptive concurrency."""

    endpoint: str = Field(description="Host of the endpoint.")
    concurrency: int = Field(description="Requests at once that the batch allows.")
    peak: int = Field(description="Most requests under way at once.")
    allowed: int = Field(
        description="Requests at once that adaptive concurrency allowed at the end."
    )
    lowest: int | None = Field(
        description="Lowest such limit after an overload; None: no overload."
    )
    refusals: int = Field(description="Signs of overload: refusals, time-outs, slow answers.")
    paused_s: float = Field(description="Seconds for which the endpoint asked all callers to wait.")


class BatchResult(RunRecord):
    """The result of a batch; also the content of batch.json."""

    reports: list[ReportResult]
    error: ErrorReport | None = Field(default=None, description="What stopped the batch.")
    pacing: list[PaceRecord] = Field(default=[])
    warnings: list[str] = Field(default=[])


class Manifest(Record):
    """The record of a result directory; written last, so with it all files are there."""

    schema_version: int = SCHEMA_VERSION
    topic: Topic
    slug: str
    status: Literal["published"] = "published"
    score: float | None
    iterations: int
    stop_reason: StopReason
    offline: bool
    options: dict[str, Any]
    steps: list[StepRecord]
    usage: Usage
    cost_usd: Decimal | None
    flow_run_id: str | None
    packages: dict[str, str]
    created: datetime
    files: list[FileEntry]
    warnings: list[str] = Field(default=[], description="Files that could not be made, and why.")
