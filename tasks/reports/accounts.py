"""A run's calls, tokens and costs, and the reason to make no further call.

Here: the accounts of a process that makes its own calls. Not here: those of a batch whose shards
make the calls (`shards.accounts`).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Protocol, Self

from prefect_llm_reports.tasks.answers.store import AnswerStore
from prefect_llm_reports.tasks.calls.surroundings import ready_for_calls
from prefect_llm_reports.tasks.contract.errors import ReportsError
from prefect_llm_reports.tasks.contract.options import ReportOptions
from prefect_llm_reports.tasks.contract.reports import PaceRecord
from prefect_llm_reports.tasks.contract.settings import Settings
from prefect_llm_reports.tasks.llm.ledger import Ledger
from prefect_llm_reports.tasks.llm.session import Session, use_session
from prefect_llm_reports.tasks.reports.checking import CheckedBatch
from prefect_llm_reports.tasks.runtime.context import patience_here
from prefect_llm_reports.tasks.sources.library import use_library


class Accounts(Protocol):
    """A run's calls, tokens and costs, and the reason to make no further call."""

    @property
    def ledger(self) -> Ledger:
        """Calls, tokens and cost, by topic and in all."""
        ...

    @property
    def stopped(self) -> ReportsError | None:
        """Why no further call is made; None: calls are made."""
        ...

    def stop(self, error: ReportsError) -> None:
        """Make no further call; the first reason is kept."""
        ...

    def halt(self) -> None:
        """Give up the calls under way."""
        ...

    def pacing(self) -> list[PaceRecord]:
        """How each endpoint was used."""
        ...

    @property
    def warnings(self) -> list[str]:
        """Problems that concern no single report."""
        ...


class OwnAccounts:
    """The accounts of a process that asks for answers itself.

    Args:
        batch: Where to ask, and where answers are kept.
        settings: The environment.
        caps: The options with the limits of this process: the plan's, or a shard's part of them.

    Attributes:
        session: Asks the endpoints.
        store: Keeps the answers.
    """

    def __init__(self, batch: CheckedBatch, settings: Settings, caps: ReportOptions) -> None:
        self.session = Session(
            batch.endpoints, caps, backoff_s=settings.backoff_s, patience_s=patience_here()
        )
        self.store = AnswerStore(location=batch.store)
        self._lease_s = settings.lease_s
        self._caps = caps
        self._library = batch.library

    @property
    def ledger(self) -> Ledger:
        """Calls, tokens and cost, by topic and in all."""
        return self.session.ledger

    @property
    def stopped(self) -> ReportsError | None:
        """Why no further call is made; None: calls are made."""
        return self.session.stopped

    def stop(self, error: ReportsError) -> None:
        """Make no further call; the first reason is kept."""
        self.session.stop(error)

    def halt(self) -> None:
        """Give up the calls under way."""
        self.session.halt()

    @property
    def warnings(self) -> list[str]:
        """Answers that could not be kept or read."""
        return self.store.warnings

    def pacing(self) -> list[PaceRecord]:
        """How each endpoint was used."""
        return [line.pacing() for line in self.session.lines]

    @asynccontextmanager
    async def opened(
        self, *, days: float | None = None, refresh: bool = False
    ) -> AsyncGenerator[Self]:
        """Open session and store; with the library they are those of the tasks started meanwhile.

        Args:
            days: Use no answer older than this; None: answers of any age.
            refresh: Use no answer that was kept before this run.
        """
        opened = self.store.opened(
            days=days, max_mb=self._caps.store_mb, refresh=refresh, lease_s=self._lease_s
        )
        async with opened, self.session:
            with (
                ready_for_calls(self.store),
                use_session(self.session),
                use_library(self._library),
            ):
                yield self
