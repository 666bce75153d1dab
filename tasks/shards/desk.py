"""The desk of a split batch: small files in the run's directory, between the batch and its shards.

The batch writes an order for each shard, and withdraws it to end the shard. Each try at a shard
writes a record.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

from pydantic import ValidationError

from prefect_llm_reports.tasks.contract.errors import BadInput, StorageError
from prefect_llm_reports.tasks.contract.records import (
    SHARDS,
    Calls,
    ErrorReport,
    FileEntry,
    Record,
    Usage,
)
from prefect_llm_reports.tasks.contract.reports import PaceRecord, ReportResult
from prefect_llm_reports.tasks.llm.ledger import Spending
from prefect_llm_reports.tasks.shards.orders import ShardOrder
from prefect_llm_reports.tasks.storage.places import Place

_RUN_ID = re.compile(r"[0-9A-Za-z-]{1,100}")
_RECORD = re.compile(r"(\d{4})\.[0-9a-f]{32}\.json")


class Spent(Record):
    """Calls, tokens and cost of one topic so far."""

    calls: Calls
    usage: Usage
    cost_usd: Decimal | None

    @classmethod
    def of(cls, spending: Spending) -> Spent:
        """Copy the spending of one topic."""
        return cls(calls=spending.calls, usage=spending.usage, cost_usd=spending.cost_usd)


class ShardRecord(Record):
    """The work of one try at a shard so far.

    Attributes:
        number: Which shard.
        flow_run: Id of the try's flow run.
        beat: Grows with every record; a shard is silent when it does not.
        ended: The try has ended by itself, and this is its last record.
        stopped: The error that stopped it early; None: none did.
        files: Files of published reports, by slug.
    """

    number: int
    flow_run: str
    beat: int
    ended: bool
    spent: dict[str, Spent]
    reports: list[ReportResult]
    files: dict[str, list[FileEntry]]
    stopped: ErrorReport | None = None
    pacing: list[PaceRecord]
    warnings: list[str]


class Desk:
    """The files between a batch and its shards, in the run's directory.

    Args:
        place: Where runs are kept.
        run_id: The batch's run.

    Raises:
        BadInput: No run can have this id.
    """

    def __init__(self, place: Place, run_id: str) -> None:
        if not _RUN_ID.fullmatch(run_id):
            raise BadInput(
                f"run_id {run_id[:100]!r}: not the name of a run's directory; give the run_id that"
                " the batch passed on"
            )
        self.place = place
        self.run_directory = place.path(run_id)
        self.folder = f"{run_id}/{SHARDS}"
        self._ended: dict[str, ShardRecord] = {}

    def give(self, order: ShardOrder) -> None:
        """Write a shard's order."""
        self.place.write(self._order(order.number), order.model_dump_json().encode())
        self.place.write(self._mark(order.number), order.digest.encode())

    def order(self, number: int) -> ShardOrder | None:
        """Read a shard's order; None: there is none."""
        body = self.place.read(self._order(number))
        try:
            return ShardOrder.model_validate_json(body) if body else None
        except ValidationError as error:
            name = self.place.path(self._order(number))
            first = error.errors(include_url=False, include_input=False)[0]["msg"]
            raise StorageError(
                f"{name}: not an order of this version: {first}; install the same version of"
                " prefect-llm-reports on all workers"
            ) from None

    def stands(self, order: ShardOrder) -> bool:
        """Whether an order has been neither withdrawn nor replaced by one for other work."""
        return self.place.read(self._mark(order.number)) == order.digest.encode()

    def withdraw(self, numbers: Iterable[int]) -> None:
        """Withdraw orders: their shards make no new call, and end."""
        for number in numbers:
            self.place.remove(self._mark(number))
            self.place.remove(self._order(number))

    def put(self, record: ShardRecord) -> None:
        """Write a try's record."""
        name = f"{self.folder}/{record.number:04d}.{record.flow_run}.json"
        self.place.write(name, record.model_dump_json().encode())

    def records(self) -> list[ShardRecord]:
        """Read the records of all tries; skip files that are not records of this version."""
        found: list[ShardRecord] = []
        for name in self.place.names(self.folder):
            if not _RECORD.fullmatch(name):
                continue
            record = self._ended.get(name) or self._read(name)
            if record:
                found.append(record)
                if record.ended:
                    self._ended[name] = record
        return found

    def clear(self) -> None:
        """Remove all orders and records."""
        for name in self.place.names(self.folder, hidden=True):
            self.place.remove(f"{self.folder}/{name}")
        self.place.remove(self.folder)

    def _read(self, name: str) -> ShardRecord | None:
        body = self.place.read(f"{self.folder}/{name}")
        try:
            return ShardRecord.model_validate_json(body) if body else None
        except ValidationError:
            return None

    def _order(self, number: int) -> str:
        return f"{self.folder}/{number:04d}.order.json"

    def _mark(self, number: int) -> str:
        return f"{self.folder}/{number:04d}.stands"
