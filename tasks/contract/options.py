"""The options of reports, field by field as the form shows them.

Not here: the options of calls (`call_options`), topics, rounds and threshold (`requests`), settings
of the machine (`settings`).
"""

from __future__ import annotations

import re
from typing import ClassVar

from pydantic import ConfigDict, Field, field_validator

from prefect_llm_reports.tasks.contract.call_options import GROUPS, CallOptions
from prefect_llm_reports.tasks.contract.choices import (
    AUDIENCE,
    CLAIMS_A_CALL,
    EVIDENCE_WORDS,
    LANGUAGE,
    LENGTH_WORDS,
    PROMPT_WORDS,
    REPORT_WORDS,
    ROUNDS,
    WORDS_A_CLAIM,
    Format,
    PanelMerge,
)
from prefect_llm_reports.tasks.contract.records import OFFLINE, Record
from prefect_llm_reports.tasks.contract.run_forms import form
from prefect_llm_reports.tasks.contract.source_names import source_names


def checked_pages_url(value: str | None) -> str | None:
    """Refuse an address that a browser cannot open, or that holds markup."""
    if value is not None and not re.fullmatch(r"https?://[^\s<>()\[\]\"'`\\]+", value):
        raise ValueError("this is not a web address; give one like https://reports.example.com")
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
    only steer the run: stored answers stay valid. `sources` and `evidence_words` are among these:
    a prompt holds passages, not the names of files, and a topic whose passages stay the same is
    not asked for again.
    """

    model_config = ConfigDict(
        json_schema_extra=form(
            title="Options",
            cost=("budget_usd", "quote"),
            report=("language", "audience", "length_words", "house_style", "formats", "templates"),
            sources=("sources", "evidence_words", "min_coverage", "support", "support_model"),
            approval=("approval", "approval_days"),
            critics=("critics", "critics_merge"),
            models=("writer_model", "critic_model", "summary_model", "judge_model"),
            drafts=("candidates", "plateau"),
            topics_file=("topic_column", "guidance_column"),
            **GROUPS,
            workers=("shards", "shard_deployment"),
            links_and_traces=("pages_url", "trace", "experiment"),
        )
    )

    IN_PROMPT: ClassVar[frozenset[str]] = frozenset(
        {
            *("writer_model", "critic_model", "summary_model", "judge_model"),
            *("language", "audience", "length_words", "house_style", "templates"),
            *("max_output_tokens", "temperature", "reasoning_effort", "extra_body"),
            *("critics", "critics_merge", "support_model"),
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
    critics_merge: PanelMerge = Field(
        default="mean", description="How a panel's scores are combined into the draft's score."
    )
    plateau: int | None = Field(
        default=None,
        ge=ROUNDS.least,
        le=ROUNDS.most,
        description="Stop after this number of rounds without a better score. Empty: off.",
    )
    language: str = Field(
        default=LANGUAGE, min_length=1, max_length=100, description="Language of the reports."
    )
    audience: str = Field(
        default=AUDIENCE,
        min_length=1,
        max_length=500,
        description="The readers of the reports.",
    )
    length_words: int = Field(
        default=LENGTH_WORDS,
        ge=REPORT_WORDS.least,
        le=REPORT_WORDS.most,
        description="Length of a report to aim for, in words.",
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

    sources: tuple[str, ...] = Field(
        default=(),
        description="Files that every report may quote: paths of files and folders, s3:// prefixes,"
        " or s3-bucket/NAME. A topic may have further ones of its own.",
    )
    evidence_words: int = Field(
        default=PROMPT_WORDS,
        ge=EVIDENCE_WORDS.least,
        le=EVIDENCE_WORDS.most,
        description="Words of sources that a prompt may hold. Longer sources are searched for the"
        " passages that fit the topic.",
    )

    min_coverage: float = Field(
        default=0.9,
        ge=0,
        le=1,
        description="With sources: the share of sentences that must have a note. A draft below it"
        " scores 7 at most.",
    )
    support: bool = Field(
        default=True,
        description="With sources: have a model judge whether each quoted passage supports its"
        " sentence. Its opinion is shown; it changes no score.",
    )
    support_model: str | None = Field(
        default=None,
        description="Model that judges support. Empty: the critic's model.",
    )

    approval: bool = Field(
        default=False,
        description="Publish finished reports only after a person has decided on them in the"
        " Prefect UI: approve, reject, or refine further.",
    )
    approval_days: float = Field(
        default=7, gt=0, le=365, description="Days to wait for that decision."
    )
    topic_column: str | None = Field(
        default=None,
        max_length=200,
        description="Name of the column, or key, of the topics file that holds the topics. Empty:"
        " title or topic.",
    )
    guidance_column: str | None = Field(
        default=None,
        max_length=200,
        description="Name of the column, or key, of the topics file that holds the guidance."
        " Empty: guidance.",
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

    @field_validator("sources", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        return source_names(value)

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

    def calls_a_topic(self, iterations: int, *, grounded: bool = False) -> int:
        """Calls for one topic that needs every round of critique.

        Args:
            iterations: Rounds of critique.
            grounded: The topic has sources, so the support of its claims is judged as well.
        """
        first = self.candidates + (self.candidates if self.candidates > 1 else 0)
        judged = self.support_calls if grounded else 0
        return first + iterations * (max(1, len(self.critics)) + judged) + iterations - 1 + 1

    @property
    def support_calls(self) -> int:
        """Calls that judge the claims of one new draft of the usual length."""
        claims = -(-self.length_words // WORDS_A_CLAIM)
        return -(-claims // CLAIMS_A_CALL) if self.support else 0

    def models(self, model: str) -> dict[str, str]:
        """The model of each step.

        Args:
            model: The batch's model, for steps that have none of their own.
        """
        if model == OFFLINE:
            steps = ("draft", "critique", "revise", "summary", "judge", "support")
            return dict.fromkeys(steps, OFFLINE)
        writer = self.writer_model or model
        return {
            "draft": writer,
            "critique": self.critic_model or model,
            "revise": writer,
            "summary": self.summary_model or model,
            "judge": self.judge_model or model,
            "support": self.support_model or self.critic_model or model,
        }
