"""What a run shows in the Prefect UI beside its task runs: artifacts.

An artifact that cannot be written costs a warning, never the run.
"""

from __future__ import annotations

import base64
import logging

from prefect.artifacts import acreate_markdown_artifact
from prefect.exceptions import PrefectException

from tasks.drawing import draw_program
from tasks.programs import Program

logger = logging.getLogger(__name__)

PROGRAM_KEY = "branches-program"


async def show_program(program: Program) -> None:
    """Show the picture of a program, in versions under one key."""
    picture = base64.b64encode(draw_program(program).encode()).decode()
    names = ", ".join(node.name for node in program.nodes)
    try:
        await acreate_markdown_artifact(
            markdown=f"![The program: {names}](data:image/svg+xml;base64,{picture})",
            key=PROGRAM_KEY,
            description=f"{len(program.nodes)} branches over one input, merged by {program.merge}.",
        )
    except (PrefectException, OSError) as error:
        logger.warning("the picture of the program is not in the UI: %s", type(error).__name__)
