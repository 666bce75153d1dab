"""The progress of a batch, for a caller that shows it.

Here: what is done so far. Not here: how it is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field

from prefect_llm_reports.tasks.contract.branch_results import InquiryResult
from prefect_llm_reports.tasks.contract.reports import ReportResult
from prefect_llm_reports.tasks.llm.ledger import Ledger
from prefect_llm_reports.tasks.llm.line import Line

ItemResult = ReportResult | InquiryResult


@dataclass
class Progress:
    """The progress of one batch.

    Attributes:
        ledger: Its calls, tokens and cost; None: it has not begun.
        lines: The endpoints that this process calls; none where shards make the calls.
        on_report: Receives the result of each item as soon as it is known.
        on_interrupt: Receives the number of the signal that interrupts the run.
    """

    total: int = 0
    ledger: Ledger | None = None
    lines: Sequence[Line] = ()
    done: list[ItemResult] = field(default_factory=list[ItemResult])
    on_report: Callable[[ItemResult], None] = lambda _: None
    on_interrupt: Callable[[int], None] = lambda _: None

    def begin(self, ledger: Ledger, total: int, lines: Sequence[Line] = ()) -> None:
        """Note the number of items, and the accounts and endpoints of the batch."""
        self.ledger = ledger
        self.lines = lines
        self.total = total

    def add(self, report: ItemResult) -> None:
        """Note the result of an item."""
        self.done.append(report)
        self.on_report(report)


progress_of_caller: ContextVar[Progress | None] = ContextVar("progress", default=None)
"""A caller sets it to receive the progress of the batch that it starts."""
