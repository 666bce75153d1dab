"""Asking a person to decide on finished reports, between refining and publishing.

A deployment's run is suspended meanwhile: it holds no process and survives restarts of its worker.
The decision starts it again, and the store has the answers. A run without a deployment waits in its
process. Not here: what the run does with the decision (`reviewing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import apause_flow_run, asuspend_flow_run
from prefect.input import RunInput
from pydantic import Field

from prefect_llm_reports.tasks.contract.errors import HeldBack, Undecided
from prefect_llm_reports.tasks.contract.reports import Refined
from prefect_llm_reports.tasks.runtime.artifacts import show_markdown
from prefect_llm_reports.tasks.text.cleaning import clean_markdown
from prefect_llm_reports.tasks.text.markdown import escaped

REVIEW_KEY = "report-batch-review"
MOST_SHOWN = 400_000
"""Characters that all reports together have in the review; longer reports are cut."""
POLL_S = 2
"""Seconds between two looks for a decision of a run that waits in its process."""


def _threshold(default: float) -> Any:
    return Field(
        default=default,
        ge=1,
        le=10,
        description="approve: hold back reports with a lower score. refine: score to reach.",
        json_schema_extra={"position": 1},
    )


def _rounds(default: int) -> Any:
    return Field(
        default=default,
        ge=1,
        le=10,
        description="refine: rounds of critique a report may take in all. Otherwise ignored.",
        json_schema_extra={"position": 2},
    )


class Decision(RunInput):
    """A person's decision on the finished reports of one batch."""

    decision: Literal["approve", "reject", "refine"] = Field(
        default="approve",
        description="approve: publish the reports. reject: publish none. refine: refine further"
        " with the threshold and rounds below, then ask again.",
        json_schema_extra={"position": 0},
    )
    quality_threshold: float = _threshold(8)
    max_iterations: int = _rounds(3)
    hold_back: list[str] = Field(
        default=[],
        description="approve: other reports to hold back, by number or topic.",
        json_schema_extra={"position": 3},
    )


async def ask_person(
    finished: Sequence[tuple[Refined, str]],
    *,
    turn: int,
    quality_threshold: float,
    max_iterations: int,
    days: float,
    deployed: bool,
) -> Decision:
    """Show the finished reports and wait for a person's decision in the Prefect UI.

    Args:
        finished: The reports with their summaries.
        turn: Number of this question, from 1; a run that is started again finds the decision on
            the turns before.
        quality_threshold: The lowest score to publish that the form offers.
        max_iterations: The rounds of critique that the form offers.
        days: How long to wait.
        deployed: The run belongs to a deployment and can be suspended.

    Raises:
        Undecided: Nobody decided in time.
    """
    passed = [r.winner.score or 0 for r, _ in finished]
    said = f"{len(finished)} reports are finished, scores {min(passed):g} to {max(passed):g}."
    await show_markdown(REVIEW_KEY, review(finished), said)
    table = "\n".join(
        f"| {n} | {escaped(refined.topic.title)} | {refined.winner.score:g} |"
        for n, (refined, _) in enumerate(finished[:100], start=1)
    )
    asked = Decision.with_initial_data(
        description=f"{said} Read them in the artifact `{REVIEW_KEY}` of this run.\n\n"
        f"| number | topic | score |\n| --- | --- | --- |\n{table}",
        # As fields: with plain values Prefect's form would lose bounds and help.
        quality_threshold=_threshold(min([quality_threshold, *passed])),
        max_iterations=_rounds(max_iterations),
    )
    key, seconds = f"approval-{turn}", max(1, round(days * 86_400))
    if deployed:
        return await asuspend_flow_run(wait_for_input=asked, timeout=seconds, key=key)
    try:
        return await apause_flow_run(
            wait_for_input=asked, timeout=seconds, poll_interval=POLL_S, key=key
        )
    except FlowPauseTimeout:
        raise Undecided(
            f"nobody decided on {len(finished)} finished reports within {days:g} days; run the"
            " same command again to be asked again; paid answers are used again"
        ) from None


def held_back(decision: Decision, finished: Sequence[tuple[Refined, str]]) -> dict[str, HeldBack]:
    """The reports that a decision holds back, by slug."""
    held: dict[str, HeldBack] = {}
    named = {name.strip().casefold() for name in decision.hold_back}
    for number, (refined, _) in enumerate(finished, start=1):
        topic, score = refined.topic, refined.winner.score or 0
        if decision.decision == "reject":
            why = "all reports of the batch were rejected"
        elif score < decision.quality_threshold:
            why = f"its score {score:g} is below {decision.quality_threshold:g}"
        elif named & {str(number), topic.title.casefold(), topic.slug}:
            why = "the decision names it"
        else:
            continue
        held[topic.slug] = HeldBack(
            f"held back by a person's decision: {why}; run the topic again to be asked again"
        )
    return held


def review(finished: Sequence[tuple[Refined, str]]) -> str:
    """Write the finished reports as one Markdown text: figures, summary and text of each."""
    most = MOST_SHOWN // max(1, len(finished))
    parts: list[str] = []
    for number, (refined, summary) in enumerate(finished, start=1):
        topic, winner = refined.topic, refined.winner
        parts.append(f"# {number}. {escaped(topic.title)}")
        parts.append(
            f"Score {winner.score:g} after {refined.iterations} critiques"
            f" ({refined.stop_reason.replace('_', ' ')})"
        )
        parts += [f"> {escaped(part)}" for part in summary.split("\n\n")]
        text = winner.text if len(winner.text) <= most else f"{winner.text[:most]}\n\n…"
        parts.append(clean_markdown(text, title=topic.title))
    return "\n\n".join(parts)
