"""Steps: the LLM calls for one input, as Prefect tasks; each answered call is recorded.

Here: single questions. Not here: the order of branches (`branches.asking`), the merge of answers
(`branches.merging`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from prefect import State
from prefect.states import Cancelled

from prefect_llm_reports.tasks.answers.records import sealed
from prefect_llm_reports.tasks.calls.answering import Answerer, step_record
from prefect_llm_reports.tasks.calls.policies import LLMStep, SealedAnswer, llm_step
from prefect_llm_reports.tasks.contract.calls import Answer, Ask, StepRecord
from prefect_llm_reports.tasks.contract.errors import ReportsError
from prefect_llm_reports.tasks.contract.records import digest
from prefect_llm_reports.tasks.llm.answer_forms import Invalid
from prefect_llm_reports.tasks.llm.session import Session, current_session, use_session

enough: ContextVar[asyncio.Event | None] = ContextVar("enough", default=None)
"""Set when one branch has answered and the merge needs no other."""


@llm_step
async def answer_branch(ask: Ask) -> SealedAnswer | State[Any]:
    """Ask a branch; the call is cancelled when another branch has answered first."""
    others = enough.get()
    if others is None:
        return sealed(await current_session().answer(ask))
    answering = asyncio.ensure_future(current_session().answer(ask))
    called_off = asyncio.ensure_future(others.wait())
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
    """Ask a model to combine the outputs of branches into one."""
    return sealed(await current_session().answer(ask))


@dataclass
class Answering:
    """Gets the answers for one input, and records the calls.

    Args:
        sessions: Access to the endpoints by name; None: the run's own endpoint.
        answerer: Answers one question: from the store, or by a call.

    Attributes:
        steps: The answered calls so far.
    """

    sessions: Mapping[str | None, Session]
    answerer: Answerer
    steps: list[StepRecord] = field(default_factory=list[StepRecord])

    async def answer(
        self, step: LLMStep, ask: Ask, endpoint: str | None = None, after: Iterable[str] = ()
    ) -> tuple[Answer, bool]:
        """Get the answer to one question; the second value tells whether the store had it.

        `after` has the labels of the questions whose answers it uses.

        A form can be stricter than its schema, and can change. A stored answer that the form no
        longer accepts is asked for again.
        """
        with use_session(self.sessions[endpoint]):
            answer, cached = await self.answerer(step, ask, after)
            if cached:
                try:
                    ask.accept(answer.text)
                except Invalid as problem:
                    again = f"{ask.variant}~{digest(str(problem))[:8]}"
                    ask = ask.model_copy(update={"variant": again})
                    answer, cached = await self.answerer(step, ask, after)
        self.steps.append(step_record(ask, answer, 0, cached=cached))
        return answer, cached

    async def texts(
        self, step: LLMStep, asks: Sequence[Ask], after: Iterable[str] = ()
    ) -> list[str]:
        """Get the answers to several questions of the run's own endpoint at the same time."""
        found = await asyncio.gather(
            *(self.answer(step, ask, after=after) for ask in asks), return_exceptions=True
        )
        for outcome in found:
            if isinstance(outcome, BaseException):
                raise outcome
        return [outcome[0].text for outcome in found if not isinstance(outcome, BaseException)]

    def stop_if_fatal(self, error: ReportsError, endpoint: str | None = None) -> None:
        """Make no further call at an endpoint after a fatal error."""
        if error.reach == "fatal":
            self.sessions[endpoint].stop(error)
