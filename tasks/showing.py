"""What a run shows in the Prefect UI beside its task runs: artifacts.

An artifact that cannot be written costs a warning, never the run.
"""

from __future__ import annotations

import base64
import json
import logging
import re
from typing import Any

from prefect.artifacts import acreate_markdown_artifact
from prefect.exceptions import PrefectException

from tasks.branches import BranchesResult
from tasks.drawing import draw_program
from tasks.programs import Program

logger = logging.getLogger(__name__)

PROGRAM_KEY = "branches-program"
RESULT_KEY = "branches-result"
MOST_SHOWN = 200_000
"""Characters of one answer in an artifact; the whole is in the result."""


async def show_program(program: Program) -> None:
    """Show the picture of a program, in versions under one key."""
    picture = base64.b64encode(draw_program(program).encode()).decode()
    names = ", ".join(node.name for node in program.nodes)
    await _show(
        PROGRAM_KEY,
        f"![The program: {names}](data:image/svg+xml;base64,{picture})",
        f"{len(program.nodes)} branches over one input, merged by {program.merge}.",
    )


async def show_result(result: BranchesResult) -> None:
    """Show what became of one input: the merge, every branch's answer, and what went wrong."""
    parts = [f"**{result.status}**, merged by {result.merge}"]
    if result.error:
        parts.append(_quoted(result.error.message))
    if result.merged is not None:
        chosen = f", of {result.winner}" if result.winner else ""
        parts += [f"## Merged{chosen}", _quoted(result.model_dump(mode="json")["merged"])]
    for output in result.outputs:
        parts.append(f"## {output.name}: {output.status.replace('_', ' ')}")
        shown = output.model_dump(mode="json")["output"]
        parts.append(_quoted(output.error.message if output.error else shown))
    answered = sum(output.status == "answered" for output in result.outputs)
    said = f"{answered} of {len(result.outputs)} branches answered."
    await _show(RESULT_KEY, "\n\n".join(parts), said)


def _quoted(value: Any) -> str:
    """A value as a block of code, which nothing in it can end."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
    text = text[:MOST_SHOWN]
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


async def _show(key: str, markdown: str, description: str) -> None:
    try:
        await acreate_markdown_artifact(markdown=markdown, key=key, description=description)
    except (PrefectException, OSError) as error:
        logger.warning("%s is not shown in the UI: %s", key, type(error).__name__)
