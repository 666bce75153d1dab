"""Artifacts of a run of branches in the Prefect UI: the program's picture and the result."""

from __future__ import annotations

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
SHORT = 500
"""Characters of a value that stands behind its name; longer ones are quoted below it."""


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
        parts += [f"## Merged{chosen}", _fields(dumped["merged"])]
    if result.ranking:
        parts.append("## The judge's scores")
        parts += [
            f"- **{ranked.name}**: {ranked.score:g} of 10. {_reasons(ranked)}"
            for ranked in result.ranking
        ]
    for output, one in zip(result.outputs, dumped["outputs"], strict=True):
        model = f" ({output.model})" if output.model else ""
        parts.append(f"## {output.name}: {output.status.replace('_', ' ')}{model}")
        parts.append(quoted(output.error.message) if output.error else _fields(one["output"]))
    said = f"{result.answered} of {len(result.outputs)} branches answered."
    await show_markdown(RESULT_KEY, "\n\n".join(parts), said)


def _fields(value: Any) -> str:
    """A value as Markdown, a paragraph for each field; long and nested values are quoted."""
    if not isinstance(value, dict):
        return quoted(readable(value))
    parts: list[str] = []
    for name, one in cast("dict[str, Any]", value).items():
        said = readable(one)
        short = "\n" not in said and len(said) <= SHORT and not isinstance(one, dict | list)
        label = f"**{escaped(name.replace('_', ' '))}:**"
        parts.append(f"{label} {escaped(said)}" if short else f"{label}\n\n{quoted(said)}")
    return "\n\n".join(parts)


def _reasons(ranked: Ranking) -> str:
    return escaped(" / ".join(dict.fromkeys(one_line(reason) for reason in ranked.reasons)))
