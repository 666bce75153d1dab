"""The questions a report is made of: which prompt, which model, which form, for each step."""

from __future__ import annotations

from typing import Any, cast

from pydantic import BaseModel

from tasks.options import ReportOptions
from tasks.prompts import critic_prompt, reviser_prompt, summarizer_prompt, writer_prompt
from tasks.schemas import Ask, Critique, Message, Record, Topic

_LEFT_OUT = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength"}
    | {"maxLength", "minItems", "maxItems", "default", "title"}
)


class Plan(Record):
    """How the reports of one batch are made; the same for all its topics."""

    endpoint: str
    model: str
    max_iterations: int
    quality_threshold: float
    options: ReportOptions


def strict_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of a model as strict structured output takes it.

    Every field is required and no other is allowed; defaults, titles and bounds, which some
    endpoints reject, are left out and enforced here when the answer is read.
    """

    def strict(node: Any) -> Any:
        if isinstance(node, list):
            return [strict(part) for part in cast("list[Any]", node)]
        if not isinstance(node, dict):
            return node
        found: dict[str, Any] = {
            name: {field: strict(part) for field, part in value.items()}
            if name in ("properties", "$defs")
            else strict(value)
            for name, value in cast("dict[str, Any]", node).items()
            if name not in _LEFT_OUT
        }
        if found.get("type") == "object" and "properties" in found:
            found["required"] = list(found["properties"])
            found["additionalProperties"] = False
        return found

    schema = strict(model.model_json_schema())
    schema.pop("description", None)
    return schema


CRITIQUE_SCHEMA = strict_schema(Critique)


def _ask(
    plan: Plan, topic: Topic, step: str, iteration: int, messages: tuple[Message, ...], **more: Any
) -> Ask:
    options = plan.options
    return Ask(
        step=step,
        label=f"{topic.slug} / {iteration} / {step}" if iteration else f"{topic.slug} / {step}",
        item=topic.slug,
        endpoint=plan.endpoint,
        model=options.models(plan.model)[step],
        messages=messages,
        max_output_tokens=options.max_output_tokens,
        temperature=options.temperature,
        **more,
    )


def draft_ask(plan: Plan, topic: Topic) -> Ask:
    """Ask for the first draft."""
    return _ask(plan, topic, "draft", 0, writer_prompt(topic, plan.options))


def critique_ask(plan: Plan, topic: Topic, iteration: int, draft: str) -> Ask:
    """Ask for a critique of a draft; without the first one no draft can be published."""
    return _ask(
        plan,
        topic,
        "critique",
        iteration,
        critic_prompt(topic, plan.options, draft),
        output_name="critique",
        output_schema=CRITIQUE_SCHEMA,
        needed=iteration == 1,
    )


def revise_ask(
    plan: Plan,
    topic: Topic,
    iteration: int,
    draft: str,
    critique: Critique,
    setbacks: list[Critique],
) -> Ask:
    """Ask for a revision of the best draft so far, by its critique."""
    against = "\n".join(c.model_dump_json(include={"improvements", "summary"}) for c in setbacks)
    return _ask(
        plan,
        topic,
        "revise",
        iteration,
        reviser_prompt(topic, plan.options, draft, critique.model_dump_json(indent=1), against),
        needed=False,
    )


def summary_ask(plan: Plan, topic: Topic, report: str) -> Ask:
    """Ask for the executive summary of the finished report."""
    return _ask(plan, topic, "summary", 0, summarizer_prompt(topic, plan.options, report))
