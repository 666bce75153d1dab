"""The public flows; importing this package is cheap, a flow is loaded when it is first named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.environment import set_prefect_defaults

if TYPE_CHECKING:
    from flows.report_batch import report_batch
    from tasks.options import ReportOptions
    from tasks.schemas import BatchResult, Topic

__all__ = ["BatchResult", "ReportOptions", "Topic", "report_batch"]

set_prefect_defaults()


def __getattr__(name: str) -> Any:
    match name:
        case "report_batch":
            from flows.report_batch import report_batch as found
        case "ReportOptions":
            from tasks.options import ReportOptions as found
        case "BatchResult":
            from tasks.schemas import BatchResult as found
        case "Topic":
            from tasks.schemas import Topic as found
        case _:
            raise AttributeError(f"module 'flows' has no attribute {name!r}")
    globals()[name] = found
    return found
