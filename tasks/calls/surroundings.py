"""The surroundings of a run's calls: its store, and a process fit for thousands of tasks."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from prefect_llm_reports.tasks.answers.store import AnswerStore, use_store
from prefect_llm_reports.tasks.runtime.context import outside_of_tasks
from prefect_llm_reports.tasks.runtime.logs import decisions_only
from prefect_llm_reports.tasks.runtime.memory import rarer_collections


@contextmanager
def ready_for_calls(store: AnswerStore) -> Generator[None]:
    """Let the tasks of a run use a store, and keep the process quick for many of them.

    Args:
        store: The store; it is open.
    """
    with outside_of_tasks(), rarer_collections(), decisions_only(), use_store(store):
        yield
