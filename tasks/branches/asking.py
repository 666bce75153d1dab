"""Asking: the branches of a program answer one input, and their outputs are merged.

Independent branches are asked at the same time; a branch that uses others waits for them. When a
branch fails, only the branches that use it fail with it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from prefect_llm_reports.tasks.branches.graph import Node
from prefect_llm_reports.tasks.branches.merging import Merged, Merging
from prefect_llm_reports.tasks.branches.programs import Program
from prefect_llm_reports.tasks.branches.questions import Asker, Inquiry
from prefect_llm_reports.tasks.branches.steps import Answering, answer_branch, enough
from prefect_llm_reports.tasks.calls.answering import NotKept
from prefect_llm_reports.tasks.contract.branch_results import BranchOutput
from prefect_llm_reports.tasks.contract.calls import StepRecord
from prefect_llm_reports.tasks.contract.errors import NotNeeded, ReportsError
from prefect_llm_reports.tasks.contract.records import ErrorReport
from prefect_llm_reports.tasks.llm.strict_schemas import Json


@dataclass
class Answered:
    """One input's outputs in branch order, their merge, and the answered calls."""

    outputs: list[BranchOutput]
    merged: Merged
    steps: list[StepRecord]


@dataclass
class Work:
    """One input on its way through a program.

    Args:
        asker: Makes the questions.
        inquiry: The input.
        answering: Gets the answers.

    Attributes:
        first: The branch that answered first, if the merge is `any`.
        not_kept: A question without a stored answer, if the merge is `any`.
    """

    asker: Asker
    inquiry: Inquiry
    answering: Answering
    first: str | None = None
    not_kept: NotKept | None = None
    _enough: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def program(self) -> Program:
        """The branches and their merge."""
        return self.asker.program

    async def done(self) -> Answered:
        """Ask every branch, and merge the outputs.

        Raises:
            NotKept: Answers come from the store only, and one is not there.
        """
        running: dict[str, asyncio.Task[BranchOutput]] = {}
        for node in self.program.nodes:
            running[node.name] = asyncio.create_task(self._output(node, running))
        try:
            outputs = list(await asyncio.gather(*running.values()))
        finally:
            for task in running.values():
                task.cancel()
        if self.not_kept and self.first is None:
            raise self.not_kept
        merging = Merging(self.asker, self.inquiry, self.answering, self.first)
        return Answered(outputs, await merging.merged(outputs), self.answering.steps)

    async def _output(
        self, node: Node, running: Mapping[str, asyncio.Task[BranchOutput]]
    ) -> BranchOutput:
        await asyncio.sleep(0)  # until `running` has all branches
        used: dict[str, Json] = {}
        for use in node.uses:
            source = await running[use.branch]
            if source.status != "answered":
                said = f"not asked: it uses {use.branch}, which has not answered"
                error = ErrorReport(kind="upstream_failed", message=said, step=node.name)
                return BranchOutput(name=node.name, status="not_asked", error=error)
            used[use.branch] = source.output
        any_will_do = self.program.merge == "any" and node in self.program.results
        if any_will_do:
            enough.set(self._enough)
        try:
            if any_will_do and self._enough.is_set():
                raise NotNeeded(f"{node.name} is not needed: another branch has answered")
            ask = self.asker.branch(self.inquiry, node, used)
            after = [self.inquiry.named(use.branch) for use in node.uses]
            answer, cached = await self.answering.answer(
                answer_branch, ask, node.branch.endpoint, after
            )
        except NotKept as missing:
            if self.program.merge != "any":
                raise
            self.not_kept = missing  # matters only if no other answer is stored
            return BranchOutput(name=node.name, status="cancelled")
        except NotNeeded:
            return BranchOutput(name=node.name, status="cancelled")
        except ReportsError as error:
            self.answering.stop_if_fatal(error, node.branch.endpoint)
            status = "not_asked" if error.reach == "not_started" else "failed"
            return BranchOutput(name=node.name, status=status, error=error.report())
        if any_will_do:
            self._enough.set()
            self.first = self.first or node.name
        return BranchOutput(
            name=node.name,
            status="answered",
            output=json.loads(answer.text),
            model=answer.model,
            cached=cached,
        )
