"""A run's place in Prefect: its flow run, task runner and name.

Not here: a run's work and its output.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from typing import Any, cast

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext, TaskRunContext
from prefect.runtime import flow_run
from prefect.task_runners import TaskRunner
from prefect.transactions import BaseTransaction, get_transaction

from prefect_llm_reports.tasks.contract.choices import DEPLOYED_PATIENCE_S, PATIENCE_S
from prefect_llm_reports.tasks.contract.records import shortened
from prefect_llm_reports.tasks.contract.run_forms import Lines
from prefect_llm_reports.tasks.runtime.runner import EventLoopTaskRunner

logger = logging.getLogger(__name__)

_MAYBE_MADE_UP = re.compile(r"[a-z]+\d*-[a-z][a-z0-9']*(?:-[a-z]+)?")
"""Names as the form of the UI makes them up."""


def flow_run_here() -> FlowRun:
    """The flow run that calls this."""
    context = FlowRunContext.get()
    assert context is not None
    assert context.flow_run is not None
    return context.flow_run


def runner_here() -> TaskRunner[Any]:
    """The task runner of the flow run that calls this."""
    context = FlowRunContext.get()
    assert context is not None
    return context.task_runner


def run_context() -> tuple[FlowRun, EventLoopTaskRunner]:
    """The flow run that calls this, and its task runner."""
    runner = runner_here()
    assert isinstance(runner, EventLoopTaskRunner)
    return flow_run_here(), runner


@contextmanager
def outside_of_tasks() -> Generator[None]:
    """Let a flow that a task starts behave like any other flow.

    Below a task, Prefect takes results, locks and logs for those of the task, and keeps no result
    before the task has ended.
    """
    with ExitStack() as restored:
        active = {TaskRunContext: TaskRunContext.get(), BaseTransaction: get_transaction()}
        for context, found in active.items():
            if found is not None:
                current: ContextVar[Any] = context.__var__
                restored.callback(current.reset, current.set(None))
        yield


def of_a_deployment() -> bool:
    """Whether this run is a deployment's: nobody waits for the result that it returns."""
    return flow_run_here().deployment_id is not None


async def tag_run(tag: str, *, there: bool) -> None:
    """Add a tag to this run, or take it off; where the server does not take it, nothing happens.

    Args:
        tag: The tag.
        there: Whether the run has it afterwards.
    """
    run_id = flow_run_here().id
    try:
        async with get_client() as client:
            tags = set((await client.read_flow_run(run_id)).tags)
            wanted = tags | {tag} if there else tags - {tag}
            if wanted != tags:
                await client.update_flow_run(run_id, tags=sorted(wanted))
    except Exception as error:  # whatever it is, a tag is no reason to stop
        logger.debug("the run's tags were not changed: %s", type(error).__name__)


def patience_here() -> float:
    """Seconds to wait for an endpoint that is away, where the options do not say."""
    context = FlowRunContext.get()
    deployed = context and context.flow_run and context.flow_run.deployment_id
    return DEPLOYED_PATIENCE_S if deployed else PATIENCE_S


def report_run_name() -> str:
    """A batch's name in the UI: its first topic, the number of the others, the model."""
    name, made_up = _given_name()
    if name and not made_up:
        return name
    given: Any = flow_run.get_parameters()
    titles = [_title(topic) for topic in Lines.split(given.get("topics")) or ()]
    return name + _run_name(titles, given.get("topics_file"), given.get("model"))


def branches_run_name() -> str:
    """The name in the UI of a run of branches: its first input, the number of others, the model."""
    name, made_up = _given_name()
    if name and not made_up:
        return name
    given: Any = flow_run.get_parameters()
    several = Lines.split(given.get("queries")) or ()
    queries = [given["query"]] if "query" in given else several
    texts = [query if isinstance(query, str) else _values(query) for query in queries]
    return name + _run_name(texts, given.get("queries_file"), given.get("model"))


def _given_name() -> tuple[str, bool]:
    """The name that the run has so far, and whether topics are to follow it.

    A name that the server made up counts for nothing. The form in the UI makes names up that a
    person may have typed as well, such as `nu42-mundburg`: they stay, before the topics.
    """
    name = str(flow_run.get_name() or "")
    if name.count("-") == 1 and _words().issuperset(name.split("-")):
        return "", True
    return (f"{name} · ", True) if _MAYBE_MADE_UP.fullmatch(name) else (name, False)


@cache
def _words() -> frozenset[str]:
    """The words of which Prefect makes up names, such as `charming-boa`."""
    lists: dict[str, dict[str, Any]] = import_module("coolname.data").config
    return frozenset(word for one in lists.values() for word in one.get("words", ()))


def _title(topic: Any) -> str:
    if isinstance(topic, str):
        return topic
    given: Any = topic
    return str(given.get("title") if isinstance(topic, dict) else given.title)


def _values(query: Any) -> str:
    fields = cast("dict[str, Any]", query if isinstance(query, dict) else dict(query))
    return ", ".join(map(str, fields.values()))


def _run_name(items: list[str], file: str | None, model: str | None) -> str:
    first = shortened(items[0]) if items else ""
    more = f"{len(items) - 1} more" if len(items) > 1 else ""
    file = file.rpartition("/")[2] if file else ""
    what = " + ".join(part for part in (first, more, file) if part) or "nothing"
    return f"{what} · {model}" if model else what
