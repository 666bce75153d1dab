"""How a batch is dealt to shards, and how what they did is put together."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from prefect_llm_reports.tasks.contract.errors import BadInput, StorageError
from prefect_llm_reports.tasks.contract.options import ReportOptions
from prefect_llm_reports.tasks.contract.records import Calls, ErrorReport, Usage
from prefect_llm_reports.tasks.contract.reports import PaceRecord, Topic
from prefect_llm_reports.tasks.llm.endpoint import Endpoint
from prefect_llm_reports.tasks.reports.checking import CheckedBatch
from prefect_llm_reports.tasks.reports.questions import Plan
from prefect_llm_reports.tasks.results.verifying import Verifier
from prefect_llm_reports.tasks.shards.accounts import (
    merged_ledger,
    merged_pacing,
    spent_usd,
)
from prefect_llm_reports.tasks.shards.desk import Desk, ShardRecord, Spent
from prefect_llm_reports.tasks.shards.orders import (
    ShardOrder,
    dealt,
    divided_usd,
    most_shards,
    orders,
)
from prefect_llm_reports.tasks.storage.places import LocalPlace

STARTED = datetime(2026, 3, 14, tzinfo=UTC)


def batch(topics: int, folder: Path = Path("/nowhere"), **options: Any) -> CheckedBatch:
    """A checked batch of so many topics."""
    plan = Plan(
        endpoint="https://a/v1",
        model="m",
        max_iterations=3,
        quality_threshold=8,
        options=ReportOptions(**options),
    )
    return CheckedBatch(
        topics=[Topic(title=f"Topic {n}") for n in range(topics)],
        plan=plan,
        endpoints=[Endpoint("https://a/v1")],
        output=LocalPlace(folder),
        store=str(folder),
        warnings=[],
        location=str(folder),
    )


def ordered(topics: int, count: int, **options: Any) -> list[ShardOrder]:
    """The orders of a batch."""
    return orders(batch(topics, **options), count, endpoint=None, started=STARTED)


def record(number: int, flow_run: str = "a" * 32, **changed: Any) -> ShardRecord:
    """What a try has told."""
    told: dict[str, Any] = {
        "number": number,
        "flow_run": flow_run,
        "beat": 1,
        "ended": False,
        "spent": {},
        "reports": [],
        "files": {},
        "pacing": [],
        "warnings": [],
        **changed,
    }
    return ShardRecord(**told)


def spent(made: int, usd: str | None) -> Spent:
    """What a topic took."""
    cost = None if usd is None else Decimal(usd)
    return Spent(calls=Calls(made=made), usage=Usage(input_tokens=made), cost_usd=cost)


def test_topics_are_dealt_round_robin() -> None:
    """Every topic goes to one shard, and early topics are spread over all of them."""
    topics = batch(7).topics
    assert [[t.title[-1] for t in pile] for pile in dealt(topics, 3)] == [
        ["0", "3", "6"],
        ["1", "4"],
        ["2", "5"],
    ]


def test_without_a_budget_no_shard_has_one() -> None:
    """No limit stays no limit."""
    assert divided_usd(None, [1, 2]) == [None, None]


def test_a_saved_endpoints_own_limits_are_divided_too() -> None:
    """The limits of an endpoint hold for all shards together, and bound their number."""
    endpoint = Endpoint("https://a/v1", requests_per_minute=5, tokens_per_minute=900)
    whole = batch(60, concurrency=100)
    whole.endpoints[:] = [endpoint]
    assert most_shards(whole, 8) == 5
    lines = [order.line(endpoint) for order in ordered(60, 2)]
    assert [line.requests_per_minute for line in lines] == [3, 2]
    assert [line.tokens_per_minute for line in lines] == [450, 450]


def test_an_order_is_what_was_written(tmp_path: Path) -> None:
    """An order survives the way through a file; its digest is the work's."""
    desk = Desk(LocalPlace(tmp_path), "20260314T060000Z-5c1e77d0")
    [order] = ordered(20, 1, budget_usd="3.5", house_style="", critics=())
    desk.give(order)
    read = desk.order(1)
    assert read == order
    assert read is not None
    assert read.digest == order.digest
    retried = order.model_copy(update={"budget_usd": Decimal(1), "again": True})
    assert retried.digest == order.digest
    other = order.model_copy(update={"topics": order.topics[1:]})
    assert other.digest != order.digest


def test_withdrawn_orders_and_the_whole_desk_can_be_gone(tmp_path: Path) -> None:
    """A withdrawn order is none; a cleared desk leaves no folder; doing it twice is no harm."""
    desk = Desk(LocalPlace(tmp_path), "run")
    first, second = ordered(4, 2)
    for order in (first, second):
        desk.give(order)
    desk.put(record(1))
    assert desk.stands(first)
    assert not desk.stands(second.model_copy(update={"topics": first.topics}))
    desk.withdraw([1, 2])
    desk.withdraw([1])
    assert desk.order(1) is None
    assert not desk.stands(first)
    assert len(desk.records()) == 1
    desk.clear()
    desk.clear()
    assert [*(tmp_path / "run").iterdir()] == []


def test_what_is_no_order_or_no_record_is_told_or_passed_over(tmp_path: Path) -> None:
    """A damaged order is an error that names the file; a damaged record is none."""
    desk = Desk(LocalPlace(tmp_path), "run")
    desk.put(record(1))
    folder = tmp_path / "run" / ".shards"
    (folder / "0001.order.json").write_text("{}")
    (folder / f"0002.{'b' * 32}.json").write_text('{"number":')
    with pytest.raises(StorageError, match=r"0001\.order\.json: not an order"):
        desk.order(1)
    assert [r.number for r in desk.records()] == [1]


@pytest.mark.parametrize("run_id", ["../elsewhere", "a/b", "", ".hidden", "x" * 101])
def test_an_order_is_looked_for_in_a_runs_directory_only(tmp_path: Path, run_id: str) -> None:
    """A shard that is started by hand cannot be made to read elsewhere."""
    with pytest.raises(BadInput, match="not the name of a run's directory"):
        Desk(LocalPlace(tmp_path), run_id)


def test_all_tries_of_all_shards_are_paid_for() -> None:
    """Calls, tokens and cost are summed over tries, by topic and in all."""
    told = [
        record(1, "a" * 32, spent={"x": spent(3, "0.5"), "y": spent(1, "0.25")}),
        record(1, "b" * 32, spent={"x": spent(4, "1")}),
        record(2, "c" * 32, spent={"z": spent(7, "2")}),
    ]
    ledger = merged_ledger(told)
    assert ledger.total.made == 15
    assert ledger.total.usage.input_tokens == 15
    assert ledger.total.cost_usd == Decimal("3.75")
    assert ledger.items["x"].cost_usd == Decimal("1.5")
    assert spent_usd(told, 1) == Decimal("1.75")


def test_a_cost_that_one_try_does_not_know_is_unknown() -> None:
    """Unknown is never 0."""
    ledger = merged_ledger([record(1, spent={"x": spent(1, None), "y": spent(1, "1")})])
    assert ledger.total.cost_usd is None
    assert ledger.items["x"].cost_usd is None
    assert ledger.items["y"].cost_usd == 1


def test_the_pace_of_an_endpoint_is_that_of_all_shards() -> None:
    """What was under way at once, refused and allowed adds up; waits were at the same time."""

    def line(peak: int, lowest: int | None, paused: float) -> PaceRecord:
        return PaceRecord(
            endpoint="a",
            concurrency=4,
            peak=peak,
            allowed=4,
            lowest=lowest,
            refusals=1,
            paused_s=paused,
        )

    told = [record(1, pacing=[line(3, None, 2)]), record(2, pacing=[line(4, 2, 1)])]
    assert merged_pacing(told, 8) == [
        PaceRecord(endpoint="a", concurrency=8, peak=7, allowed=8, lowest=2, refusals=2, paused_s=2)
    ]


def test_a_record_tells_what_stopped_its_shard(tmp_path: Path) -> None:
    """A fatal error crosses from a shard to its batch as it was written down."""
    desk = Desk(LocalPlace(tmp_path), "run")
    why = ErrorReport(kind="key_rejected", message="key rejected", step="draft", attempts=1)
    desk.put(record(3, ended=True, stopped=why))
    [read] = desk.records()
    assert read.stopped == why
    assert [*desk.records()] == [read]


def test_a_run_whose_shards_are_at_work_is_unfinished(tmp_path: Path) -> None:
    """`verify` says of the shards' folder what it is, and nothing worse."""
    place = LocalPlace(tmp_path)
    place.write("20260314T060000Z-5c1e77d0/topics.csv", b"topic")
    Desk(place, "20260314T060000Z-5c1e77d0").put(record(1))
    findings = Verifier(place).verify().findings
    assert {finding.kind for finding in findings} == {"unfinished"}
    [said] = [f.detail for f in findings if f.path.endswith(".shards")]
    assert "shards of the run are at work" in said
