"""The progress of a batch, for a caller that shows it.

Here: what is done so far. Not here: how it is shown.
"""

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
    """The progress of one batch; `session` has its calls, tokens and cost.

    Attributes:
        on_report: Receives the result of each item as soon as it is known.
        on_interrupt: Receives the number of the signal that interrupts the run.
    """

    total: int = 0
    session: Session | None = None
    done: list[ItemResult] = field(default_factory=list[ItemResult])
    on_report: Callable[[ItemResult], None] = lambda _: None
    on_interrupt: Callable[[int], None] = lambda _: None

    def begin(self, session: Session, total: int) -> None:
        """Note the number of items, and the session that asks for them."""
        self.session = session
        self.total = total

    def add(self, report: ItemResult) -> None:
        """Note the result of an item."""
        self.done.append(report)
        self.on_report(report)


progress_of_caller: ContextVar[Progress | None] = ContextVar("progress", default=None)
"""A caller sets it to receive the progress of the batch that it starts."""
