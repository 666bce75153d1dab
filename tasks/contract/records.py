"""The base of all records, and the values they share: file names, money, tokens, errors, runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from prefect_llm_reports.tasks.contract.run_forms import form

SCHEMA_VERSION = 1
"""Version of the form of result files."""

OFFLINE = "offline"
"""The model name of the embedded engine."""

MANIFEST, BATCH, SUMS = "manifest.json", "batch.json", "SHA256SUMS"
"""Files written last: a result directory's, a run's, and the checksums of a run."""

SHARDS = ".shards"
"""Folder of a split run until it ends: the orders of its shards and their records."""

Usd = Annotated[Decimal, Field(ge=0)]


class Record(BaseModel):
    """A frozen value; an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy the record with changes; the copy computes its derived values anew."""
        copied = super().model_copy(update=update, deep=deep)
        values = vars(copied)
        for derived in values.keys() - type(self).model_fields.keys():
            del values[derived]
        return copied


def canonical_json(value: Any) -> str:
    """Write a value as JSON in one spelling: sorted keys, no spaces, UTF-8 kept."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(text: str) -> str:
    """SHA-256 of the text's UTF-8 form, in hex; lone surrogates stay distinct."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def shortened(text: str, most: int = 60) -> str:
    """A text on one line, at most so many characters, the last an ellipsis if it is cut.

    Args:
        text: The text, which may have several lines.
        most: Characters that it may have.
    """
    plain = " ".join(text[: 10 * most].split())
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


class Rates(Record):
    """US dollars per million tokens."""

    model_config = ConfigDict(json_schema_extra=form())

    input: Usd = Field(description="USD for one million input tokens.")
    output: Usd = Field(description="USD for one million output tokens.")
    cached_input: Usd | None = Field(
        default=None, description="USD for one million cached input tokens. Empty: as for input."
    )
    cache_write: Usd | None = Field(
        default=None,
        description="USD for one million input tokens that are written to a cache. Empty: as for"
        " input.",
    )


class Price(Rates):
    """The price of a model, in US dollars per million tokens."""

    tiers: dict[Literal["flex", "priority", "batch"], Rates] = Field(
        default={},
        description="Prices of other tiers: flex, priority, batch. A tier that is not named costs"
        " the standard price.",
    )


class Usage(Record):
    """Tokens of one or more calls, as the endpoint counted them.

    Cached tokens and cache writes are parts of the input.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_input_tokens=self.cached_input_tokens + other.cached_input_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
        )


class ErrorReport(Record):
    """Why a report or an answer was not made."""

    kind: str
    message: str
    step: str = ""
    attempts: int = 0
    request_id: str | None = None

    @classmethod
    def unexpected(cls, error: Exception) -> Self:
        """Report an error that no class of ours describes; its traceback stays in the log."""
        said = f"unexpected {type(error).__name__}; the log of the flow run has the traceback"
        return cls(kind="unexpected", message=said)


class Calls(Record):
    """Where the answers of a report or a run came from."""

    made: int = Field(default=0, description="Answers that a model gave in this run.")
    cached: int = Field(default=0, description="Answers read from the store.")
    retried: int = Field(default=0, description="HTTP requests that were repeated.")


class FileEntry(Record):
    """One file of a result directory."""

    name: str
    size: int
    sha256: str

    @classmethod
    def of(cls, name: str, body: bytes) -> Self:
        """Make the entry of a file with this content."""
        return cls(name=name, size=len(body), sha256=hashlib.sha256(body).hexdigest())


class RunRecord(Record):
    """The fields that the results of all kinds of runs share."""

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
