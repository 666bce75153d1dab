"""A flow that a task starts is a flow like any other."""

from __future__ import annotations

import asyncio
from typing import Any

from prefect import flow, task
from prefect.context import TaskRunContext
from prefect.transactions import get_transaction, transaction

from prefect_llm_reports.tasks.runtime.context import outside_of_tasks


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
