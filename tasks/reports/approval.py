"""Asking a person to decide on finished reports, between refining and publishing.

A deployment's run is suspended meanwhile: it holds no process and survives restarts of its worker.
The decision starts it again, and the store has the answers. A run without a deployment waits in its
process. Not here: the effect of the decision on the run (`reviewing`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRunInput
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import apause_flow_run, asuspend_flow_run
from prefect.input import RunInput
from prefect.runtime import flow_run
from pydantic import BaseModel, Field

from prefect_llm_reports.tasks.contract.errors import HeldBack, Undecided
from prefect_llm_reports.tasks.contract.provenance import Approval
from prefect_llm_reports.tasks.contract.reports import Refined
from prefect_llm_reports.tasks.pages.provenance import approved_digest
from prefect_llm_reports.tasks.pages.report import summary_text
from prefect_llm_reports.tasks.runtime.artifacts import show_markdown
from prefect_llm_reports.tasks.runtime.context import tag_run
from prefect_llm_reports.tasks.text.cleaning import clean_markdown
from prefect_llm_reports.tasks.text.foreign import shown
from prefect_llm_reports.tasks.text.markdown import escaped, one_line

logger = logging.getLogger(__name__)

REVIEW_KEY = "report-batch-review"
MOST_SHOWN = 400_000
"""Characters that all reports together have in the review; longer reports are cut."""
WAITING = "waits for a decision"
"""Tag of a run that waits, so that lists of runs in the UI show it."""
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


class ReportComment(BaseModel):
    """A comment on one report."""

    report: str = Field(description="The report, by number or topic.")
    comment: str = Field(
        description="What the next revision shall change first.", max_length=20_000
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
    reviewer: str = Field(
        default="",
        description="Your name, as the published reports show it. Empty: they show no name.",
        max_length=200,
        json_schema_extra={"position": 4},
    )
    comments: list[ReportComment] = Field(
        default=[],
        description="refine: comments on single reports; each goes first into the next revision"
        " of its report, whatever its score. approve: notes that are kept with the report.",
        json_schema_extra={"position": 5},
    )


async def ask_person(
    finished: Sequence[tuple[Refined, str]],
    *,
    turn: int,
    quality_threshold: float,
    max_iterations: int,
    days: float,
    deployed: bool,
) -> tuple[Decision, datetime]:
    """Show the finished reports and wait for a person's decision in the Prefect UI.

    Args:
        finished: The reports with their summaries.
        turn: Number of this question, from 1; a run that is started again finds the decision on
            the turns before.
        quality_threshold: The lowest score to publish that the form offers.
        max_iterations: The rounds of critique that the form offers.
        days: How long to wait.
        deployed: The run belongs to a deployment and can be suspended.

    Returns:
        The decision, and when it was made.

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
    await tag_run(WAITING, there=True)
    try:
        if deployed:
            decision = await asuspend_flow_run(wait_for_input=asked, timeout=seconds, key=key)
        else:
            decision = await apause_flow_run(
                wait_for_input=asked, timeout=seconds, poll_interval=POLL_S, key=key
            )
        await tag_run(WAITING, there=False)
        return decision, await _decided_at(key)
    except FlowPauseTimeout:
        await tag_run(WAITING, there=False)
        raise Undecided(
            f"nobody decided on {len(finished)} finished reports within {days:g} days; run the"
            " same command again to be asked again; paid answers are used again"
        ) from None


async def _decided_at(key: str) -> datetime:
    """When a decision reached the server, to the second; now, if the server does not tell."""
    given: list[FlowRunInput] = []
    try:
        async with get_client() as client:
            for state in ("suspended", "paused"):
                given += await client.filter_flow_run_input(
                    flow_run_id=UUID(str(flow_run.get_id())),
                    key_prefix=f"{state}-{key}-response",
                    limit=1,
                    exclude_keys=set(),
                )
    except Exception as error:  # the decision itself was read
        logger.warning("the time of the decision could not be read: %s", shown(str(error)))
    known = [one.created.timestamp() for one in given if one.created]
    return datetime.fromtimestamp(int(max(known, default=time.time())), UTC)


def comments_by_slug(decision: Decision, finished: Sequence[tuple[Refined, str]]) -> dict[str, str]:
    """The comments of a decision by the slug of the report that they name."""
    found: dict[str, str] = {}
    for number, (refined, _) in enumerate(finished, start=1):
        topic = refined.topic
        names = {str(number), topic.title.casefold(), topic.slug}
        said = [
            one.comment.strip()
            for one in decision.comments
            if one.report.strip().casefold() in names and one.comment.strip()
        ]
        if said:
            found[topic.slug] = "\n\n".join(said)
    return found


def approvals(
    decision: Decision,
    finished: Sequence[tuple[Refined, str]],
    held: Collection[str],
    decided: datetime,
) -> dict[str, Approval]:
    """The approvals of the reports that a decision lets be published, by slug.

    Args:
        decision: The decision.
        finished: The reports with their summaries, as the person read them.
        held: Slugs of the reports that it holds back.
        decided: When it was made.
    """
    comments = comments_by_slug(decision, finished)
    return {
        refined.topic.slug: Approval(
            reviewer=one_line(decision.reviewer),
            time=decided,
            digest=approved_digest(refined.winner.text, summary_text(summary)),
            comment=comments.get(refined.topic.slug, ""),
        )
        for refined, summary in finished
        if decision.decision == "approve" and refined.topic.slug not in held
    }


async def show_decision(
    decision: Decision, finished: Sequence[tuple[Refined, str]], held: Collection[str]
) -> None:
    """Show what was decided in place of the question.

    Args:
        decision: The decision.
        finished: The reports with their summaries.
        held: Slugs of the reports that it holds back.
    """
    published = len(finished) - len(held)
    said = f"Decided: {decision.decision}; {published} of {len(finished)} reports are published."
    if decision.decision == "refine":
        said = (
            f"Decided: refine up to score {decision.quality_threshold:g} in at most"
            f" {decision.max_iterations} rounds."
        )
    await show_markdown(REVIEW_KEY, f"**{said}**\n\n{review(finished)}", said)


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
        text = refined.text if len(refined.text) <= most else f"{refined.text[:most]}\n\n…"
        parts.append(clean_markdown(text, title=topic.title))
    return "\n\n".join(parts)
