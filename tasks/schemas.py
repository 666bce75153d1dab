"""Every model that crosses a task boundary or lands in a file; no behaviour but derived values."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator
from slugify import slugify

from tasks.forms import form

SCHEMA_VERSION = 1
OFFLINE = "offline"

MANIFEST, BATCH, SUMS = "manifest.json", "batch.json", "SHA256SUMS"
"""The files that complete a result directory, a run, and the checksums of a run."""

SHARDS = ".shards"
"""Folder of a run that is split, until it ends: what its parts have to do, and have done."""

Status = Literal["published", "failed", "not_started"]
StopReason = Literal["accepted", "iterations_exhausted", "plateau", "budget_exhausted"]
Usd = Annotated[Decimal, Field(ge=0)]


class Record(BaseModel):
    """A frozen value; unknown fields are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A changed copy, whose derived values are its own and not the original's."""
        copied = super().model_copy(update=update, deep=deep)
        values = vars(copied)
        for derived in values.keys() - type(self).model_fields.keys():
            del values[derived]
        return copied


def canonical_json(value: Any) -> str:
    """One spelling for equal values: sorted keys, no spaces, UTF-8 kept."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(text: str) -> str:
    """SHA-256 of the text's UTF-8 form, in hex; lone surrogates are kept distinct."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Topic(Record):
    """What one report is about."""

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

    @cached_property
    def slug(self) -> str:
        """The report's folder name: at most 80 ASCII characters and an eight-digit hash."""
        identity = f"{self.title}\0{self.guidance}" if self.guidance else self.title
        words = slugify(self.title, max_length=71, word_boundary=True) or "topic"
        return f"{words}-{digest(identity)[:8]}"


class Price(Record):
    """What a model costs, in US dollars per million tokens."""

    model_config = ConfigDict(json_schema_extra=form())

    input: Usd = Field(description="USD for one million input tokens.")
    output: Usd = Field(description="USD for one million output tokens.")
    cached_input: Usd | None = Field(
        default=None, description="USD for one million cached input tokens; empty: as input."
    )


class Usage(Record):
    """Tokens of one or more calls, as the endpoint counted them."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_input_tokens=self.cached_input_tokens + other.cached_input_tokens,
        )


class Critique(BaseModel):
    """A critic's judgement of one draft; also the strict schema the model must answer in."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    score: int = Field(
        ge=1, le=10, description="Overall quality from 1 to 10; 8 or more is ready for publication."
    )
    strengths: list[str] = Field(description="What works and must be kept, one point each.")
    improvements: list[str] = Field(
        description="What to change, most important first; each point concrete enough to act on."
    )
    summary: str = Field(description="The judgement in one or two sentences.")


class CriticOpinion(Record):
    """What one critic of a panel said of a draft."""

    name: str
    weight: float = 1
    critique: Critique


class PanelCritique(Record):
    """A panel's judgement of one draft: its critics' opinions and what they were merged into."""

    score: float
    strengths: list[str]
    improvements: list[str]
    summary: str
    critics: tuple[CriticOpinion, ...]
    missing: tuple[str, ...] = Field(default=(), description="Critics that gave no judgement.")
    disagreement: float = Field(description="Between the highest and the lowest score.")


class Message(Record):
    """One chat message."""

    role: Literal["system", "user", "assistant"]
    content: str


class Ask(Record):
    """One question to a model, complete: what is sent, and nothing about who asks.

    The fields in `IN_KEY` decide whether an earlier answer can be used again. Of the others,
    `step` and `label` name the call, `item` is the slug of the report it is for, `needed` says
    that the report cannot be published without it, and `accept` turns the answer's text into the
    form that is kept, or raises `Invalid`.
    """

    IN_KEY: ClassVar[frozenset[str]] = frozenset(
        {
            "endpoint",
            "model",
            "messages",
            "output_name",
            "output_schema",
            "max_output_tokens",
            "temperature",
            "variant",
        }
    )

    step: str
    label: str
    item: str
    needed: bool = True
    endpoint: str
    model: str
    messages: tuple[Message, ...]
    output_name: str | None = None
    output_schema: dict[str, Any] | None = None
    max_output_tokens: int
    temperature: float | None = None
    variant: str = ""
    accept: Callable[[str], str] = Field(default=str.strip, exclude=True, repr=False)

    @cached_property
    def prompt_digest(self) -> str:
        """SHA-256 over the rendered messages."""
        return digest(canonical_json([m.model_dump() for m in self.messages]))

    @cached_property
    def key(self) -> str:
        """The name under which the answer is kept: 64 hex digits, equal for equal questions."""
        fields = self.model_dump(include=set(self.IN_KEY) - {"messages"})
        return digest(canonical_json({**fields, "prompt": self.prompt_digest}))


class Answer(Record):
    """A model's accepted answer, as it is kept: what was said, by whom, and what it cost."""

    text: str
    model: str
    endpoint: str
    created: int = Field(default=0, description="Unix time given by the endpoint; 0: none.")
    usage: Usage | None = Field(default=None, description="None: the endpoint did not say.")
    cost_usd: Decimal | None = Field(default=None, description="None: unknown.")
    request_id: str | None = None
    attempts: int = Field(default=1, description="HTTP requests made, re-asks included.")


class StepRecord(Record):
    """One answered call of a report, for the manifest."""

    step: str
    iteration: int
    part: str = Field(default="", description="The candidate or the critic, where several are.")
    model: str
    endpoint: str
    prompt_digest: str
    answer_key: str
    cached: bool
    attempts: int
    request_id: str | None
    usage: Usage | None
    cost_usd: Decimal | None


class Draft(Record):
    """One version of a report; a revision is a draft with a parent."""

    number: int
    parent: int | None
    text: str
    score: float | None = None
    critique: Critique | PanelCritique | None = None


class Candidate(Record):
    """One of several first drafts, and what the judge said of it."""

    number: int
    text: str
    chosen: bool
    score: float | None = Field(default=None, description="Mean of the judge's; None: not judged.")
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
    """Every draft of a report with its score and the critique it got: history.json."""

    schema_version: int = SCHEMA_VERSION
    topic: Topic
    drafts: tuple[Draft, ...] = Field(description="In the order in which they were written.")
    best: int = Field(description="Number of the draft that was published.")
    stop_reason: StopReason
    candidates: tuple[Candidate, ...] = Field(
        default=(), description="First drafts among which a judge chose; absent: there was one."
    )


class ErrorReport(Record):
    """Why a report was not published."""

    kind: str
    message: str
    step: str = ""
    attempts: int = 0
    request_id: str | None = None


class ChangeCount(Record):
    """How a report differs from the last one on its topic, in sections."""

    state: Literal["new", "unchanged", "changed", "unknown"]
    since: str = Field(default="", description="The run it is compared with; empty: none.")
    added: int = 0
    dropped: int = 0
    rewritten: int = 0


class Calls(Record):
    """How the answers of a report or a run were come by."""

    made: int = Field(default=0, description="Answers newly asked for.")
    cached: int = Field(default=0, description="Answers read from the store.")
    retried: int = Field(default=0, description="HTTP requests made again.")


class ReportResult(Record):
    """What became of one topic."""

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
        default=None, description="Since the last report on this topic; None: not published."
    )


class PaceRecord(Record):
    """How an endpoint was used: what adaptive concurrency did in a run."""

    endpoint: str = Field(description="Host of the endpoint.")
    concurrency: int = Field(description="Requests allowed at once, by the batch.")
    peak: int = Field(description="Requests under way at once, at most.")
    allowed: int = Field(description="Requests allowed at once at the end, by experience.")
    lowest: int | None = Field(description="Lowest limit after an overload; None: no overload.")
    refusals: int = Field(description="Signs of overload: refusals, time-outs, slow answers.")
    paused_s: float = Field(description="Seconds that the endpoint asked everybody to wait.")


class BatchResult(Record):
    """What became of a batch; also the content of batch.json."""

    schema_version: int = SCHEMA_VERSION
    run_id: str
    status: Literal["complete", "partial", "stopped"]
    run_directory: str
    offline: bool = False
    started: datetime
    duration_s: float
    calls: Calls
    usage: Usage
    cost_usd: Decimal | None = Field(description="Spent in this run; None: unknown.")
    reports: list[ReportResult]
    error: ErrorReport | None = Field(default=None, description="What stopped the batch.")
    pacing: list[PaceRecord] = []
    warnings: list[str] = []


class FileEntry(Record):
    """One file of a result directory."""

    name: str
    size: int
    sha256: str

    @classmethod
    def of(cls, name: str, body: bytes) -> Self:
        """The entry of a file with this content."""
        return cls(name=name, size=len(body), sha256=hashlib.sha256(body).hexdigest())


class Manifest(Record):
    """A result directory's own record; written last, so its presence means all files are there."""

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
    warnings: list[str] = Field(default=[], description="What could not be made, and why.")
