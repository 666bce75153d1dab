"""A flow that a task starts is a flow like any other."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext, TaskRunContext
from prefect.flow_engine import run_flow
from prefect.transactions import get_transaction, transaction

from prefect_llm_reports.tasks.runtime.context import outside_of_tasks, report_run_name


def seen() -> list[bool]:
    """Whether there is a task run, and a transaction."""
    return [TaskRunContext.get() is not None, get_transaction() is not None]


@task
async def inner() -> list[list[bool]]:
    """A task whose body is for a while outside of it."""
    with transaction("test"):
        before = seen()
        with outside_of_tasks():
            within = seen()
        return [before, within, seen()]


def test_within_neither_task_nor_transaction_is_seen() -> None:
    """And afterwards both are as before; in a flow there is nothing to leave."""

    @flow
    async def outer() -> Any:
        with outside_of_tasks():
            first = seen()
        return first, await inner()

    first, (before, within, after) = asyncio.run(outer())
    assert first == within == [False, False]
    assert before == after == [True, True]


@flow(flow_run_name=report_run_name)
async def named(topics: list[str], model: str | None = None) -> str:
    """A flow that says how its run is called."""
    context = FlowRunContext.get()
    assert context
    assert context.flow_run
    return context.flow_run.name


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (None, "Tidal power + 1 more \u00b7 offline"),
        ("charming-boa", "Tidal power + 1 more \u00b7 offline"),
        ("for the board", "for the board"),
        ("Q3", "Q3"),
        ("board-2026", "board-2026"),
        ("nu42-mundburg", "nu42-mundburg \u00b7 Tidal power + 1 more \u00b7 offline"),
    ],
)
def test_a_name_that_a_person_gave_stays(given: str | None, wanted: str) -> None:
    """A name that Prefect made up of two words is replaced by the topics."""
    parameters = {"topics": ["Tidal power", "C++"], "model": "offline"}

    async def run() -> str:
        async with get_client() as client:
            made = await client.create_flow_run(named, name=given, parameters=parameters)
        return await run_flow(named, flow_run=made, parameters=parameters)  # pyright: ignore

    assert asyncio.run(run()) == wanted
