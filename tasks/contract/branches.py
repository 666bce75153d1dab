"""The parts of a program of branches: questions, forms of answers, options.

Here: models, each valid by itself. Not here: whether they make a program (`branches.programs`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator, model_validator

from prefect_llm_reports.tasks.contract.call_options import GROUPS, CallOptions
from prefect_llm_reports.tasks.contract.choices import (
    ANSWER_TOKENS,
    BRANCH_CALLS_AT_ONCE,
    CALLS_AT_ONCE,
    TEMPERATURES,
)
from prefect_llm_reports.tasks.contract.json_refs import without_refs
from prefect_llm_reports.tasks.contract.records import Record
from prefect_llm_reports.tasks.contract.run_forms import EndpointName, OrText, form

FieldType = Literal["text", "integer", "number", "boolean", "choice"]
_NAME = re.compile(r"[^\W_][\w-]{0,39}")


class Query(BaseModel):
    """The default input: one question."""

    query: str = Field(description="The question to answer.")


class AnswerWithThinking(BaseModel):
    """The default output: reasoning first, then the answer it leads to."""

    thinking: str = Field(description="The reasoning that leads to the answer, step by step.")
    answer: str = Field(description="The answer to the question, complete in itself.")


class OutputField(Record):
    """One field of a branch's output, as a form or a file describes it."""

    model_config = ConfigDict(json_schema_extra=form())

    name: str = Field(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$",
        description="Letters, digits and underscores.",
    )
    type: FieldType = Field(default="text", description="Kind of value.")
    description: str = Field(
        default="",
        max_length=2000,
        description="Explains the field to the model.",
    )
    choices: tuple[str, ...] = Field(
        default=(),
        description="The values to choose from, for the type choice.",
    )
    many: bool = Field(default=False, description="A list of such values.")
    optional: bool = Field(
        default=False, title="May be empty", description="The model may leave it empty."
    )

    @model_validator(mode="after")
    def _choices_where_they_belong(self) -> OutputField:
        if (self.type == "choice") != bool(self.choices):
            raise ValueError(
                f"field {self.name}: choices belong to the type choice, and only there"
            )
        return self

    def schema_of(self) -> dict[str, Any]:
        """The field's JSON Schema."""
        kind = {"text": "string", "choice": "string"}.get(self.type, self.type)
        found: dict[str, Any] = {"type": kind}
        if self.choices:
            found["enum"] = list(self.choices)
        if self.many:
            found = {"type": "array", "items": found}
        if self.optional:
            found = {"anyOf": [found, {"type": "null"}]}
        return {**found, "description": self.description} if self.description else found


class Use(Record):
    """An output of another branch, or a part of it, that a branch reads."""

    model_config = ConfigDict(json_schema_extra=form())

    source: str = Field(
        min_length=1,
        description="Name of the other branch, or of a field of its output: facts, facts.answer.",
    )
    name: str = Field(
        default="",
        description="Its name in this branch. Empty: the last part of the source.",
    )

    @property
    def branch(self) -> str:
        """Name of the branch that it comes from."""
        return self.source.split(".")[0]

    @property
    def path(self) -> list[str]:
        """Path to the field in the output; empty: the whole output."""
        return self.source.split(".")[1:]

    @property
    def called(self) -> str:
        """Its name in the branch that reads it."""
        return self.name or self.source.split(".")[-1]


OutputSpec = (
    Annotated[list[OutputField], Field(title="Fields")]
    | Annotated[dict[str, Any], Field(title="JSON Schema")]
)


class Branch(Record):
    """One question about the input, with the form of its answer.

    In Python `output` and `takes` may be pydantic models; answers are then instances of them.
    """

    model_config = ConfigDict(json_schema_extra=form())

    name: str = Field(
        description="Short name, unique in the program; letters, digits, - and _.",
        json_schema_extra={"pattern": f"^{_NAME.pattern}$"},
    )
    instructions: str = Field(
        default="",
        max_length=20_000,
        description="The task of this branch, and its point of view.",
    )
    model: str | None = Field(
        default=None,
        description="Model of this branch. Empty: the run's.",
    )
    output: OutputSpec | None = Field(
        default=None,
        description="Form of the answer: fields with name, type and description, or a JSON Schema."
        " Empty: thinking and answer.",
    )
    uses: tuple[Annotated[Use, OrText("Source")], ...] = Field(
        default=(),
        description="Outputs of other branches that this branch reads; it waits for them. A text is"
        " the source: facts, facts.answer.",
    )
    takes: OutputSpec | None = Field(
        default=None,
        description="Form that input and uses together must have for this branch; checked before"
        " any call. Empty: any form.",
    )
    endpoint: EndpointName | None = Field(
        default=None,
        description="A saved LLM endpoint for this branch. Empty: the run's.",
    )
    temperature: float | None = Field(
        default=None,
        ge=TEMPERATURES.least,
        le=TEMPERATURES.most,
        description="Sampling temperature of this branch. Empty: the run's.",
    )
    max_output_tokens: int | None = Field(
        default=None,
        ge=ANSWER_TOKENS.least,
        le=ANSWER_TOKENS.most,
        description="Tokens that this branch's answer may have. Empty: the run's.",
    )

    _models: dict[str, type[BaseModel]] = PrivateAttr(default_factory=dict[str, type[BaseModel]])

    def __init__(self, **values: Any) -> None:
        models = {
            key: values[key]
            for key in ("output", "takes")
            if isinstance(values.get(key), type) and issubclass(values[key], BaseModel)
        }
        super().__init__(**{**values, **{key: {} for key in models}})
        self._models.update(models)

    @field_validator("name")
    @classmethod
    def _a_plain_name(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError(
                f"{value!r} is not a branch name; use up to 40 letters, digits, - and _, and begin"
                " with a letter or digit"
            )
        return value

    @field_validator("uses", mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        """Read `facts.answer` and `{claim: facts.answer}` as sources, with names or without."""
        if isinstance(value, str | Mapping):
            value = [value]
        if not isinstance(value, list | tuple):
            return value
        return [use for given in cast("list[Any]", value) for use in _uses(given)]

    @field_validator("model", "endpoint", "temperature", "max_output_tokens", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("output", "takes", mode="before")
    @classmethod
    def _no_fields_is_unset(cls, value: object) -> object:
        return None if value == [] else without_refs(value)

    def python_model(self, part: Literal["output", "takes"]) -> type[BaseModel] | None:
        """The pydantic model given as `output` or `takes`; None: it is not a model."""
        return self._models.get(part)


def _uses(given: Any) -> list[Any]:
    """The uses that a short form stands for; a mapping names each of its sources."""
    if isinstance(given, str):
        return [{"source": given}]
    if not isinstance(given, Mapping):
        return [given]
    items = cast("Mapping[str, Any]", given)
    if "source" in items or (len(items) > 1 and items.keys() & Use.model_fields.keys()):
        return [items]
    return [{"source": source, "name": name} for name, source in items.items()]


class BranchOptions(CallOptions):
    """Options of a program of branches."""

    model_config = ConfigDict(
        json_schema_extra=form(
            title="Options",
            cost=("budget_usd", "quote"),
            merge=("merge_instructions", "merge_model", "merge_output", "vote_field", "quorum"),
            **GROUPS,
            traces=("trace", "experiment"),
        )
    )

    concurrency: int = Field(
        default=BRANCH_CALLS_AT_ONCE,
        ge=CALLS_AT_ONCE.least,
        le=CALLS_AT_ONCE.most,
        description="LLM calls at the same time, at most.",
    )
    merge_model: str | None = Field(
        default=None,
        description="Model that judges (merge best) or combines (merge synthesize). Empty: the"
        " run's.",
    )
    merge_instructions: str = Field(
        default="",
        max_length=20_000,
        description="Rules for choosing the best answer, or for combining answers, in plain words.",
    )
    merge_output: OutputSpec | None = Field(
        default=None,
        description="Form of a synthesized answer. Empty: the form of the branches if they all have"
        " the same one, else thinking and answer.",
    )
    vote_field: str | None = Field(
        default=None,
        description="The field to vote on. Empty: the only field, else answer.",
    )
    quorum: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="Fewest answers for a valid vote. Empty: more than half of the branches.",
    )

    @field_validator("merge_output", mode="before")
    @classmethod
    def _without_refs(cls, value: object) -> object:
        return without_refs(value)

    @field_validator("merge_instructions", mode="before")
    @classmethod
    def _no_instructions(cls, value: object) -> object:
        return "" if value is None else value
