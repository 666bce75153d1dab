"""Branches: the tasks that put an input to them, and what one input's answers are merged into.

Independent branches are asked at the same time, a branch that uses others after them. A branch
that fails ends nothing but the branches that use it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from prefect import State
from prefect.states import Cancelled

from prefect_llm_reports.tasks.answers.records import sealed
from prefect_llm_reports.tasks.branches.merging import concatenated, tallied
from prefect_llm_reports.tasks.branches.programs import Node, Program
from prefect_llm_reports.tasks.branches.questions import Asker, Inquiry
from prefect_llm_reports.tasks.calls.answering import Answerer, NotKept, step_record
from prefect_llm_reports.tasks.calls.judging import judge_candidates, orders, ranked
from prefect_llm_reports.tasks.calls.policies import LLMStep, SealedAnswer, llm_step
from prefect_llm_reports.tasks.contract.branch_results import BranchOutput, Tally
from prefect_llm_reports.tasks.contract.calls import Answer, Ask, Ranking, StepRecord
from prefect_llm_reports.tasks.contract.errors import NotNeeded, ReportsError
from prefect_llm_reports.tasks.contract.records import ErrorReport, digest
from prefect_llm_reports.tasks.llm.answer_forms import Invalid
from prefect_llm_reports.tasks.llm.session import Session, current_session, use_session
from prefect_llm_reports.tasks.llm.strict_schemas import Json

_called_off: ContextVar[asyncio.Event | None] = ContextVar("called_off", default=None)
"""Set when a branch has answered and the others are not needed any more."""


@llm_step
async def answer_branch(ask: Ask) -> SealedAnswer | State[Any]:
    """Put the input to a branch; cancelled when another one has answered before."""
    off = _called_off.get()
    if off is None:
        return sealed(await current_session().answer(ask))
    answering = asyncio.ensure_future(current_session().answer(ask))
    called_off = asyncio.ensure_future(off.wait())
    try:
        await asyncio.wait({answering, called_off}, return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            return sealed(answering.result())
        return Cancelled(message=f"{ask.step} is not needed: another branch has answered")
    finally:
        called_off.cancel()
        if not answering.done():
            answering.cancel()
            with suppress(asyncio.CancelledError):
                await answering


@llm_step
async def synthesize_outputs(ask: Ask) -> SealedAnswer:
    """Have the outputs of branches combined into one."""
    return sealed(await current_session().answer(ask))


@dataclass
class Merged:
    """What the outputs were merged into, and how that came about."""

    value: Any = None
    winner: str | None = None
    ranking: tuple[Ranking, ...] = ()
    tally: tuple[Tally, ...] = ()
    error: ErrorReport | None = None


@dataclass
class Answered:
    """One input's branches, answered as far as they could be, and their merge."""

    outputs: list[BranchOutput]
    merged: Merged
    steps: list[StepRecord]


@dataclass
class Work:
    """One input on its way through a program.

    Args:
        asker: Makes the questions.
        inquiry: The input.
        sessions: Access to the endpoints, by name; None: the run's.
        answerer: How questions are answered.
    """

    asker: Asker
    inquiry: Inquiry
    sessions: Mapping[str | None, Session]
    answerer: Answerer
    steps: list[StepRecord] = field(default_factory=list[StepRecord])
    enough: asyncio.Event = field(default_factory=asyncio.Event)
    first: str | None = None
    not_kept: NotKept | None = None

    @property
    def program(self) -> Program:
        """The branches."""
        return self.asker.program

    async def done(self) -> Answered:
        """Ask every branch, and merge what they answer.

        Raises:
            NotKept: The answers are read from the store, and one is not there.
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
        merged = await self._merged({output.name: output for output in outputs})
        return Answered(outputs, merged, self.steps)

    async def _output(
        self, node: Node, running: Mapping[str, asyncio.Task[BranchOutput]]
    ) -> BranchOutput:
        await asyncio.sleep(0)  # until all have been started
        used: dict[str, Json] = {}
        for use in node.uses:
            source = await running[use.branch]
            if source.status != "answered":
                said = f"not asked: it uses {use.branch}, which has not answered"
                error = ErrorReport(kind="upstream_failed", message=said, step=node.name)
                return BranchOutput(name=node.name, status="not_asked", error=error)
            used[use.branch] = source.output
        optional = self.program.merge == "any" and node in self.program.results
        if optional:
            _called_off.set(self.enough)
        try:
            if optional and self.enough.is_set():
                raise NotNeeded(f"{node.name} is not needed: another branch has answered")
            ask = self.asker.branch(self.inquiry, node, used)
            with use_session(self.sessions[node.branch.endpoint]):
                answer, cached = await self.answer(answer_branch, ask)
        except NotKept as missing:
            if self.program.merge != "any":
                raise
            self.not_kept = missing  # unless another one is kept
            return BranchOutput(name=node.name, status="cancelled")
        except NotNeeded:
            return BranchOutput(name=node.name, status="cancelled")
        except ReportsError as error:
            return self._failed(node, error)
        if optional:
            self.enough.set()
            self.first = self.first or node.name
        output = json.loads(answer.text)
        return BranchOutput(
            name=node.name, status="answered", output=output, model=answer.model, cached=cached
        )

    def _failed(self, node: Node, error: ReportsError) -> BranchOutput:
        if error.reach == "fatal":
            self.sessions[node.branch.endpoint].stop(error)
        status = "not_asked" if error.reach == "not_started" else "failed"
        return BranchOutput(name=node.name, status=status, error=error.report())

    async def answer(self, step: LLMStep, ask: Ask) -> tuple[Answer, bool]:
        """The answer to one question, and whether it was there already.

        A kept answer that the form, changed since in what its schema does not say, no longer
        accepts is asked for anew.
        """
        answer, cached = await self.answerer(step, ask)
        if cached:
            try:
                ask.accept(answer.text)
            except Invalid as problem:
                again = f"{ask.variant}~{digest(str(problem))[:8]}"
                ask = ask.model_copy(update={"variant": again})
                answer, cached = await self.answerer(step, ask)
        self.steps.append(step_record(ask, answer, 0, cached=cached))
        return answer, cached

    async def _merged(self, outputs: Mapping[str, BranchOutput]) -> Merged:
        results = self.program.results
        there = {
            node.name: outputs[node.name].output
            for node in results
            if outputs[node.name].status == "answered"
        }
        if self.program.merge == "all" and len(there) < len(results):
            missing = [node.name for node in results if node.name not in there]
            return _unmerged(
                f"the merge all needs every branch, and {_listed(missing)} did not answer; the"
                " others' outputs are kept: run the same again to ask for what is missing"
            )
        if not there:
            return _unmerged("no branch has answered; the branches' own errors say why")
        try:
            return await self._merge(there)
        except ReportsError as error:
            if error.reach == "fatal":
                self.sessions[None].stop(error)
            return Merged(error=error.report())

    async def _merge(self, there: dict[str, Json]) -> Merged:
        results, first = self.program.results, next(iter(there))
        match self.program.merge:
            case "all":
                return Merged([there[node.name] for node in results])
            case "any":
                winner = self.first or first
                return Merged(there[winner], winner=winner)
            case "concat":
                names = [node.name for node in results]
                fields = {node.name: list(node.form.schema["properties"]) for node in results}
                return Merged(concatenated(names, fields, there))
            case "vote":
                return self._vote(there)
            case "best":
                return await self._best(there)
            case "synthesize":
                ask = self.asker.synthesize(self.inquiry, there)
                with use_session(self.sessions[None]):
                    answer, _ = await self.answer(synthesize_outputs, ask)
                return Merged(json.loads(answer.text))

    def _vote(self, there: dict[str, Json]) -> Merged:
        voted_on = self.program.vote_field or ""
        votes = [(name, output.get(voted_on)) for name, output in there.items()]
        tally = tallied(votes)
        if len(votes) < self.program.quorum:
            said = f"{len(votes)} of at least {self.program.quorum} answers that the vote needs"
            return Merged(tally=tally, error=_error(f"no vote: there are {said}"))
        if tally[0].votes * 2 <= len(votes):
            split = ", ".join(f"{t.votes} for {str(t.value)[:40]!r}" for t in tally[:4])
            return Merged(tally=tally, error=_error(f"no majority among {len(votes)}: {split}"))
        winner = tally[0].branches[0]
        return Merged(there[winner], winner=winner, tally=tally)

    async def _best(self, there: dict[str, Json]) -> Merged:
        names = list(there)
        if len(names) == 1:
            return Merged(there[names[0]], winner=names[0])
        with use_session(self.sessions[None]):
            verdicts = await self.verdicts(
                [
                    self.asker.judge(self.inquiry, [there[names[i]] for i in order], turn)
                    for turn, order in enumerate(orders(len(names)), start=1)
                ]
            )
        ranking = ranked(names, list(zip(orders(len(names)), verdicts, strict=True)))
        return Merged(there[ranking[0].name], winner=ranking[0].name, ranking=tuple(ranking))

    async def verdicts(self, asks: list[Ask]) -> list[Json]:
        """A judge's verdicts in every order, at the same time."""
        found = await asyncio.gather(
            *(self.answer(judge_candidates, ask) for ask in asks), return_exceptions=True
        )
        for outcome in found:
            if isinstance(outcome, BaseException):
                raise outcome
        return [json.loads(f[0].text) for f in found if not isinstance(f, BaseException)]


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _error(message: str) -> ErrorReport:
    return ErrorReport(kind="not_merged", message=message, step="merge")


def _unmerged(message: str) -> Merged:
    return Merged(error=_error(message))
