"""The line that shows how far a run is, as wide as the terminal.

Here: what stands in it, the most important first. Not here: when it is shown (`terminal`).
"""

from __future__ import annotations

from prefect_llm_reports.tasks.contract.money import cost_text
from prefect_llm_reports.tasks.runtime.progress import Progress
from prefect_llm_reports.tasks.text.figures import counted

BAR = 12
"""Characters of the bar."""
SHOWN_FROM = 0.03
"""Share of a run that must be done before the line shows the time that is left."""


def progress_line(progress: Progress, noun: str, elapsed: float, width: int) -> tuple[str, str]:
    """The bar, and the text behind it; parts that do not fit are left out, never cut.

    Args:
        progress: The run's progress.
        noun: What its items are, in the singular.
        elapsed: Seconds since the run began.
        width: Columns of the terminal.
    """
    ledger = progress.ledger
    if ledger is None:
        return "", f"preparing … {elapsed:.0f} s"
    share, spent = progress.share, ledger.total
    tokens = spent.usage.input_tokens + spent.usage.output_tokens
    pace = progress.lines[0].pace if progress.lines else None
    brake = next(filter(None, (line.waits_for for line in progress.lines)), "")
    parts = [
        f"{len(progress.done):,} of {counted(progress.total, noun)}",
        f"{tokens:,} tokens",
        cost_text(spent.cost_usd),
        _time(share, elapsed),
        brake,
        f"{counted(spent.made, 'call')} made, {spent.cached:,} cached",
        f"{pace.in_flight} under way (of {pace.limit.allowed} allowed)" if pace else "",
        f"{elapsed:.0f} s so far",
    ]
    text = ""
    for part in filter(None, parts):
        longer = f"{text} · {part}" if text else part
        if BAR + 1 + len(longer) > width - 1 and text:
            break
        text = longer
    return "━" * round(BAR * share), text


def _time(share: float, elapsed: float) -> str:
    if share < SHOWN_FROM:
        return f"{elapsed:.0f} s"
    left = elapsed * (1 - share) / share
    return f"{left / 60:.0f} min left" if left >= 90 else f"{left:.0f} s left"
