"""Merging: the outputs of branches for one input become one.

Here: the six merges, with the calls that two of them need. Not here: how fields are joined
(`branches.joining`), which votes are the same (`branches.voting`), how a judge ranks
(`calls.judging`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prefect_llm_reports.tasks.branches.joining import concatenated
from prefect_llm_reports.tasks.branches.programs import Program
from prefect_llm_reports.tasks.branches.questions import Asker, Inquiry
from prefect_llm_reports.tasks.branches.steps import Answering, synthesize_outputs
from prefect_llm_reports.tasks.branches.voting import tallied
from prefect_llm_reports.tasks.calls.judging import Comparison, judge_candidates
from prefect_llm_reports.tasks.contract.branch_results import BranchOutput, Tally
from prefect_llm_reports.tasks.contract.calls import Ranking
from prefect_llm_reports.tasks.contract.errors import ReportsError
from prefect_llm_reports.tasks.contract.records import ErrorReport
from prefect_llm_reports.tasks.llm.strict_schemas import Json


@dataclass
class Merged:
    """The merge of one input's outputs, and how it was found."""

    value: Any = None
    winner: str | None = None
    ranking: tuple[Ranking, ...] = ()
    tally: tuple[Tally, ...] = ()
    error: ErrorReport | None = None


@dataclass
class Merging:
    """Merges the outputs of one input.

    Args:
        asker: Makes the questions to the judge and to the synthesizer.
        inquiry: The input.
        answering: Gets their answers.
        first: The branch that answered first, if the merge is `any`.
    """

    asker: Asker
    inquiry: Inquiry
    answering: Answering
    first: str | None

    @property
    def program(self) -> Program:
        """The branches and their merge."""
        return self.asker.program

    async def merged(self, outputs: Sequence[BranchOutput]) -> Merged:
        """Merge the outputs of all branches, answered or not."""
        answered = {o.name: o.output for o in outputs if o.status == "answered"}
        results = self.program.results
        there = {node.name: answered[node.name] for node in results if node.name in answered}
        if self.program.merge == "all" and len(there) < len(results):
            missing = [node.name for node in results if node.name not in there]
            return _unmerged(
                f"the merge all needs every branch, and {_listed(missing)} did not answer; the"
                " other outputs are kept: run the same again to ask for the missing ones"
            )
        if not there:
            return _unmerged("no branch has answered; read the error of each branch")
        try:
            return await self._merge(there)
        except ReportsError as error:
            self.answering.stop_if_fatal(error)
            return Merged(error=error.report())

    async def _merge(self, there: Mapping[str, Json]) -> Merged:
        results = self.program.results
        match self.program.merge:
            case "all":
                return Merged([there[node.name] for node in results])
            case "any":
                winner = self.first or next(iter(there))
                return Merged(there[winner], winner=winner)
            case "concat":
                names = [node.name for node in results]
                fields = {node.name: list(node.form.schema["properties"]) for node in results}
                return Merged(concatenated(names, fields, there))
            case "vote":
                return self._voted(there)
            case "best":
                return await self._best(there)
            case "synthesize":
                ask = self.asker.synthesize(self.inquiry, there)
                after = self._labels(there)
                answer, _ = await self.answering.answer(synthesize_outputs, ask, after=after)
                return Merged(json.loads(answer.text))

    def _voted(self, there: Mapping[str, Json]) -> Merged:
        field = self.program.vote_field or ""
        votes = [(name, output.get(field)) for name, output in there.items()]
        tally = tallied(votes)
        if len(votes) < self.program.quorum:
            return _unmerged(
                f"no vote: {len(votes)} branches answered, and the vote needs"
                f" {self.program.quorum}; run the same again, or lower the quorum",
                tally,
            )
        if tally[0].votes * 2 <= len(votes):
            split = ", ".join(f"{t.votes} for {str(t.value)[:40]!r}" for t in tally[:4])
            return _unmerged(
                f"no majority among {len(votes)}: {split}; read the outputs, or add a branch", tally
            )
        winner = tally[0].branches[0]
        return Merged(there[winner], winner=winner, tally=tally)

    def _labels(self, there: Iterable[str]) -> list[str]:
        return [self.inquiry.named(name) for name in there]

    async def _best(self, there: Mapping[str, Json]) -> Merged:
        if len(there) == 1:
            ((name, output),) = there.items()
            return Merged(output, winner=name)
        comparison = Comparison(there)
        asks = [
            self.asker.judge(self.inquiry, reading, turn)
            for turn, reading in enumerate(comparison.readings, start=1)
        ]
        ranking = comparison.ranking(
            await self.answering.texts(judge_candidates, asks, self._labels(there))
        )
        winner = ranking[0].name
        return Merged(there[winner], winner=winner, ranking=tuple(ranking))


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _unmerged(message: str, tally: tuple[Tally, ...] = ()) -> Merged:
    error = ErrorReport(kind="not_merged", message=message, step="merge")
    return Merged(tally=tally, error=error)
