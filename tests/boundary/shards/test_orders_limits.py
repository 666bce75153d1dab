"""However a batch is split, the parts of its limits make the whole; the largest order survives."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from prefect_llm_reports.tasks.shards.desk import Desk
from prefect_llm_reports.tasks.shards.orders import divided_usd, most_shards, orders
from prefect_llm_reports.tasks.storage.places import LocalPlace
from tests.unit.shards.test_orders import STARTED, batch, ordered


@settings(deadline=None)
@given(
    st.decimals(0, 10**9, places=9, allow_nan=False),
    st.lists(st.integers(1, 2000), min_size=1, max_size=60),
)
def test_money_is_divided_to_the_last_digit(whole: Decimal, sizes: list[int]) -> None:
    """The parts are the whole, none is negative, and each follows its number of topics."""
    parts = [part for part in divided_usd(whole, sizes) if part is not None]
    assert sum(parts, Decimal(0)) == whole
    assert min(parts) >= 0
    for part, size in zip(parts[1:], sizes[1:], strict=True):
        assert abs(part - whole * size / sum(sizes)) <= Decimal("0.000001")


@settings(deadline=None)
@given(st.integers(1, 1000), st.integers(1, 1000), st.integers(1, 100_000), st.integers(1, 300))
def test_the_parts_of_a_limit_make_the_whole(
    wanted: int, concurrency: int, per_minute: int, topics: int
) -> None:
    """However many shards there are, together they never exceed a limit, and none has nothing."""
    given_: dict[str, Any] = {"concurrency": concurrency, "requests_per_minute": per_minute}
    whole = batch(topics, shards=wanted, **given_)
    count = most_shards(whole, wanted)
    caps = [order.caps for order in orders(whole, count, endpoint=None, started=STARTED)]
    assert 1 <= count <= min(wanted, topics)
    assert sum(c.concurrency for c in caps) == concurrency
    assert sum(c.requests_per_minute or 0 for c in caps) == per_minute
    assert min(c.requests_per_minute or 0 for c in caps) >= 1
    assert {c.tokens_per_minute for c in caps} == {None}


def test_an_order_of_20_000_topics_is_what_was_written(tmp_path: Path) -> None:
    """The largest order survives the way through a file, with its digest."""
    desk = Desk(LocalPlace(tmp_path), "20260314T060000Z-5c1e77d0")
    [order] = ordered(20_000, 1)
    desk.give(order)
    read = desk.order(1)
    assert read == order
    assert read is not None
    assert read.digest == order.digest
