"""Artifacts: texts, tables and bars of a run in the Prefect UI, beside its task runs.

Here: writing them, in time and safely. Not here: their content. An artifact that cannot be written
in time costs a warning, never the run. Untrusted text is quoted or escaped: none of its images,
links and raw HTML reaches the UI.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
from collections.abc import Awaitable, Sequence
from typing import Any
from uuid import UUID

from prefect.artifacts import (
    acreate_markdown_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)

from prefect_llm_reports.tasks.contract.quotes import Quote
from prefect_llm_reports.tasks.text.quotes import quote_markdown, quote_text

logger = logging.getLogger(__name__)

QUOTE_KEY = "quote"
MOST_SHOWN = 200_000
"""Characters of one text in an artifact; the result has the whole text."""
PATIENCE_S = 30.0
"""Seconds for which a run waits until the server has taken an artifact."""


async def show_markdown(key: str, markdown: str, description: str) -> None:
    """Show Markdown; the caller makes sure that all of it is safe."""
    await _shown(
        key, acreate_markdown_artifact(markdown=markdown, key=key, description=description)
    )


async def show_quote(quote: Quote) -> None:
    """Show what a run would ask, cost and take."""
    await show_markdown(QUOTE_KEY, quote_markdown(quote), quote_text(quote))


async def show_table(key: str, rows: Sequence[dict[str, Any]], description: str) -> None:
    """Show rows with the same columns; the UI shows cells literally."""
    await _shown(key, acreate_table_artifact(table=[*rows], key=key, description=description))


async def show_picture(key: str, svg: str, about: str, description: str) -> None:
    """Show a picture; the caller makes sure that it is ours."""
    picture = base64.b64encode(svg.encode()).decode()
    await show_markdown(key, f"![{about}](data:image/svg+xml;base64,{picture})", description)


async def begin_progress(key: str, description: str) -> UUID | None:
    """Show a progress bar at 0 %; returns its id, or None when it cannot be shown."""
    return await _shown(key, acreate_progress_artifact(0.0, key=key, description=description))


async def move_progress(shown: UUID, percent: float, description: str) -> bool:
    """Move a progress bar; returns whether the UI has it."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            await aupdate_progress_artifact(shown, percent, description)
    except Exception as error:  # the API is away, for instance: the next move tries again
        logger.debug("progress is not shown in the UI: %s", type(error).__name__)
        return False
    return True


def quoted(value: Any) -> str:
    """A value as a block of code; no text in it can end the block."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
    text = text[:MOST_SHOWN]
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


async def _shown(key: str, showing: Awaitable[UUID]) -> UUID | None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await showing
    except Exception as error:  # any error: the run goes on without the artifact
        logger.warning("%s is not shown in the UI: %s", key, type(error).__name__)
        return None
