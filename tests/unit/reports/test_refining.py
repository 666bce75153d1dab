"""The order in which a report's questions are asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from prefect_llm_reports.tasks.calls.policies import LLMStep
from prefect_llm_reports.tasks.contract.calls import Answer, Ask
from prefect_llm_reports.tasks.contract.reports import Critique
from prefect_llm_reports.tasks.reports.refining import refine
from tests.unit.reports.test_questions import TOPIC, plan

GOOD = Critique(score=9, strengths=["s"], improvements=["i"], summary="m").model_dump_json()


def test_the_first_of_a_panel_is_asked_before_the_others() -> None:
    """It has answered when the others, which begin alike, are asked together."""
    names = ["depth", "tone", "use"]
    events: list[str] = []

    async def answerer(step: LLMStep, ask: Ask, after: Iterable[str] = ()) -> tuple[Answer, bool]:
        del step, after
        part = ask.label.partition(" \u00b7 ")[0].rpartition(", ")[2]
        events.append(f"ask {part}")
        await asyncio.sleep(0)
        events.append(f"end {part}")
        text = GOOD if ask.step == "critique" else "# D"
        return Answer(text=text, model="m", endpoint="e"), False

    asked = plan(critics=[{"name": name, "focus": f"{name}?"} for name in names])
    refined = asyncio.run(refine(asked, TOPIC, answerer))
    assert refined.stop_reason == "accepted"
    critiques = [event for event in events if event.split()[1] in names]
    assert critiques == ["ask depth", "end depth", "ask tone", "ask use", "end tone", "end use"]
