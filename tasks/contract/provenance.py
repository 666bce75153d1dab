"""Records of who made a report and who decided on it; nothing here acts."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from prefect_llm_reports.tasks.contract.records import Record

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
"""IPTC's vocabulary, which says how a text was made."""
GENERATED = f"{SOURCE_TYPES}trainedAlgorithmicMedia"
COMPOSITE = f"{SOURCE_TYPES}compositeWithTrainedAlgorithmicMedia"
RULE_BASED = f"{SOURCE_TYPES}algorithmicMedia"


class Remark(Record):
    """A reviewer's comment on a report, which the next revision dealt with first."""

    iteration: int = Field(description="Rounds of critique that the report had taken by then.")
    draft: int = Field(description="Number of the draft that the reviewer read.")
    comment: str
    reviewer: str = Field(default="", description="As the reviewer gave it; empty: no name.")


class Approval(Record):
    """A person's decision to publish a report."""

    reviewer: str = Field(default="", description="As the reviewer gave it; empty: no name.")
    time: datetime = Field(description="When the person decided, UTC.")
    digest: str = Field(
        description="SHA-256 of what was approved: the published draft as in history.json, a zero"
        " byte, and summary.txt, in UTF-8."
    )
    comment: str = ""


class Provenance(Record):
    """Who made a report, and who decided on it, for machines and readers."""

    ai_generated: bool = Field(description="Whether language models wrote the text.")
    digital_source_type: str = Field(description="A term of IPTC's digital source types.")
    models: tuple[str, ...] = Field(description="The models that wrote and judged the report.")
    human_decision: Literal["none", "approved"] = Field(
        default="none", description="approved: a person read the report and let it be published."
    )
    approval: Approval | None = Field(default=None, exclude_if=lambda approval: approval is None)
    remarks: tuple[Remark, ...] = Field(default=(), exclude_if=lambda remarks: not remarks)
