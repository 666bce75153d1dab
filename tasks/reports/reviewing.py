"""A person's review of a batch: reports held between refining and publishing.

Here: the effect of a decision on the run. Not here: asking a person (`approval`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import count
from typing import Any

from prefect import get_run_logger, unmapped
from prefect.futures import PrefectFuture

from prefect_llm_reports.tasks.calls.answering import ask_model
from prefect_llm_reports.tasks.contract.errors import HeldBack
from prefect_llm_reports.tasks.contract.provenance import Approval, Remark
from prefect_llm_reports.tasks.contract.reports import Refined, Topic
from prefect_llm_reports.tasks.reports.accounts import OwnAccounts
from prefect_llm_reports.tasks.reports.approval import (
    REVIEW_KEY,
    Decision,
    approvals,
    ask_person,
    comments_by_slug,
    held_back,
    show_decision,
)
from prefect_llm_reports.tasks.reports.questions import Plan, own_summary_ask
from prefect_llm_reports.tasks.reports.refining import refine_report
from prefect_llm_reports.tasks.reports.steps import generate_summary
from prefect_llm_reports.tasks.runtime.context import of_a_deployment
from prefect_llm_reports.tasks.runtime.runner import as_is, ended
from prefect_llm_reports.tasks.text.figures import counted
from prefect_llm_reports.tasks.text.markdown import one_line


class Review:
    """The review of a batch; without a review, only its plan counts.

    Args:
        topics: The batch's topics.
        plan: How their reports are made.
        accounts: Session and store of this process.

    Attributes:
        plan: The plan, with the threshold and rounds of the last decision.
        held: Why a report is not published, by slug.
        read: Slugs of the reports whose summaries were made, and counted, for the review.
        approvals: The decision on each report that a person let be published, by slug.
    """

    def __init__(self, topics: Sequence[Topic], plan: Plan, accounts: OwnAccounts) -> None:
        self.plan = plan
        self.held: dict[str, Exception] = {}
        self.read: set[str] = set()
        self.approvals: dict[str, Approval] = {}
        self._remarks: dict[str, tuple[Remark, ...]] = {}
        self._topics = topics
        self._accounts = accounts
        self._log = get_run_logger()

    async def decided(self, refining: Sequence[PrefectFuture[Any]]) -> Sequence[PrefectFuture[Any]]:
        """Ask a person until the decision is to approve or to reject.

        Args:
            refining: The reports that are being refined, in the order of the topics.

        Returns:
            The reports to publish, unless `held` names them.

        Raises:
            Undecided: Nobody decided in time.
        """
        for turn in count(1):
            found = await asyncio.gather(*map(self._finished, self._topics, refining))
            finished = [report for report in found if report]
            if self._accounts.stopped:
                said = "the batch stopped before anybody decided on it; run the same command again"
                self.held |= {r.topic.slug: HeldBack(said) for r, _ in finished}
            if not finished or self._accounts.stopped:
                break
            self._log.info(
                "%s for a decision: read the artifact %s, then press Resume in the UI",
                f"{counted(len(finished), 'finished report')} wait",
                REVIEW_KEY,
            )
            decision, decided = await ask_person(
                finished,
                turn=turn,
                quality_threshold=self.plan.quality_threshold,
                max_iterations=self.plan.max_iterations,
                days=self.plan.options.approval_days,
                deployed=of_a_deployment(),
            )
            self._log.info("decided: %s", decision.decision)
            held = {} if decision.decision == "refine" else held_back(decision, finished)
            await show_decision(decision, finished, held)
            if decision.decision != "refine":
                self.held |= held
                self.approvals = approvals(decision, finished, held, decided)
                break
            self._note(decision, finished)
            self.plan = self.plan.model_copy(
                update=decision.model_dump(include={"quality_threshold", "max_iterations"})
            )
            remarks = [self._remarks.get(topic.slug, ()) for topic in self._topics]
            refining = refine_report.map(self._topics, unmapped(as_is(self.plan)), remarks)
        return refining

    def _note(self, decision: Decision, finished: Sequence[tuple[Refined, str]]) -> None:
        """Keep the comments of a decision for the next revision of each report."""
        comments = comments_by_slug(decision, finished)
        for refined, _ in finished:
            slug = refined.topic.slug
            if comment := comments.get(slug):
                remark = Remark(
                    iteration=refined.iterations,
                    draft=refined.best,
                    comment=comment,
                    reviewer=one_line(decision.reviewer),
                )
                self._remarks[slug] = (*self._remarks.get(slug, ()), remark)

    async def _finished(
        self, topic: Topic, refining: PrefectFuture[Any]
    ) -> tuple[Refined, str] | None:
        """A refined report with its summary; None: it failed, and `held` says why."""
        try:
            refined: Refined = await ended(refining)
            ask = own_summary_ask(self.plan, refined)
            summary, _ = await ask_model(generate_summary, ask)
        except Exception as error:
            self.held[topic.slug] = error
            return None
        self.held.pop(topic.slug, None)
        self.read.add(topic.slug)
        return refined, summary.text
