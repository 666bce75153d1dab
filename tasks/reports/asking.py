"""Asking: the questions of one report put together, and a record of each answer.

Here: several questions at the same time, their errors kept apart. Not here: which questions follow
which (`refining`), how one is answered (`calls.answering`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from prefect_llm_reports.tasks.calls.answering import Answerer, step_record
from prefect_llm_reports.tasks.calls.policies import LLMStep
from prefect_llm_reports.tasks.contract.calls import Ask, StepRecord
from prefect_llm_reports.tasks.contract.errors import ReportsError


@dataclass(frozen=True)
class Call:
    """One question, the task that asks it, and its place in the report."""

    step: LLMStep
    ask: Ask
    iteration: int = 0
    part: str = ""


@dataclass
class Asking:
    """The answered calls of one report so far.

    Attributes:
        answerer: How questions are answered.
        steps: A record of each answer.
        created: The newest time of an answer that the text depends on.
        before: Labels of the questions that were put last.
    """

    answerer: Answerer
    steps: list[StepRecord] = field(default_factory=list[StepRecord])
    created: int = 0
    before: list[str] = field(default_factory=list[str])

    async def answer(self, step: LLMStep, ask: Ask, iteration: int) -> str:
        """The answer to one question."""
        (text,) = await self.answers([Call(step, ask, iteration)])
        if isinstance(text, ReportsError):
            raise text
        return text

    async def answers(self, calls: Sequence[Call]) -> list[str | ReportsError]:
        """Ask questions at the same time.

        Returns:
            An answer or an error for each question, in order.

        Raises:
            NotKept: The answerer reads the store, and an answer is not there.
            ReportsError: The batch cannot go on.
        """
        before, self.before = self.before, [call.ask.label for call in calls]
        found = await asyncio.gather(
            *(self.answerer(call.step, call.ask, before) for call in calls),
            return_exceptions=True,
        )
        texts: list[str | ReportsError] = []
        for call, outcome in zip(calls, found, strict=True):
            if isinstance(outcome, ReportsError) and outcome.reach != "fatal":
                texts.append(outcome)
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                answer, cached = outcome
                record = step_record(
                    call.ask, answer, call.iteration, cached=cached, part=call.part
                )
                self.steps.append(record)
                if call.ask.step != "support":  # the text does not depend on opinions
                    self.created = max(self.created, answer.created)
                texts.append(answer.text)
        return texts
