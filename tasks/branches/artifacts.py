"""Artifacts of a run of branches in the Prefect UI: the program's picture and the result."""

from __future__ import annotations

import textwrap
from typing import Any, cast

from prefect_llm_reports.tasks.branches.drawing import draw_program
from prefect_llm_reports.tasks.branches.programs import Program
from prefect_llm_reports.tasks.contract.branch_results import BranchesResult
from prefect_llm_reports.tasks.contract.calls import Ranking
from prefect_llm_reports.tasks.contract.money import cost_text
from prefect_llm_reports.tasks.runtime.artifacts import quoted, show_markdown, show_picture
from prefect_llm_reports.tasks.text.figures import calls_text
from prefect_llm_reports.tasks.text.markdown import escaped, one_line
from prefect_llm_reports.tasks.text.readable import readable

PROGRAM_KEY = "branches-program"
RESULT_KEY = "branches-result"
WRAPPED = 1500
"""Characters that are escaped at once."""


async def show_program(program: Program) -> None:
    """Show the picture of a program."""
    names = ", ".join(node.name for node in program.nodes)
    await show_picture(
        PROGRAM_KEY,
        draw_program(program),
        f"The program: {names}",
        f"{len(program.nodes)} branches over one input, merged by {program.merge}.",
    )


async def show_result(result: BranchesResult) -> None:
    """Show the result of one input: the merge, every branch's answer, and the errors."""
    dumped = result.model_dump(mode="json")
    parts = [
        f"**{result.status}**, {result.answered} of {len(result.outputs)} branches answered, merged"
        f" by {result.merge}; {calls_text(result.calls)}; {cost_text(result.cost_usd)}"
    ]
    if result.error:
        parts.append(quoted(result.error.message))
    if result.merged is not None and result.merge != "all":
        chosen = f", of {result.winner}" if result.winner else ""
        parts += [f"## Merged{chosen}", value_markdown(dumped["merged"])]
    if result.ranking:
        parts.append("## The judge's scores")
        parts += [
            f"- **{ranked.name}**: {ranked.score:g} of 10. {_reasons(ranked)}"
            for ranked in result.ranking
        ]
    for output, one in zip(result.outputs, dumped["outputs"], strict=True):
        model = f" ({output.model})" if output.model else ""
        parts.append(f"## {output.name}: {output.status.replace('_', ' ')}{model}")
        parts.append(
            quoted(output.error.message) if output.error else value_markdown(one["output"])
        )
    said = f"{result.answered} of {len(result.outputs)} branches answered."
    await show_markdown(RESULT_KEY, "\n\n".join(parts), said)


def value_markdown(value: Any) -> str:
    """A value of JSON as Markdown that shows its text as it is: fields, points, paragraphs, code.

    Args:
        value: What a branch answered, or a part of it.
    """
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value).items()
        return "\n\n".join(_labelled(escaped(name.replace("_", " ")), one) for name, one in fields)
    if isinstance(value, list):
        return "\n".join(_point(one) for one in cast("list[Any]", value)) or "none"
    text = readable(value)
    lines = [line for line in text.splitlines() if line.strip()]
    if "```" in text or any(line[0] in " \t" for line in lines):  # its layout means something
        return quoted(text)
    return "\n\n".join(" ".join(map(escaped, textwrap.wrap(line, WRAPPED))) for line in lines)


def _labelled(label: str, value: Any) -> str:
    shown = value_markdown(value)
    beside = isinstance(value, dict | list) or "\n" in shown
    return f"**{label}:**" + ("\n\n" if beside else " ") + shown


def _point(value: Any) -> str:
    """A point of a list; further lines are indented, so that they belong to it."""
    return "- " + textwrap.indent(value_markdown(value), "  ").lstrip()


def _reasons(ranked: Ranking) -> str:
    return escaped(" / ".join(dict.fromkeys(one_line(reason) for reason in ranked.reasons)))
