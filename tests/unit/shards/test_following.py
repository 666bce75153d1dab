"""Shards that nobody runs end the batch, in a sentence."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from prefect_llm_reports.tasks.contract.errors import NoWorker
from prefect_llm_reports.tasks.shards import following
from prefect_llm_reports.tasks.shards.accounts import ShardAccounts
from prefect_llm_reports.tasks.shards.following import Following
from prefect_llm_reports.tasks.shards.workers import Shard, Try


class Pool:
    """A work pool: `at_look` changes the tries at each look."""

    shared = True

    def __init__(self, at_look: Callable[[int, Sequence[Try]], None]) -> None:
        self.looks = 0
        self.ended: list[int] = []
        self._at_look = at_look

    async def begin(self, number: int, digest: str) -> Try:
        return Try(number, f"shard {number}", digest)

    async def look(self, tries: Sequence[Try]) -> None:
        self.looks += 1
        self._at_look(self.looks, tries)

    async def lose(self, one: Try, why: str) -> None:
        raise AssertionError(why)

    async def end(self, tries: Sequence[Try]) -> None:
        for one in tries:
            self.ended.append(one.number)
            one.end = "cancelled"


class Order(SimpleNamespace):
    budget_usd = None
    digest = "d"

    def model_copy(self, update: dict[str, Any]) -> Order:
        del update
        return self


def follow(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> ShardAccounts:
    async def take_stock(now: bool) -> None:
        del now

    monkeypatch.setattr(following, "get_run_logger", lambda: logging.getLogger(__name__))
    desk = SimpleNamespace(
        give=lambda order: None, withdraw=lambda numbers: None, run_directory="made"
    )
    accounts = ShardAccounts(4)
    gathering = SimpleNamespace(take_stock=take_stock)
    made: Any = (pool, desk, gathering, accounts)
    shards = [Shard(cast("Any", Order(number=number))) for number in (1, 2)]
    asyncio.run(Following(*made, silent_s=3600).run(shards))
    return accounts


def test_a_batch_does_not_wait_for_ever_for_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no shard of it runs, it stops and says what to start."""
    monkeypatch.setattr(following, "NO_WORKER_S", 0.0)
    pool = Pool(lambda look, tries: None)
    accounts = follow(pool, monkeypatch)
    assert isinstance(accounts.stopped, NoWorker)
    assert "no worker took any of 2 shards" in str(accounts.stopped)
    assert "start a worker" in str(accounts.stopped)
    assert accounts.stopped.report().kind == "no_worker"
    assert pool.ended == [1, 2]


def test_a_shard_may_wait_while_another_of_its_batch_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool's limit lets one run after the other."""
    monkeypatch.setattr(following, "NO_WORKER_S", 0.0)

    def one_by_one(look: int, tries: Sequence[Try]) -> None:
        first = tries[0]
        if first.running and look % 3 == 0:
            first.end = "completed"
        first.running = True

    pool = Pool(one_by_one)
    assert follow(pool, monkeypatch).stopped is None
    assert pool.ended == []
