"""How far a batch has come, for whoever shows it."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field

from prefect_llm_reports.tasks.contract.branch_results import InquiryResult
from prefect_llm_reports.tasks.contract.reports import ReportResult
from prefect_llm_reports.tasks.llm.session import Session

ItemResult = ReportResult | InquiryResult


@dataclass
class Progress:
    """A batch on its way; `session` has its calls, tokens and cost.

    Attributes:
        on_report: Called with each report's result as it becomes known.
        on_interrupt: Called with the number of the signal that interrupts the run.
    """

    total: int = 0
    session: Session | None = None
    done: list[ItemResult] = field(default_factory=list[ItemResult])
    on_report: Callable[[ItemResult], None] = lambda _: None
    on_interrupt: Callable[[int], None] = lambda _: None

    def begin(self, session: Session, total: int) -> None:
        """Take note of what is to be done, and by which session."""
        self.session = session
        self.total = total

    def add(self, report: ItemResult) -> None:
        """Take note of a report's result."""
        self.done.append(report)
        self.on_report(report)


progress_of_caller: ContextVar[Progress | None] = ContextVar("progress", default=None)
"""Set by a caller that wants to follow the batch it starts."""
