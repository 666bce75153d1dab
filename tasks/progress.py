"""How far a batch has come, for whoever shows it."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field

from tasks.llm import Session
from tasks.schemas import ReportResult


@dataclass
class Progress:
    """A batch on its way; `session` has its calls, tokens and cost.

    Attributes:
        on_begin: Called within the flow before the first call.
        on_report: Called with each report's result as it becomes known.
        on_end: Called within the flow after the last call.
    """

    total: int = 0
    session: Session | None = None
    done: list[ReportResult] = field(default_factory=list[ReportResult])
    on_begin: Callable[[], None] = lambda: None
    on_report: Callable[[ReportResult], None] = lambda _: None
    on_end: Callable[[], None] = lambda: None

    def begin(self, session: Session, total: int) -> None:
        """Take note of what is to be done, and by which session."""
        self.session = session
        self.total = total
        self.on_begin()

    def add(self, report: ReportResult) -> None:
        """Take note of a report's result."""
        self.done.append(report)
        self.on_report(report)


progress_of_caller: ContextVar[Progress | None] = ContextVar("progress", default=None)
"""Set by a caller that wants to follow the batch it starts."""
