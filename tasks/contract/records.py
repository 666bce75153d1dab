"""What every record is made of: the base of frozen values, names of files, money, usage, errors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from prefect_llm_reports.tasks.contract.run_forms import form

SCHEMA_VERSION = 1


OFFLINE = "offline"


MANIFEST, BATCH, SUMS = "manifest.json", "batch.json", "SHA256SUMS"
"""The files that complete a result directory, a run, and the checksums of a run."""


SHARDS = ".shards"
"""Folder of a run that is split, until it ends: what its parts have to do, and have done."""


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


class ErrorReport(Record):
    """Why a report was not published."""

    kind: str
    message: str
    step: str = ""
    attempts: int = 0
    request_id: str | None = None


class Calls(Record):
    """How the answers of a report or a run were come by."""

    made: int = Field(default=0, description="Answers newly asked for.")
    cached: int = Field(default=0, description="Answers read from the store.")
    retried: int = Field(default=0, description="HTTP requests made again.")


class FileEntry(Record):
    """One file of a result directory."""

    name: str
    size: int
    sha256: str

    @classmethod
    def of(cls, name: str, body: bytes) -> Self:
        """The entry of a file with this content."""
        return cls(name=name, size=len(body), sha256=hashlib.sha256(body).hexdigest())
