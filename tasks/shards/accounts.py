"""The accounts of a batch whose shards make the calls, added up from their records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from prefect_llm_reports.tasks.contract.errors import ReportsError, ShardStopped
from prefect_llm_reports.tasks.contract.reports import PaceRecord
from prefect_llm_reports.tasks.llm.ledger import Ledger
from prefect_llm_reports.tasks.shards.desk import ShardRecord


class ShardAccounts:
    """Calls, tokens and costs of all shards, and the reason to make no further call.

    Args:
        concurrency: Calls that all shards together may have under way at once.

    Attributes:
        ledger: Calls, tokens and cost, by topic and in all.
        stopped: Why no further call is made; None: calls are made.
        records: The records that the accounts are added up from.
    """

    def __init__(self, concurrency: int) -> None:
        self.ledger = Ledger()
        self.stopped: ReportsError | None = None
        self.records: Sequence[ShardRecord] = ()
        self._concurrency = concurrency

    def stop(self, error: ReportsError) -> None:
        """Make no further call; the first reason is kept."""
        self.stopped = self.stopped or error

    def halt(self) -> None:
        """Do nothing: the shards make the calls, and end them by themselves."""

    def add_up(self, records: Sequence[ShardRecord]) -> None:
        """Add up these records; a fatal error of one shard stops the batch."""
        self.records = records
        merged = merged_ledger(records)
        self.ledger.total, self.ledger.items = merged.total, merged.items
        for record in records:
            if record.stopped and record.stopped.kind != "interrupted":
                self.stop(ShardStopped(record.stopped))

    def pacing(self) -> list[PaceRecord]:
        """How all shards together used each endpoint."""
        return merged_pacing(self.records, self._concurrency)

    @property
    def warnings(self) -> list[str]:
        """The shards' own warnings, each once."""
        return [*dict.fromkeys(w for record in self.records for w in record.warnings)]


def merged_ledger(records: Iterable[ShardRecord]) -> Ledger:
    """Add up the spending of all tries at all shards, by topic and in all."""
    ledger = Ledger()
    for record in records:
        for slug, spent in record.spent.items():
            for account in (ledger.total, ledger.items[slug]):
                account.made += spent.calls.made
                account.cached += spent.calls.cached
                account.retried += spent.calls.retried
                account.usage += spent.usage
                account.unknown = account.unknown or spent.cost_usd is None
                account.usd += spent.cost_usd or 0
    return ledger


def spent_usd(records: Iterable[ShardRecord], number: int) -> Decimal:
    """Add up the US dollars that all tries at one shard took."""
    own = [record for record in records if record.number == number]
    return merged_ledger(own).total.usd


def merged_pacing(records: Iterable[ShardRecord], concurrency: int) -> list[PaceRecord]:
    """Combine the shards' records of each endpoint; of several tries at a shard the last counts."""
    merged: dict[str, PaceRecord] = {}
    latest = {record.number: record for record in records}
    for line in (line for record in latest.values() for line in record.pacing):
        sofar = merged.get(line.endpoint)
        if sofar is None:
            merged[line.endpoint] = line.model_copy(update={"concurrency": concurrency})
            continue
        lowest = [low for low in (sofar.lowest, line.lowest) if low is not None]
        merged[line.endpoint] = PaceRecord(
            endpoint=line.endpoint,
            concurrency=concurrency,
            peak=sofar.peak + line.peak,
            allowed=sofar.allowed + line.allowed,
            lowest=min(lowest, default=None),
            refusals=sofar.refusals + line.refusals,
            paused_s=max(sofar.paused_s, line.paused_s),
        )
    return list(merged.values())
