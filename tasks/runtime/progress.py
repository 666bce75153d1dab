"""The progress of a batch, for a caller that shows it.

Here: the state of the batch so far. Not here: its display.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from prefect_llm_reports.tasks.contract.branch_results import InquiryResult
from prefect_llm_reports.tasks.contract.reports import ReportResult
from prefect_llm_reports.tasks.llm.ledger import Ledger
from prefect_llm_reports.tasks.llm.line import Line

logger = logging.getLogger(__name__)

ItemResult = ReportResult | InquiryResult
MOST_OF_AN_ITEM = 0.95
"""Share of an item that calls alone can finish; the rest is its publication."""


@dataclass
class Progress:
    """The progress of one batch.

    Attributes:
        total: Number of its items.
        calls_an_item: Calls that an item takes at most.
        ledger: Its calls, tokens and cost; None: it has not begun.
        lines: The endpoints that this process calls; none where shards make the calls.
        result: The result, as soon as its files are written; afterwards only Prefect is at work.
        on_report: Receives the result of each item as soon as it is known.
        on_interrupt: Receives the number of the signal that interrupts the run.
    """

    total: int = 0
    calls_an_item: int = 1
    ledger: Ledger | None = None
    lines: Sequence[Line] = ()
    done: list[ItemResult] = field(default_factory=list[ItemResult])
    result: Any = None
    on_report: Callable[[ItemResult], None] = lambda _: None
    on_interrupt: Callable[[int], None] = lambda _: None

    def begin(
        self, ledger: Ledger, total: int, lines: Sequence[Line] = (), *, calls_an_item: int = 1
    ) -> None:
        """Note the number of items, and the accounts and endpoints of the batch."""
        self.ledger = ledger
        self.lines = lines
        self.total = total
        self.calls_an_item = calls_an_item

    @property
    def share(self) -> float:
        """How far the batch is, from 0 to 1; an item under way counts by its answered calls."""
        done = len(self.done)
        if not self.total:
            return 0.0
        answered = 0.0
        if self.ledger and done < self.total:
            finished = {item.slug for item in self.done}
            for slug, spent in tuple(self.ledger.items.items()):
                if slug not in finished:
                    calls = (spent.made + spent.cached) / self.calls_an_item
                    answered += min(calls, MOST_OF_AN_ITEM)
        return min(1.0, (done + answered) / self.total)

    def add(self, report: ItemResult) -> None:
        """Note the result of an item."""
        self.done.append(report)
        try:
            self.on_report(report)
        except Exception as error:  # any error: the run goes on without progress
            logger.debug("progress was not shown: %s", type(error).__name__)


progress_of_caller: ContextVar[Progress | None] = ContextVar("progress", default=None)
"""A caller sets it to receive the progress of the batch that it starts."""
