"""Records of reports: topics, drafts, critiques, results, manifests; nothing here acts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
)
from slugify import slugify

from prefect_llm_reports.tasks.contract.calls import StepRecord
from prefect_llm_reports.tasks.contract.choices import SCORES
from prefect_llm_reports.tasks.contract.evidence import Evidence, EvidenceCount
from prefect_llm_reports.tasks.contract.provenance import Provenance, Remark
from prefect_llm_reports.tasks.contract.records import (
    SCHEMA_VERSION,
    Calls,
    ErrorReport,
    FileEntry,
    Record,
    RunRecord,
    Usage,
    digest,
    shortened,
)
from prefect_llm_reports.tasks.contract.source_names import source_names

Status = Literal["published", "failed", "held_back", "not_started"]
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
        description="Angle, readers or points to cover in this one report. Empty: none.",
        max_length=20_000,
        json_schema_extra={"position": 1},
    )

    sources: tuple[str, ...] = Field(
        default=(),
        description="Files that this one report may quote, beside those of the options. Empty:"
        " none.",
        json_schema_extra={"position": 2},
    )
    row: dict[str, str] = Field(
        default={},
        description="Further cells of the topic's row in a topics file, by the names of their"
        " columns. Guidance and templates may refer to them; the report may quote them. Empty:"
        " none.",
        json_schema_extra={"position": 3},
    )
    twin: str = Field(
        default="",
        description="What tells this topic from others that have the same title and guidance;"
        " written by the reader of topics files. Empty: there are none.",
        json_schema_extra={"position": 4},
    )

    @field_validator("sources", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        return source_names(value)

    @field_validator("row", mode="before")
    @classmethod
    def _cells(cls, value: object) -> object:
        """Take numbers as they are written; blank cells alone are no row."""
        if not isinstance(value, Mapping):
            return {} if value is None else value
        cells = cast("Mapping[str, Any]", value).items()
        written = {n: _cell(cell) for n, cell in cells}
        return written if any(cell != "" for cell in written.values()) else {}

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

    @model_serializer(mode="wrap")
    def _briefly(self, write: SerializerFunctionWrapHandler):  # its schema is the fields'
        """Leave unused fields out, so that files about topics without them stay as they were."""
        return {n: v for n, v in write(self).items() if v or n not in ("sources", "row", "twin")}

    @property
    def mark(self) -> str:
        """The eight-digit hash of title and guidance that ends the slug; quicker than the slug.

        Sources and row are not part of it, so a report keeps its predecessor when they change.
        """
        asked = f"{self.title}\0{self.guidance}" if self.guidance else self.title
        return digest(f"{asked}\0\0{self.twin}" if self.twin else asked)[:8]

    @cached_property
    def short(self) -> str:
        """The title on one line, at most 60 characters, for names in the UI."""
        return shortened(self.title)

    @cached_property
    def slug(self) -> str:
        """The report's folder name: at most 80 ASCII characters and an eight-digit hash."""
        words = slugify(self.title, max_length=71, word_boundary=True) or "topic"
        return f"{words}-{self.mark}"


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return str(value) if is_number else value


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
    critic_score: float | None = Field(
        default=None, description="The critics' own score, where what checking found caps it."
    )
    capped: str = Field(default="", description="Why the score is capped. Empty: it is not.")
    evidence: EvidenceCount | None = Field(
        default=None, description="What checking found in it; None: it has no sources."
    )


UNCHECKED = {"critic_score", "capped", "evidence"}
"""Fields of drafts that only reports with sources have."""


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
    language: str = Field(
        default="", description="BCP 47 tag of the report's language; empty: by its text."
    )
    remarks: tuple[Remark, ...] = ()
    evidence: Evidence | None = None
    marked: str = ""

    @property
    def text(self) -> str:
        """The text to publish: the winner's, in which notes that failed a check say so."""
        return self.marked or self.winner.text

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
    remarks: tuple[Remark, ...] = Field(
        default=(),
        description="Comments of a reviewer, and the drafts they are on; absent: none.",
        exclude_if=lambda remarks: not remarks,
    )


class ChangeCount(Record):
    """Changes since the last report on the topic, counted in sections."""

    state: Literal["new", "unchanged", "changed", "unknown"]
    since: str = Field(default="", description="The run of the last report; empty: none.")
    added: int = 0
    dropped: int = 0
    rewritten: int = 0
    moved: int = Field(
        default=0,
        description="Sections as they were, in another place; absent: none.",
        exclude_if=lambda count: count == 0,
    )


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
    evidence: EvidenceCount | None = Field(
        default=None, description="What checking found in it; None: it has no sources."
    )
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
    error: ErrorReport | None = Field(default=None, description="The error that stopped the batch.")
    pacing: list[PaceRecord] = Field(default=[])
    warnings: list[str] = Field(default=[])
    options: dict[str, Any] = Field(
        default={},
        description="Endpoint, model, rounds and threshold, and the options that are not at their"
        " defaults; empty: not recorded.",
    )


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
    provenance: Provenance | None = Field(
        default=None,
        description="Who made the report and who decided on it; absent: written before 0.2.",
        exclude_if=lambda provenance: provenance is None,
    )
    evidence: EvidenceCount | None = Field(
        default=None, description="What checking found in it; None: it has no sources."
    )
