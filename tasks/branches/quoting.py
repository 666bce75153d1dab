"""The quote of a program of branches over its inputs, without a call.

The program itself goes through the stored answers of each input. What is missing is estimated.
Here: which questions are missing. Not here: what one of them takes (`llm.estimates`), the sum
(`llm.quotes`).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from statistics import fmean
from typing import Any, Literal

from prefect_llm_reports.tasks.answers.store import AnswerStore
from prefect_llm_reports.tasks.branches.asking import Work
from prefect_llm_reports.tasks.branches.checking import CheckedProgram
from prefect_llm_reports.tasks.branches.graph import Node
from prefect_llm_reports.tasks.branches.questions import Inquiry
from prefect_llm_reports.tasks.branches.steps import Answering, answer_branch
from prefect_llm_reports.tasks.calls.policies import LLMStep
from prefect_llm_reports.tasks.contract.calls import Answer, Ask
from prefect_llm_reports.tasks.contract.errors import ReportsError
from prefect_llm_reports.tasks.contract.quotes import Quote, QuotedTopics
from prefect_llm_reports.tasks.llm.estimates import Estimator, Expected, Experience
from prefect_llm_reports.tasks.llm.quotes import Outlook, Part, outlook_of, quote_of
from prefect_llm_reports.tasks.llm.requests import input_bound
from prefect_llm_reports.tasks.llm.session import Session
from prefect_llm_reports.tasks.results.earlier import earlier_slugs

AT_ONCE = 32
"""Inputs whose stored answers are looked up at the same time."""
FIELD_TOKENS, VERDICT_TOKENS = 120, 60
"""Usual lengths while nothing is recorded: of a field of an answer, and of one verdict."""
FIELD_CHARS = 480


class _Missing(ReportsError):
    """The store has no answer to a question; the other branches are looked up nevertheless."""


@dataclass
class Walked:
    """What the store has of an input.

    Attributes:
        kept: Stored answers that the run uses.
        branches: The branches that are still asked, by name.
        merges: Number of merging calls that are still made.
        asks: The questions to branches whose prompt is known, by branch.
    """

    inquiry: Inquiry
    kept: int
    branches: frozenset[str]
    merges: int
    asks: dict[str, Ask]

    @property
    def whole(self) -> bool:
        """Whether the store has every answer."""
        return not self.branches and not self.merges


async def quote_branches(checked: CheckedProgram) -> Quote:
    """Quote a program over its inputs: nothing is asked, and nothing is written.

    Args:
        checked: What would be done.
    """
    program, store = checked.asker.program, AnswerStore(location=checked.store)
    options = program.options
    sessions = {name: Session(places, options) for name, places in checked.endpoints.items()}
    async with store.consulted(days=options.store_days, refresh=options.refresh):
        gate = asyncio.Semaphore(AT_ONCE)
        walked = await asyncio.gather(
            *(_walked(checked, inquiry, store, sessions, gate) for inquiry in checked.inquiries)
        )
        asks = not all(one.whole for one in walked)
        experience = Experience(await store.newest() if asks else ())
    earlier: set[str] = set()
    if checked.output:
        earlier = await asyncio.to_thread(earlier_slugs, checked.output)
    cached = sum(one.whole for one in walked)
    changed = sum(
        not one.whole and (bool(one.kept) or one.inquiry.slug in earlier) for one in walked
    )
    estimator = Estimator(options, checked.endpoints, experience)
    return quote_of(
        _outlooks(checked, walked, estimator),
        estimator,
        QuotedTopics(new=len(walked) - cached - changed, changed=changed, cached=cached),
        sum(one.kept for one in walked),
        items="inputs",
        warnings=[*checked.warnings, *store.warnings],
    )


async def _walked(
    checked: CheckedProgram,
    inquiry: Inquiry,
    store: AnswerStore,
    sessions: dict[str | None, Session],
    gate: asyncio.Semaphore,
) -> Walked:
    """Put the program to an input with stored answers only."""
    program = checked.asker.program
    branches: dict[str, bool] = {}
    asks: dict[str, Ask] = {}
    merges: list[bool] = []

    async def look_up(step: LLMStep, ask: Ask, after: Iterable[str] = ()) -> tuple[Answer, bool]:
        del after
        if step is not answer_branch and not all(branches.values()):
            raise _Missing(ask.label)
        answer = await store.kept(ask)
        if step is answer_branch:
            branches[ask.step] = answer is not None
            asks[ask.step] = ask
        else:
            merges.append(answer is not None)
        if answer is None:
            raise _Missing(ask.label)
        return answer, True

    async with gate:
        await asyncio.sleep(0)  # reads of a quick disk do not give way to other tasks
        work = Work(checked.asker, inquiry, Answering(sessions, look_up))
        done = await work.done()
    kept = len(done.steps)
    if program.merge == "any" and work.first:
        return Walked(inquiry, kept, frozenset(), 0, asks)
    missing = frozenset(node.name for node in program.nodes if not branches.get(node.name))
    if missing:
        return Walked(inquiry, kept, missing, _merging_calls(checked), asks)
    return Walked(inquiry, kept, missing, merges.count(False), asks)


def _merging_calls(checked: CheckedProgram) -> int:
    """The calls that merge the outputs of one input."""
    program = checked.asker.program
    results = len(program.results)
    calls: dict[str, int] = {"best": results if results > 1 else 0, "synthesize": 1}
    return calls.get(program.merge, 0)


def _outlooks(
    checked: CheckedProgram, walked: Sequence[Walked], estimator: Estimator
) -> list[Outlook]:
    """What each input still takes; inputs of which the same is missing share one outlook."""
    groups: dict[Any, list[Walked]] = defaultdict(list)
    for one in walked:
        size = len(one.inquiry.text.encode()).bit_length()
        groups[one.branches, one.merges, size].append(one)
    found: dict[int, Outlook] = {}
    for (branches, merges, _), members in groups.items():
        questions = _Questions(checked, members, estimator)
        stages = questions.stages(branches, merges)
        outlook = outlook_of(estimator, stages, _held(estimator, stages))
        found |= {id(one): outlook for one in members}
    return [found[id(one)] for one in walked]


def _held(estimator: Estimator, stages: list[list[Part]]) -> Decimal | None:
    """What a budget must have left before the dearest question is put."""
    if estimator.options.budget_usd is None:
        return Decimal(0)
    expected = [part.expected for stage in stages for part in stage]
    held = [estimator.held(one.ask, one.endpoint) for one in expected]
    known = [usd for usd in held if usd is not None]
    return max(known, default=Decimal(0)) if len(known) == len(held) else None


@dataclass
class _Questions:
    """The questions about inputs of about one size of which the same is missing.

    Args:
        checked: The program, and where it asks.
        members: The inputs.
        estimator: Knows the questions of earlier answers.
    """

    checked: CheckedProgram
    members: Sequence[Walked]
    estimator: Estimator

    @cached_property
    def _largest(self) -> Inquiry:
        texts = [one.inquiry for one in self.members]
        return max(texts, key=lambda inquiry: len(inquiry.text.encode()))

    def stages(self, branches: frozenset[str], merges: int) -> list[list[Part]]:
        """The questions in stages, each stage at the same time.

        Args:
            branches: The branches that are asked.
            merges: Number of merging calls.
        """
        program = self.checked.asker.program
        depths: dict[str, int] = {}

        def depth(node: Node) -> int:
            if node.name not in depths:
                used = {use.branch for use in node.uses}
                before = [depth(other) for other in program.nodes if other.name in used]
                depths[node.name] = 1 + max(before, default=0)
            return depths[node.name]

        stages: dict[int, list[Part]] = defaultdict(list)
        for node in program.nodes:
            if node.name in branches:
                stages[depth(node)].append(Part(self._branch(node), 1))
        if merges:
            merging = self._merge("judge" if program.merge == "best" else "synthesize")
            stages[len(program.nodes) + 1] = [Part(merging, 1) for _ in range(merges)]
        return [stages[at] for at in sorted(stages)]

    def _branch(self, node: Node) -> Expected:
        """The question to a branch: with its real prompt where that is known."""
        asker, used = self.checked.asker, {use.branch for use in node.uses}
        nodes = {other.name: other for other in asker.program.nodes}
        known = [one.asks[node.name] for one in self.members if node.name in one.asks]
        usual = {name: _filled(nodes[name], FIELD_CHARS) for name in used}
        ask = known[0] if known else asker.branch(self._largest, node, usual)
        empty = {name: _filled(nodes[name], 0) for name in used}
        texts = sum(self._limit(nodes[name]) for name in used)
        mean = self.estimator.experience.mean(ask, self._model(ask, node))
        longer = fmean(one.chars for one in known) - mean.chars if known and mean else 0.0
        return Expected(
            ask=ask,
            output_tokens=FIELD_TOKENS * len(node.form.schema["properties"]),
            at_most=input_bound(asker.branch(self._largest, node, empty), ()) + texts,
            endpoint=node.branch.endpoint,
            longer=longer,
        )

    def _merge(self, which: Literal["judge", "synthesize"]) -> Expected:
        asker = self.checked.asker
        results = asker.program.results
        asks: list[Ask] = []
        for chars in (FIELD_CHARS, 0):
            outputs = {node.name: _filled(node, chars) for node in results}
            asks.append(
                asker.judge(self._largest, [*outputs.values()], 1)
                if which == "judge"
                else asker.synthesize(self._largest, outputs)
            )
        fields = len(asker.program.synthesis.schema["properties"])
        output = VERDICT_TOKENS * len(results) if which == "judge" else FIELD_TOKENS * fields
        texts = sum(self._limit(node) for node in results)
        return Expected(ask=asks[0], output_tokens=output, at_most=input_bound(asks[1], ()) + texts)

    def _limit(self, node: Node) -> int:
        """Tokens that a branch's answer can have."""
        return node.branch.max_output_tokens or self.checked.asker.program.options.max_output_tokens

    def _model(self, ask: Ask, node: Node) -> str:
        return self.checked.endpoints[node.branch.endpoint][0].model or ask.model


def _filled(node: Node, chars: int) -> dict[str, Any]:
    """An answer in a branch's form, with texts of this length in all fields."""
    return dict.fromkeys(node.form.schema["properties"], "x" * chars)
