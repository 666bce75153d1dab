"""The options of reports, field by field as the form shows them.

Not here: the options of calls (`call_options`), topics, rounds and threshold (`requests`), settings
of the machine (`settings`).
"""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from pydantic import ConfigDict, Field, field_validator

from prefect_llm_reports.tasks.contract.call_options import CallOptions
from prefect_llm_reports.tasks.contract.choices import (
    ROUNDS,
    Format,
)
from prefect_llm_reports.tasks.contract.records import OFFLINE, Record
from prefect_llm_reports.tasks.contract.run_forms import form


def checked_pages_url(value: str | None) -> str | None:
    """Refuse an address that a browser cannot open, or that holds markup."""
    if value is not None and not re.fullmatch(r"https?://[^\s<>()\[\]\"'`\\]+", value):
        raise ValueError("this is no web address; give one like https://reports.example.com")
    return value


class Critic(Record):
    """One member of a panel of critics; judges drafts from one point of view."""

    model_config = ConfigDict(json_schema_extra=form())

    name: str = Field(
        min_length=1,
        max_length=60,
        description="Short name, unique in the panel: a criterion or a persona.",
    )
    focus: str = Field(
        min_length=1,
        max_length=5000,
        description="The point of view of this critic, in plain words.",
    )
    model: str | None = Field(
        default=None,
        description="Model of this critic. Empty: the batch's critic model.",
    )
    weight: float = Field(
        default=1,
        gt=0,
        le=100,
        description="Weight of this critic's score where scores are weighted.",
    )

    @field_validator("model", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value


class ReportOptions(CallOptions):
    """Everything about a batch of reports beyond topics, rounds, threshold, model and output.

    Fields in `IN_PROMPT` reach the model: when one changes, answers are bought again. The others
    only steer the run: stored answers stay valid.
    """

    model_config = ConfigDict(
        json_schema_extra=form(
            *("budget_usd", "language", "audience", "length_words", "house_style", "formats"),
            *("approval", "approval_days", "pages_url"),
            *("writer_model", "critic_model", "summary_model", "candidates", "judge_model"),
            *("critics", "critics_merge", "plateau", "temperature", "templates"),
            *(
                "concurrency",
                "deadline_s",
                "patience_s",
                "max_output_tokens",
                "shards",
                "shard_deployment",
            ),
            title="Options",
        )
    )

    IN_PROMPT: ClassVar[frozenset[str]] = frozenset(
        {
            "writer_model",
            "critic_model",
            "summary_model",
            "language",
            "audience",
            "length_words",
            "house_style",
            "max_output_tokens",
            "temperature",
            "templates",
            "judge_model",
            "critics",
            "critics_merge",
        }
    )

    writer_model: str | None = Field(
        default=None, description="Model for drafts and revisions. Empty: the batch's model."
    )
    critic_model: str | None = Field(
        default=None, description="Model for critiques. Empty: the batch's model."
    )
    summary_model: str | None = Field(
        default=None, description="Model for executive summaries. Empty: the batch's model."
    )
    candidates: int = Field(
        default=1,
        ge=1,
        le=10,
        description="Independent first drafts of each report; a judge picks one to refine."
        " Each draft costs two calls: one to write it, one to judge it.",
    )
    judge_model: str | None = Field(
        default=None, description="Model that picks among candidates. Empty: the batch's model."
    )
    critics: tuple[Critic, ...] = Field(
        default=(),
        max_length=20,
        description="A panel: every critic judges each draft from its own point of view, at the"
        " same time. Empty: one critic judges all five criteria.",
    )
    critics_merge: Literal["mean", "median", "minimum", "weighted"] = Field(
        default="mean", description="How a panel's scores are combined into the draft's score."
    )
    plateau: int | None = Field(
        default=None,
        ge=ROUNDS.least,
        le=ROUNDS.most,
        description="Stop after this number of rounds without a better score. Empty: off.",
    )
    language: str = Field(
        default="English", min_length=1, max_length=100, description="Language of the reports."
    )
    audience: str = Field(
        default="informed readers who are not specialists",
        min_length=1,
        max_length=500,
        description="The readers of the reports.",
    )
    length_words: int = Field(
        default=1200, ge=100, le=10_000, description="Length of a report to aim for, in words."
    )
    house_style: str = Field(
        default="",
        max_length=10_000,
        description="Rules of style for every report, in plain words.",
    )
    templates: str | None = Field(
        default=None,
        description="Folder of your own templates; each replaces the packaged one of the same"
        " name.",
    )
    formats: tuple[Format, ...] = Field(
        default=(),
        description="Files beside Markdown and HTML: pdf, docx. Each needs the extra of its name,"
        " as in pip install 'prefect-llm-reports[pdf]'.",
    )

    approval: bool = Field(
        default=False,
        description="Publish finished reports only after a person has decided on them in the"
        " Prefect UI: approve, reject, or refine further.",
    )
    approval_days: float = Field(
        default=7, gt=0, le=365, description="Days to wait for that decision."
    )
    pages_url: str | None = Field(
        default=None,
        title="Pages URL",
        description="Web address at which the output folder is served, for links in the UI."
        " Empty: the worker's LLM_REPORTS_PAGES_URL, else none.",
    )

    shards: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="Number of parts into which the batch is split. A worker of its own runs each,"
        " on this machine or others; all need access to store and output. 1: the batch is not"
        " split.",
    )
    shard_deployment: str = Field(
        default="report-shard/on-demand",
        pattern=r"^[^/]+/[^/]+$",
        description="Deployment that runs the parts, as flow-name/deployment-name.",
    )

    @field_validator("pages_url")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        return checked_pages_url(value)

    @field_validator("formats")
    @classmethod
    def _once_each(cls, value: tuple[Format, ...]) -> tuple[Format, ...]:
        return tuple(dict.fromkeys(value))

    @field_validator("house_style", mode="before")
    @classmethod
    def _no_style(cls, value: object) -> object:
        return "" if value is None else value

    @field_validator("critics")
    @classmethod
    def _distinct(cls, critics: tuple[Critic, ...]) -> tuple[Critic, ...]:
        names = [critic.name.casefold() for critic in critics]
        if len(set(names)) < len(names):
            raise ValueError("two critics have the same name; rename one of them")
        return critics

    def calls_a_topic(self, iterations: int) -> int:
        """Calls for one topic that needs every round of critique."""
        first = self.candidates + (self.candidates if self.candidates > 1 else 0)
        return first + iterations * max(1, len(self.critics)) + iterations - 1 + 1

    def models(self, model: str) -> dict[str, str]:
        """The model of each step.

        Args:
            model: The batch's model, for steps that have none of their own.
        """
        if model == OFFLINE:
            return dict.fromkeys(("draft", "critique", "revise", "summary", "judge"), OFFLINE)
        writer = self.writer_model or model
        return {
            "draft": writer,
            "critique": self.critic_model or model,
            "revise": writer,
            "summary": self.summary_model or model,
            "judge": self.judge_model or model,
        }
