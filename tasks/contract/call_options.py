"""The options of calls, shared by all flows.

Not here: the options of reports (`options`) and of branches (`branches`).
"""

from __future__ import annotations

import re
from typing import Any, Literal, cast

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator

from prefect_llm_reports.tasks.contract.choices import (
    ANSWER_TOKENS,
    CALLS_AT_ONCE,
    DEADLINE_S,
    DEPLOYED_PATIENCE_S,
    FLEX_DEADLINE_S,
    MAX_OUTPUT_TOKENS,
    PATIENCE_S,
    REPORT_CALLS_AT_ONCE,
    TEMPERATURES,
    Effort,
    Tier,
)
from prefect_llm_reports.tasks.contract.extras import checked_extra_body
from prefect_llm_reports.tasks.contract.records import Price, Record, Usd
from prefect_llm_reports.tasks.contract.run_forms import EndpointName, form


def checked_collector(value: str | None) -> str | None:
    """Refuse an address that cannot take spans, or that holds credentials."""
    if value is not None and not re.fullmatch(r"https?://[^\s/@?#]+(?:/[^\s@?#]*)?", value):
        raise ValueError(
            "this is not the address of a collector; give one like http://127.0.0.1:5000, and"
            " credentials in MLFLOW_TRACKING_USERNAME and _PASSWORD or OTEL_EXPORTER_OTLP_HEADERS"
        )
    return value


class Fallback(Record):
    """A model, and an endpoint, to ask when those before it fail for good."""

    model_config = ConfigDict(json_schema_extra=form())

    model: str = Field(min_length=1, description="Model to ask there.")
    endpoint: EndpointName | None = Field(
        default=None, description="A saved LLM endpoint. Empty: the batch's own endpoint."
    )


GROUPS: dict[str, tuple[str, ...]] = {
    "model": ("temperature", "reasoning_effort", "max_output_tokens", "extra_body"),
    "pace": ("concurrency", "requests_per_minute", "tokens_per_minute"),
    "waiting": ("deadline_s", "patience_s", "fallbacks"),
    "price": ("price", "when_late", "prices"),
    "stored_answers": ("refresh", "store", "store_days", "store_mb"),
}
"""Groups of options that the run forms of reports and of branches share."""


class CallOptions(Record):
    """How a run calls models and stores their answers; shared by all flows."""

    model_config = ConfigDict(json_schema_extra=form())

    concurrency: int = Field(
        default=REPORT_CALLS_AT_ONCE,
        ge=CALLS_AT_ONCE.least,
        le=CALLS_AT_ONCE.most,
        description="LLM calls at the same time, at most.",
    )
    budget_usd: Usd | None = Field(
        default=None,
        title="Budget (USD)",
        description="US dollars that this run may spend; checked before each call. Empty: no"
        " limit.",
    )
    deadline_s: float = Field(
        default=DEADLINE_S,
        title="Deadline (seconds)",
        gt=0,
        le=3600,
        description="Seconds that one LLM call may take, retries included.",
    )
    patience_s: float | None = Field(
        default=None,
        title="Patience (seconds)",
        ge=0,
        le=86_400,
        description="Seconds to wait for an endpoint that has answered before and is away; nothing"
        f" fails meanwhile. Empty: {PATIENCE_S:g}, in deployments {DEPLOYED_PATIENCE_S:g}.",
    )
    max_output_tokens: int = Field(
        default=MAX_OUTPUT_TOKENS,
        ge=ANSWER_TOKENS.least,
        le=ANSWER_TOKENS.most,
        description="Tokens that one answer may have, reasoning included; the highest cost of a"
        " call is computed from it.",
    )
    temperature: float | None = Field(
        default=None,
        ge=TEMPERATURES.least,
        le=TEMPERATURES.most,
        description="Sampling temperature. Empty: none is sent, and the model's own default"
        " applies.",
    )
    reasoning_effort: Effort | None = Field(
        default=None,
        description="How much a model may reason before it answers; each endpoint takes some of"
        " these words. Empty: none is sent, and the model's own default applies.",
    )
    extra_body: dict[str, Any] = Field(
        default={},
        title="Extra body",
        description="Further parameters of every request, as the endpoint documents them, such as"
        " top_p or chat_template_kwargs. None that another option sets, and no secrets.",
    )
    requests_per_minute: int | None = Field(
        default=None, ge=1, description="The account's limit. Empty: none."
    )
    tokens_per_minute: int | None = Field(
        default=None, ge=1, description="The account's limit. Empty: none."
    )
    price: Tier = Field(
        default="standard",
        description="flex: half the price at endpoints that offer it, and slower answers; the"
        " deadline is then 900 seconds unless it is given.",
    )
    when_late: Literal["fail", "standard"] = Field(
        default="fail",
        description="What happens to a call for which there is no flex capacity before the"
        " deadline. standard: it is asked at the standard price.",
    )
    prices: dict[str, Price] = Field(
        default={},
        description="Prices by model name, for local models or contracts; they replace those of the"
        " price list.",
    )
    fallbacks: tuple[Fallback, ...] = Field(
        default=(),
        description="Other models or endpoints, asked in this order when one fails for good: key"
        " rejected, quota used up, model gone, endpoint down.",
    )
    store: str | None = Field(
        default=None,
        description="The store of paid answers: a folder or s3://bucket/prefix. Empty: the"
        " machine's own store.",
    )
    store_days: float | None = Field(
        default=None, gt=0, description="Answers older than this number of days are bought again."
    )
    store_mb: int | None = Field(
        default=None,
        title="Store MB",
        ge=1,
        description="Largest size of the store in megabytes; the oldest answers are removed first.",
    )
    refresh: bool = Field(
        default=False,
        description="Ignore stored answers: ask for each again, once, and store the new one.",
    )
    quote: bool = Field(
        default=False,
        description="Make no call and spend nothing: show what the run would ask, what it would"
        " cost in US dollars in each tier, and how many seconds it would take.",
    )

    trace: str | None = Field(
        default=None,
        description="Where spans are sent: MLflow's tracking URI, or the address of a collector"
        " that takes OTLP over HTTP. Empty: what OTEL_EXPORTER_OTLP_ENDPOINT names.",
    )
    experiment: str | None = Field(
        default=None,
        description="MLflow's experiment for the spans, or the project's name elsewhere. Empty:"
        " Default.",
    )

    @property
    def patience(self) -> float:
        """Seconds to wait for an endpoint that is away."""
        return PATIENCE_S if self.patience_s is None else self.patience_s

    @model_validator(mode="before")
    @classmethod
    def _flex_takes_time(cls, values: Any) -> Any:
        """Give flex calls the time that they need, unless a deadline is given."""
        if not isinstance(values, dict):
            return values
        given = cast("dict[str, Any]", values)
        if given.get("price") == "flex" and given.get("deadline_s") in (None, ""):
            return {**given, "deadline_s": FLEX_DEADLINE_S}
        return given

    @field_validator("extra_body", mode="before")
    @classmethod
    def _no_extra_body(cls, value: object) -> object:
        return {} if value is None else value

    @field_validator("extra_body")
    @classmethod
    def _contradicts_nothing(cls, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        checked_extra_body(value, effort=info.data.get("reasoning_effort") is not None)
        return value

    @field_validator("trace")
    @classmethod
    def _a_collector(cls, value: str | None) -> str | None:
        return checked_collector(value)

    @field_validator("*", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object, info: ValidationInfo) -> object:
        """Give a field that a form leaves empty its default."""
        field = cls.model_fields[info.field_name or ""]
        return field.get_default(call_default_factory=True) if value == "" else value
