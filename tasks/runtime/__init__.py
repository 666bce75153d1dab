"""Everything that reaches below Prefect's public interface.

Here: the task runner, the context of a run, signals, events, logs, states, artifacts, and changes
to the whole process. A test names each private or undocumented symbol, why we use it, and what to
do when it is gone. Not here: the work of a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect_llm_reports.tasks import lazily

if TYPE_CHECKING:
    from prefect_llm_reports.tasks.runtime.context import flow_run_here
    from prefect_llm_reports.tasks.runtime.runner import EventLoopTaskRunner, as_is
    from prefect_llm_reports.tasks.runtime.signals import Interruption

__all__ = ["EventLoopTaskRunner", "Interruption", "as_is", "flow_run_here"]

__getattr__ = lazily(
    __name__,
    {
        "EventLoopTaskRunner": "runner",
        "Interruption": "signals",
        "as_is": "runner",
        "flow_run_here": "context",
    },
)
