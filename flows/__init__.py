"""The public flows; importing this package is cheap, a flow is loaded when it is first named."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tasks.environment import set_prefect_defaults

if TYPE_CHECKING:
    from flows.batch import report_batch
    from tasks.options import ReportOptions
    from tasks.schemas import BatchResult, Topic

__all__ = ["BatchResult", "ReportOptions", "Topic", "report_batch"]

set_prefect_defaults()


_HOMES = {
    "BatchResult": "tasks.schemas",
    "ReportOptions": "tasks.options",
    "Topic": "tasks.schemas",
    "report_batch": "flows.batch",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'flows' has no attribute {name!r}")
    found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found
