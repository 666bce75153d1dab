"""The inputs of a program, and the questions about them: prompt and form for branch and merge."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from pydantic import BaseModel
from slugify import slugify

from prefect_llm_reports.tasks.branches.forms import query_text, query_title
from prefect_llm_reports.tasks.branches.graph import Node
from prefect_llm_reports.tasks.branches.programs import Program
from prefect_llm_reports.tasks.calls.judging import verdict_form
from prefect_llm_reports.tasks.calls.prompts import branch_prompt, judge_prompt, synthesizer_prompt
from prefect_llm_reports.tasks.contract.calls import Ask, Message
from prefect_llm_reports.tasks.contract.errors import BadInput
from prefect_llm_reports.tasks.contract.records import canonical_json, digest, shortened
from prefect_llm_reports.tasks.inputs.files import Entry
from prefect_llm_reports.tasks.inputs.problems import first
from prefect_llm_reports.tasks.inputs.queries import MAX_QUERIES, read_queries
from prefect_llm_reports.tasks.llm.answer_forms import Form
from prefect_llm_reports.tasks.llm.strict_schemas import Json

MOST_CHARS = 1_000_000
BEST_BY = "Which answer would serve somebody who has to rely on it?"


@dataclass(frozen=True)
class Inquiry:
    """One input of a program.

    Attributes:
        query: The input as a person gave it: a text, an object, or a pydantic model.
        label: The end of its task runs' names; empty: the run has one input.
    """

    query: Any
    label: str = ""

    @cached_property
    def text(self) -> str:
        """The text of the input in prompts."""
        return query_text(self.query)

    @cached_property
    def title(self) -> str:
        """The input as people read it."""
        return query_title(self.query)

    @cached_property
    def slug(self) -> str:
        """Folder name: at most 80 ASCII characters, with an eight-digit hash of the input."""
        words = slugify(self.text[:500], max_length=71, word_boundary=True) or "query"
        return f"{words}-{digest(canonical_json(self.text))[:8]}"

    def named(self, step: str) -> str:
        """Name a task run."""
        return f"{step} · {self.label}" if self.label else step

    @property
    def short(self) -> str:
        """The title on one line, at most 60 characters, for names in the UI."""
        return shortened(self.title)


def gather_inquiries(
    queries: Sequence[Any] | None, source: tuple[str, bytes] | None = None
) -> tuple[list[Inquiry], list[str]]:
    """Collect inputs given directly, then those of a file, and drop repeats.

    Args:
        queries: Texts, objects or pydantic models.
        source: A file of inputs as name and bytes.

    Returns:
        The inputs, and warnings about repeats.

    Raises:
        BadInput: With every problem and its place; the first 20 are listed.
    """
    given = enumerate(queries or (), start=1)
    found = [Entry(f"queries[{number}]", query) for number, query in given]
    problems: list[str] = []
    if source:
        try:
            found += read_queries(*source)
        except BadInput as bad:
            problems += bad.problems
    problems += [f"{place}: {wrong}" for place, query in found if (wrong := _unfit(query))]
    if not found and not problems:
        problems.append("no input: give a query, or a file of them")
    if len(found) > MAX_QUERIES:
        problems.append(f"more than {MAX_QUERIES:,} inputs, the most for one run; split them")
    if problems:
        raise BadInput(*first(problems))
    places: dict[str, list[str]] = {}
    distinct: list[Inquiry] = []
    for place, query in found:
        inquiry = Inquiry(query)
        if inquiry.text not in places:
            label = inquiry.short if len(found) > 1 else ""
            distinct.append(Inquiry(query, label))
        places.setdefault(inquiry.text, []).append(place)
    return distinct, [
        f"one input is given {len(where)} times and answered once: {', '.join(first(where))}"
        for where in places.values()
        if len(where) > 1
    ]


def _unfit(query: Any) -> str:
    """The problem of an input; empty: none."""
    if not isinstance(query, str | Mapping | BaseModel):
        return f"is a {type(query).__name__}, wanted a text or an object; correct it"
    try:
        text = query_text(query)
        text.encode()
    except (TypeError, ValueError):
        return "cannot be written as JSON; use texts, numbers, lists and objects"
    if not text.strip() or not query:
        return "is blank; ask something"
    if len(text) > MOST_CHARS:
        return f"has {len(text):,} characters, at most {MOST_CHARS:,}; shorten it"
    return ""


@dataclass(frozen=True)
class Asker:
    """Makes the questions of a program.

    Attributes:
        program: The branches and their merge.
        base_urls: Addresses by name of a saved endpoint; None: the run's own endpoint.
    """

    program: Program
    base_urls: Mapping[str | None, str]

    def branch(self, inquiry: Inquiry, node: Node, outputs: Mapping[str, Json]) -> Ask:
        """Ask a branch about an input.

        Args:
            inquiry: The input.
            node: The branch.
            outputs: The outputs of the branches that it uses.
        """
        branch, options = node.branch, self.program.options
        inputs = [(use.called, _text(_part(outputs[use.branch], use.path))) for use in branch.uses]
        own = branch.temperature
        return Ask(
            step=node.name,
            label=inquiry.named(node.name),
            item=inquiry.slug,
            endpoint=self.base_urls[branch.endpoint],
            model=self.program.model_of(branch.model),
            messages=branch_prompt(branch.instructions, inquiry.text, inputs, node.variant),
            output_name="answer",
            output_schema=node.form.schema,
            bounded_schema=node.form.bounded,
            max_output_tokens=branch.max_output_tokens or options.max_output_tokens,
            temperature=options.temperature if own is None else own,
            reasoning_effort=options.reasoning_effort,
            extra_body=options.extra_body,
            variant=node.variant,
            accept=node.form.accept,
        )

    def judge(self, inquiry: Inquiry, candidates: Sequence[Json], turn: int) -> Ask:
        """Ask the judge to compare candidates in one order, without the names of their branches."""
        rubric = self.program.options.merge_instructions or BEST_BY
        return self._merge(
            inquiry,
            f"judge {turn}",
            judge_prompt(rubric, inquiry.text, [_text(output) for output in candidates]),
            "verdict",
            verdict_form(len(candidates)),
        )

    def synthesize(self, inquiry: Inquiry, outputs: Mapping[str, Json]) -> Ask:
        """Ask to combine the outputs into one."""
        parts = [(name, _text(output)) for name, output in outputs.items()]
        prompt = synthesizer_prompt(self.program.options.merge_instructions, inquiry.text, parts)
        return self._merge(inquiry, "synthesize", prompt, "answer", self.program.synthesis)

    def _merge(
        self, inquiry: Inquiry, step: str, messages: tuple[Message, ...], name: str, form: Form
    ) -> Ask:
        options = self.program.options
        return Ask(
            step=step,
            label=inquiry.named(step),
            item=inquiry.slug,
            endpoint=self.base_urls[None],
            model=self.program.model_of(options.merge_model),
            messages=messages,
            output_name=name,
            output_schema=form.schema,
            bounded_schema=form.bounded,
            max_output_tokens=options.max_output_tokens,
            temperature=options.temperature,
            reasoning_effort=options.reasoning_effort,
            extra_body=options.extra_body,
            accept=form.accept,
        )


def _part(output: Json, path: list[str]) -> Any:
    found: Any = output
    for name in path:
        found = cast("Json", found)[name] if isinstance(found, dict) else None
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
