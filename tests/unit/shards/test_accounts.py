"""The accounts of a split batch: added up from records, stopped by what is fatal."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from prefect_llm_reports.tasks.contract.errors import Interrupted, StorageError
from prefect_llm_reports.tasks.contract.records import Calls, ErrorReport, Usage
from prefect_llm_reports.tasks.shards.accounts import ShardAccounts
from prefect_llm_reports.tasks.shards.desk import ShardRecord, Spent


def record(number: int, **changed: Any) -> ShardRecord:
    """A try's record."""
    said: dict[str, Any] = {
        "number": number,
        "flow_run": f"{number:032x}",
        "beat": 1,
        "ended": False,
        "spent": {},
        "reports": [],
        "files": {},
        "pacing": [],
        "warnings": [],
        **changed,
    }
    return ShardRecord(**said)


def test_those_who_hold_the_ledger_see_every_new_sum() -> None:
    """The progress bar reads the ledger it was given; records replace what they said before."""
    accounts = ShardAccounts(4)
    ledger = accounts.ledger
    for made in (1, 3):
        spent = Spent(calls=Calls(made=made), usage=Usage(), cost_usd=Decimal(made))
        accounts.add_up([record(1, spent={"x": spent}), record(2, spent={"y": spent})])
        assert accounts.ledger is ledger
        assert ledger.total.made == 2 * made
        assert ledger.total.cost_usd == 2 * made
        assert ledger.items["x"].made == made


def test_the_first_fatal_error_of_a_shard_stops_the_batch() -> None:
    """A shard that ended on request is no reason to stop; the first reason is kept."""
    accounts = ShardAccounts(4)
    accounts.add_up([record(1, stopped=Interrupted("ended on request").report())])
    assert accounts.stopped is None
    rejected = ErrorReport(kind="key_rejected", message="key rejected", step="draft")
    accounts.add_up([record(1), record(2, stopped=rejected)])
    accounts.stop(StorageError("later"))
    assert accounts.stopped is not None
    assert accounts.stopped.report() == rejected


def test_what_several_shards_warn_of_is_said_once() -> None:
    """Warnings keep the order of the records."""
    accounts = ShardAccounts(4)
    accounts.add_up([record(1, warnings=["a", "b"]), record(2, warnings=["b", "c"])])
    assert accounts.warnings == ["a", "b", "c"]
