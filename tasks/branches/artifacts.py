"""Artifacts of a run of branches in the Prefect UI: the program's picture and the result."""

from __future__ import annotations

from prefect_llm_reports.tasks.branches.drawing import draw_program
from prefect_llm_reports.tasks.branches.programs import Program
from prefect_llm_reports.tasks.contract.branch_results import BranchesResult
from prefect_llm_reports.tasks.runtime.artifacts import quoted, show_markdown, show_picture

PROGRAM_KEY = "branches-program"
RESULT_KEY = "branches-result"


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
    parts = [f"**{result.status}**, merged by {result.merge}"]
    if result.error:
        parts.append(quoted(result.error.message))
    if result.merged is not None:
        chosen = f", of {result.winner}" if result.winner else ""
        parts += [f"## Merged{chosen}", quoted(result.model_dump(mode="json")["merged"])]
    for output in result.outputs:
        parts.append(f"## {output.name}: {output.status.replace('_', ' ')}")
        shown = output.model_dump(mode="json")["output"]
        parts.append(quoted(output.error.message if output.error else shown))
    answered = sum(output.status == "answered" for output in result.outputs)
    said = f"{answered} of {len(result.outputs)} branches answered."
    await show_markdown(RESULT_KEY, "\n\n".join(parts), said)
