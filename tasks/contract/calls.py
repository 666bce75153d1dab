"""An LLM call as values: the question, its answer, its record in a manifest, a judge's verdict."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar, Literal

from pydantic import Field

from prefect_llm_reports.tasks.contract.records import Record, Usage, canonical_json, digest


class Message(Record):
    """One chat message."""

    role: Literal["system", "user", "assistant"]
    content: str


class Ask(Record):
    """One complete question to a model.

    The fields in `IN_KEY` decide whether an earlier answer can be used again. The other fields:
    `step` and `label` name the call. `item` is the slug of its report. `needed` means that the
    report cannot be published without the answer. `accept` turns the answer's text into the form
    that the store keeps, or raises `Invalid`. `bounded_schema` is the output schema with the bounds
    of its values, which are left out of the key as long as the schema itself is in it.
    `shares_prefix` means that other questions begin alike, so that a cache of prompts pays.
    `round` is the round of critique, and `wishes` what else the length of the answer depends on;
    estimates go by them.
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
            "reasoning_effort",
            "extra_body",
            "variant",
        }
    )
    IN_KEY_IF_SET: ClassVar[frozenset[str]] = frozenset({"reasoning_effort", "extra_body"})
    """Where these are empty, the key is that of questions from before they existed."""

    step: str
    label: str
    item: str
    needed: bool = True
    endpoint: str
    model: str
    messages: tuple[Message, ...]
    output_name: str | None = None
    output_schema: dict[str, Any] | None = None
    bounded_schema: dict[str, Any] | None = Field(default=None, exclude=True, repr=False)
    max_output_tokens: int
    temperature: float | None = None
    reasoning_effort: str | None = None
    extra_body: dict[str, Any] = Field(default={})
    variant: str = ""
    shares_prefix: bool = False
    round: int = 0
    wishes: str = ""
    accept: Callable[[str], str] = Field(default=str.strip, exclude=True, repr=False)

    @cached_property
    def prompt_digest(self) -> str:
        """SHA-256 over the rendered messages."""
        return digest(canonical_json([m.model_dump() for m in self.messages]))

    @cached_property
    def key(self) -> str:
        """The answer's name in the store: 64 hex digits, equal for equal questions."""
        unset = {name for name in self.IN_KEY_IF_SET if not getattr(self, name)}
        fields = self.model_dump(include=set(self.IN_KEY) - {"messages"} - unset)
        return digest(canonical_json({**fields, "prompt": self.prompt_digest}))

    @property
    def kind(self) -> str:
        """Equal for questions that take about as many tokens as each other, in 16 hex digits.

        They have the same instructions, form and limits; topic and draft do not count.
        """
        system = [m.content for m in self.messages if m.role == "system"]
        effort = [self.temperature, self.reasoning_effort, self.extra_body]
        limits = [self.max_output_tokens, self.output_schema, *effort]
        return digest(canonical_json([system, self.wishes, limits]))[:16]

    @property
    def chars(self) -> int:
        """Characters of the prompt."""
        return sum(len(message.content) for message in self.messages)


class Asked(Record):
    """What an answer was the answer to, as far as estimates of later answers need it."""

    step: str
    kind: str = Field(description="Equal for questions that take about as many tokens.")
    model: str = Field(description="The model as it was asked for.")
    item: str = Field(description="The slug of the report or input.")
    round: int = Field(default=0, description="The round of critique; 0: outside of the rounds.")
    chars: int = Field(description="Characters of the prompt.")
    seconds: float = Field(description="Seconds for which its requests were under way.")


class Answer(Record):
    """A model's accepted answer as the store keeps it: text, model, endpoint and cost."""

    text: str
    model: str
    endpoint: str
    created: int = Field(default=0, description="Unix time from the endpoint; 0: none.")
    usage: Usage | None = Field(default=None, description="None: the endpoint named none.")
    cost_usd: Decimal | None = Field(default=None, description="None: unknown.")
    request_id: str | None = None
    attempts: int = Field(default=1, description="HTTP requests, repeated questions included.")
    asked: Asked | None = Field(default=None, description="None: kept by an earlier version.")


class StepRecord(Record):
    """One answered call, as a manifest records it."""

    step: str
    iteration: int
    part: str = Field(default="", description="The candidate or the critic, if there are several.")
    model: str
    endpoint: str
    prompt_digest: str
    answer_key: str
    cached: bool
    attempts: int
    request_id: str | None
    usage: Usage | None
    cost_usd: Decimal | None


class Ranking(Record):
    """A judge's verdict on one candidate."""

    name: str = Field(description="Name of the candidate.")
    score: float = Field(description="Mean over all orders in which the judge read it, 1 to 10.")
    scores: tuple[int, ...] = Field(description="Its score in each order.")
    reasons: tuple[str, ...] = Field(description="The judge's reason in each order.")
